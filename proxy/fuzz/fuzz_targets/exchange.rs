//! Head, judgement, rewriting, and the strict parser again: what goes out has exactly one framing,
//! the one that was judged, and nothing of the other connection. The first byte chooses between a
//! request and a response, and for what.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sundew::http1::fields::{FieldName, Fields};
use sundew::http1::forwarded::Identity;
use sundew::http1::framing::{
    Framing, has_no_body, is_host, is_named_by_connection, request_control, response_control,
};
use sundew::http1::head::{Progress, RequestHead, ResponseHead, parse_request, parse_response};
use sundew::http1::rewrite::{RequestRewrite, ResponseRewrite, write_request, write_response};
use sundew::http1::target::{TargetForm, TargetPolicy, parse};
use sundew_fuzz::{LIMITS, ROOMY};

const POLICY: TargetPolicy = TargetPolicy { sanitize_path: true, encode_query_semicolons: false };

const IDENTITY: Identity<'_> = Identity {
    peer: b"192.0.2.1",
    is_trusted: false,
    not_append: false,
    hostname: b"edge",
    host: b"",
    is_tls: false,
    is_websocket: false,
};

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((choice, bytes)) if choice & 1 == 0 => check_request(bytes),
        Some((choice, bytes)) => check_response(bytes, choice & 2 == 0, (choice >> 2) & 1),
        None => {}
    }
});

fn check_request(bytes: &[u8]) {
    let mut head = RequestHead::default();
    if parse_request(bytes, &LIMITS, &mut head) != Ok(Progress::Complete) {
        return;
    }
    let Ok(control) = request_control(bytes, &head) else { return };
    let method = head.method.of(bytes);
    let mut scratch = Vec::new();
    let Ok(target) = parse(method, head.target.of(bytes), POLICY, &mut scratch) else { return };
    if !matches!(target.form, TargetForm::Origin | TargetForm::Absolute)
        || target.authority.is_some_and(|authority| !is_host(authority))
    {
        return;
    }
    let own_host = head.fields.first(bytes, FieldName::Host).unwrap_or(b"");
    let host = target.authority.unwrap_or(own_host);
    let identity = Identity { host, ..IDENTITY };
    let rewrite = RequestRewrite {
        bytes,
        head: &head,
        control: &control,
        target: (target.is_rewritten || target.authority.is_some())
            .then_some(target.path_and_query),
        host: if host.is_empty() { Some(b"server") } else { target.authority },
        hidden_cookies: &[],
        identity: &identity,
    };
    let mut out = Vec::new();
    write_request(&mut out, &rewrite);

    let mut sent = RequestHead::default();
    assert_eq!(parse_request(&out, &ROOMY, &mut sent), Ok(Progress::Complete));
    assert_eq!((sent.bytes, sent.minor), (out.len(), 1), "one head, and no more");
    assert_eq!(sent.method.of(&out), method);
    assert_eq!(sent.target.of(&out), target.path_and_query);
    let judged = request_control(&out, &sent).expect("what is sent is accepted");
    assert_eq!(judged.framing, control.framing, "the same body");
    assert_eq!(judged.wants_upgrade, control.wants_upgrade);
    check_one_framing(&sent.fields, control.framing);
    let count = |name| sent.fields.values(&out, name).count();
    assert_eq!(count(FieldName::Host), 1);
    for (name, value) in [
        (FieldName::XForwardedFor, &IDENTITY.peer),
        (FieldName::XRealIp, &IDENTITY.peer),
        (FieldName::XForwardedServer, &IDENTITY.hostname),
        (FieldName::XForwardedProto, &&b"http"[..]),
    ] {
        assert_eq!(sent.fields.values(&out, name).collect::<Vec<_>>(), [*value]);
    }
    for (name, span) in sent.fields.iter() {
        let value = span.value(&out);
        match name {
            FieldName::Connection => assert!(control.wants_upgrade && value == b"Upgrade"),
            FieldName::Upgrade => assert!(control.wants_upgrade),
            FieldName::Te => assert_eq!(value, b"trailers"),
            FieldName::Other => {
                assert!(!is_named_by_connection(bytes, &head.fields, span.name(&out)));
            }
            name => assert!(!is_of_one_connection(name), "{name:?} survived"),
        }
    }
    // A cookie line cannot be lost.
    let cookies: Vec<_> = head.fields.values(bytes, FieldName::Cookie).collect();
    assert_eq!(sent.fields.values(&out, FieldName::Cookie).collect::<Vec<_>>(), cookies);
}

fn check_response(bytes: &[u8], is_head_request: bool, client_minor: u8) {
    let mut head = ResponseHead::default();
    if parse_response(bytes, &LIMITS, &mut head) != Ok(Progress::Complete) {
        return;
    }
    let Ok(control) = response_control(bytes, &head, is_head_request) else { return };
    // As the delivery chooses: chunks for clients that know them.
    let framing = match control.framing {
        Framing::Chunked | Framing::UntilClose if client_minor == 1 => Framing::Chunked,
        Framing::Chunked => Framing::UntilClose,
        other => other,
    };
    let rewrite = ResponseRewrite {
        bytes,
        head: &head,
        control: &control,
        framing,
        client_minor,
        keep_alive: true,
        upgrades: false,
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
    };
    let mut out = Vec::new();
    write_response(&mut out, &rewrite, [&b"Set-Cookie: sid=1\r\n"[..]].into_iter());

    let mut sent = ResponseHead::default();
    assert_eq!(parse_response(&out, &ROOMY, &mut sent), Ok(Progress::Complete));
    assert_eq!((sent.bytes, sent.status, sent.minor), (out.len(), head.status, client_minor));
    let judged = response_control(&out, &sent, is_head_request).expect("what is sent is accepted");
    assert_eq!(judged.framing, framing, "the same body");
    if !has_no_body(head.status, is_head_request) {
        check_one_framing(&sent.fields, framing);
    }
    assert_eq!(sent.fields.first(&out, FieldName::SetCookie), Some(&b"sid=1"[..]));
    for (name, span) in sent.fields.iter() {
        let value = span.value(&out);
        match name {
            FieldName::Connection => assert_eq!(value, b"keep-alive"),
            FieldName::Trailer => {}
            name => assert!(!is_of_one_connection(name), "{name:?} survived"),
        }
    }
}

fn check_one_framing(fields: &Fields, framing: Framing) {
    let count = |wanted| fields.iter().filter(|(name, _)| *name == wanted).count();
    let lengths = count(FieldName::ContentLength);
    let codings = count(FieldName::TransferEncoding);
    match framing {
        Framing::Chunked => assert_eq!((lengths, codings), (0, 1)),
        Framing::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        Framing::Empty => assert!(lengths <= 1 && codings == 0),
        Framing::UntilClose => assert_eq!((lengths, codings), (0, 0)),
    }
}

fn is_of_one_connection(name: FieldName) -> bool {
    use FieldName as F;
    matches!(
        name,
        F::Connection
            | F::KeepAlive
            | F::ProxyConnection
            | F::ProxyAuthenticate
            | F::ProxyAuthorization
            | F::Trailer
            | F::Upgrade
            | F::Http2Settings
            | F::FramingAlias
            | F::Te
    )
}
