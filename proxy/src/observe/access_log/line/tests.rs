use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::Value as Json;
use sundew_config::model::{AccessLogFields, FieldMode};

use super::super::FieldSpan;
use super::*;
use crate::observe::outcome::StickyOutcome;

fn options(format: AccessLogFormat) -> AccessLogOptions {
    AccessLogOptions {
        file: None,
        format,
        buffering_lines: 0,
        filters: AccessLogFilters::default(),
        fields: AccessLogFields::default(),
        internals: false,
    }
}

fn record() -> AccessRecord<'static> {
    AccessRecord {
        started: UNIX_EPOCH + Duration::new(1_795_499_134, 911_489_930),
        duration: Duration::from_nanos(1_820_148),
        origin_duration: Some(Duration::from_nanos(742_873)),
        client: "127.0.0.1:56904".parse().unwrap(),
        client_host: None,
        entry_point: "web",
        method: b"GET",
        target: b"/a?x=1&y=2",
        protocol: "HTTP/1.1",
        host: b"h.test:81",
        scheme: "http",
        request_bytes: 5,
        status: 200,
        response_bytes: 27,
        origin_status: Some(200),
        origin_bytes: 27,
        router: Some("any@file"),
        service: Some("other@file"),
        server_url: Some("http://127.0.0.1:32943"),
        server_address: Some("127.0.0.1:32943"),
        request_count: 97,
        retries: 0,
        sticky: StickyOutcome::Pinned,
        request_fields: FieldLines::default(),
        origin_fields: FieldLines::default(),
    }
}

/// A head's bytes with their spans; lines are `name: value`.
fn head(lines: &[(&str, &[u8])]) -> (Vec<u8>, Vec<FieldSpan>) {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for (name, value) in lines {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        let value_start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(value);
        spans.push(FieldSpan {
            name_start: start,
            name_end: value_start - 2,
            value_start,
            value_end: u32::try_from(bytes.len()).unwrap(),
        });
        bytes.extend_from_slice(b"\r\n");
    }
    (bytes, spans)
}

fn line(options: &AccessLogOptions, record: &AccessRecord<'_>) -> Option<String> {
    let mut out = Vec::new();
    let is_kept = LineFormat::new(options).push(record, &mut out);
    assert_eq!(is_kept, !out.is_empty());
    if !is_kept {
        return None;
    }
    let line = String::from_utf8_lossy(&out).into_owned();
    Some(line.strip_suffix('\n').expect("a whole line").to_owned())
}

fn common(record: &AccessRecord<'_>) -> String {
    line(&options(AccessLogFormat::Common), record).unwrap()
}

#[test]
fn the_common_format_is_traefik_s() {
    assert_eq!(
        common(&record()),
        "127.0.0.1 - - [24/Nov/2026:05:45:34 +0000] \"GET /a?x=1&y=2 HTTP/1.1\" 200 27 \"-\" \"-\" \
         97 \"any@file\" \"http://127.0.0.1:32943\" 1ms"
    );
    let not_found = AccessRecord {
        router: None,
        service: None,
        server_url: None,
        server_address: None,
        status: 404,
        duration: Duration::from_micros(999),
        ..record()
    };
    let tail = common(&not_found);
    assert!(tail.ends_with(" 404 27 \"-\" \"-\" 97 \"-\" \"-\" 0ms"), "{tail}");
}

#[test]
fn generic_clf_stops_after_user_agent() {
    assert_eq!(
        line(&options(AccessLogFormat::GenericClf), &record()).unwrap(),
        "127.0.0.1 - - [24/Nov/2026:05:45:34 +0000] \"GET /a?x=1&y=2 HTTP/1.1\" 200 27 \"-\" \"-\""
    );
}

#[test]
fn client_host_is_the_forwarded_one_or_the_peer_s_address() {
    let first =
        |record: &AccessRecord<'_>| common(record).split(" - - ").next().unwrap().to_owned();
    assert_eq!(first(&AccessRecord { client_host: Some(b"1.2.3.4"), ..record() }), "1.2.3.4");
    let mapped = "[::ffff:10.0.0.1]:9".parse().unwrap();
    assert_eq!(first(&AccessRecord { client: mapped, ..record() }), "10.0.0.1");
    let v6 = "[2001:db8::1]:9".parse().unwrap();
    assert_eq!(first(&AccessRecord { client: v6, ..record() }), "2001:db8::1");
}

#[test]
fn nothing_that_a_peer_sent_can_forge_a_line() {
    let (bytes, spans) = head(&[("user-agent", b"a\"b\\c\x1b\n")]);
    let mut options = options(AccessLogFormat::Common);
    options.fields.headers = vec![("User-Agent".to_owned(), FieldMode::Keep)];
    let record = AccessRecord {
        target: b"/\"x\r\n",
        client_host: Some(b"1\n2"),
        request_fields: FieldLines { bytes: &bytes, spans: &spans },
        ..record()
    };
    let line = line(&options, &record).unwrap();
    assert!(line.starts_with("1\\x0a2 - - ["), "{line}");
    assert!(line.contains("\"GET /\\\"x\\x0d\\x0a HTTP/1.1\""), "{line}");
    assert!(line.contains("\"-\" \"a\\\"b\\c\\x1b\\x0a\" 97"), "{line}");
}

#[test]
fn referer_and_user_agent_are_kept_redacted_or_dropped() {
    let (bytes, spans) = head(&[("Referer", b"r1"), ("User-Agent", b"curl"), ("referer", b"r2")]);
    let fields = FieldLines { bytes: &bytes, spans: &spans };
    let record = AccessRecord { request_fields: fields, ..record() };
    let mut options = options(AccessLogFormat::Common);
    let middle = |options: &AccessLogOptions| {
        let line = line(options, &record).unwrap();
        line.split(" 200 27 ").nth(1).unwrap().split(" 97 ").next().unwrap().to_owned()
    };
    options.fields.header_default_mode = FieldMode::Keep;
    assert_eq!(middle(&options), "\"r1,r2\" \"curl\"");
    options.fields.headers = vec![("Referer".to_owned(), FieldMode::Redact)];
    assert_eq!(middle(&options), "\"REDACTED\" \"curl\"");
    options.fields.header_default_mode = FieldMode::Drop;
    assert_eq!(middle(&options), "\"REDACTED\" \"-\"");
}

#[test]
fn dropped_fields_leave_a_dash() {
    let mut options = options(AccessLogFormat::Common);
    options.fields.default_mode = FieldMode::Drop;
    assert_eq!(
        line(&options, &record()).unwrap(),
        "- - - [-] \"- - -\" - - \"-\" \"-\" - \"-\" \"-\" 0ms"
    );
    options.fields.names = vec![("RequestPath".to_owned(), FieldMode::Keep)];
    options.fields.query_default_mode = FieldMode::Drop;
    assert!(line(&options, &record()).unwrap().contains("\"- /a -\""));
    options.fields.query_default_mode = FieldMode::Redact;
    assert!(line(&options, &record()).unwrap().contains("\"- /a?x=1&y=2 -\""), "as Traefik");
}

#[test]
fn without_start_utc_the_common_format_has_local_time() {
    let mut options = options(AccessLogFormat::Common);
    options.fields.names = vec![("StartUTC".to_owned(), FieldMode::Drop)];
    let line = line(&options, &record()).unwrap();
    let mut stamp = Stamp::default();
    stamp.set(record().started);
    let local = std::str::from_utf8(stamp.common(true)).unwrap().to_owned();
    assert!(line.contains(&format!("[{local}]")), "{line}");
}

#[test]
fn a_json_line_has_traefik_s_members_in_its_order() {
    let line = line(&options(AccessLogFormat::Json), &record()).unwrap();
    let (head, tail) = line.split_once("\"StartLocal\":\"").unwrap();
    assert_eq!(
        head,
        "{\"ClientAddr\":\"127.0.0.1:56904\",\"ClientHost\":\"127.0.0.1\",\"ClientPort\":\"56904\",\
         \"ClientUsername\":\"-\",\"DownstreamContentSize\":27,\"DownstreamStatus\":200,\
         \"Duration\":1820148,\"OriginContentSize\":27,\"OriginDuration\":742873,\
         \"OriginStatus\":200,\"Overhead\":1077275,\"RequestAddr\":\"h.test:81\",\
         \"RequestContentSize\":5,\"RequestCount\":97,\"RequestHost\":\"h.test\",\
         \"RequestMethod\":\"GET\",\"RequestPath\":\"/a?x=1\\u0026y=2\",\"RequestPort\":\"81\",\
         \"RequestProtocol\":\"HTTP/1.1\",\"RequestScheme\":\"http\",\"RetryAttempts\":0,\
         \"RouterName\":\"any@file\",\"ServiceAddr\":\"127.0.0.1:32943\",\
         \"ServiceName\":\"other@file\",\"ServiceURL\":\"http://127.0.0.1:32943\","
    );
    let tail = tail.split_once("\",").unwrap().1;
    let (tail, _time) = tail.split_once("\"time\":\"").unwrap();
    assert_eq!(
        tail,
        "\"StartUTC\":\"2026-11-24T05:45:34.91148993Z\",\"StickyStatus\":\"pinned\",\
         \"entryPointName\":\"web\",\"level\":\"info\",\"msg\":\"\","
    );
}

#[test]
fn a_json_line_leaves_out_what_is_not_known() {
    let record = AccessRecord {
        origin_duration: None,
        origin_status: None,
        origin_bytes: 0,
        host: b"",
        router: None,
        service: None,
        server_url: None,
        server_address: None,
        ..record()
    };
    let json: Json =
        serde_json::from_str(&line(&options(AccessLogFormat::Json), &record).unwrap()).unwrap();
    for name in [
        "RequestAddr",
        "RequestHost",
        "RequestPort",
        "RouterName",
        "ServiceName",
        "ServiceAddr",
        "ServiceURL",
    ] {
        assert_eq!(json.get(name), None, "{name}");
    }
    assert_eq!(json["OriginStatus"], 0);
    assert_eq!(json["OriginDuration"], 0);
    assert_eq!(json["Overhead"], json["Duration"]);
    assert_eq!(json["GzipRatio"], 0, "sizes differ");
    let mut only_path = options(AccessLogFormat::Json);
    only_path.fields.default_mode = FieldMode::Drop;
    only_path.fields.names = vec![("RequestPath".to_owned(), FieldMode::Keep)];
    let line = line(&only_path, &record).unwrap();
    assert!(
        line.starts_with(
            "{\"RequestPath\":\"/a?x=1\\u0026y=2\",\"level\":\"info\",\"msg\":\"\",\"time\":\""
        ),
        "{line}"
    );
}

#[test]
fn kept_headers_are_sorted_and_joined_in_a_json_line() {
    let (bytes, spans) = head(&[
        ("x-a", b"1"),
        ("user-agent", b"cu\"rl"),
        ("Host", b"h"),
        ("X-A", b"2"),
        ("cookie", b"a=1"),
        ("Cookie", b"b=2"),
        ("x_b", b"3"),
    ]);
    let (origin_bytes, origin_spans) = head(&[("set-cookie", b"s=1")]);
    let record = AccessRecord {
        request_fields: FieldLines { bytes: &bytes, spans: &spans },
        origin_fields: FieldLines { bytes: &origin_bytes, spans: &origin_spans },
        ..record()
    };
    let mut options = options(AccessLogFormat::Json);
    options.fields.header_default_mode = FieldMode::Keep;
    options.fields.headers = vec![("X-A".to_owned(), FieldMode::Redact)];
    let line = line(&options, &record).unwrap();
    assert!(line.contains("\"downstream_Set-Cookie\":\"s=1\",\"entryPointName\""), "{line}");
    assert!(
        line.contains(
            "\"msg\":\"\",\"origin_Set-Cookie\":\"s=1\",\"request_Cookie\":\"a=1,b=2\",\
             \"request_User-Agent\":\"cu\\\"rl\",\"request_X-A\":\"REDACTED\",\"request_X_b\":\"3\",\
             \"time\":"
        ),
        "{line}"
    );
}

#[test]
fn any_filter_that_matches_keeps_a_line() {
    let mut options = options(AccessLogFormat::Common);
    options.filters = AccessLogFilters {
        status_codes: vec![(404, 404), (500, 599)],
        retry_attempts: true,
        duration_min: Some(Duration::from_secs(1)),
    };
    let is_kept = |record: &AccessRecord<'_>| line(&options, record).is_some();
    assert!(!is_kept(&record()));
    assert!(is_kept(&AccessRecord { status: 404, ..record() }));
    assert!(is_kept(&AccessRecord { status: 599, ..record() }));
    assert!(!is_kept(&AccessRecord { status: 403, ..record() }));
    assert!(is_kept(&AccessRecord { retries: 1, ..record() }));
    assert!(is_kept(&AccessRecord { duration: Duration::from_secs(1), ..record() }));
}

#[test]
fn internal_routers_are_logged_when_asked_for() {
    let ping = AccessRecord { router: Some("ping@internal"), ..record() };
    let mut options = options(AccessLogFormat::Common);
    assert_eq!(line(&options, &ping), None);
    options.internals = true;
    assert!(line(&options, &ping).is_some());
}

proptest! {
    #[test]
    fn any_record_is_one_line_and_json_reads_back(
        method: Vec<u8>, target: Vec<u8>, host: Vec<u8>, value: Vec<u8>, json: bool,
    ) {
        let (bytes, spans) = head(&[("X-A", &value)]);
        let record = AccessRecord {
            method: &method,
            target: &target,
            host: &host,
            client_host: Some(&value),
            request_fields: FieldLines { bytes: &bytes, spans: &spans },
            ..record()
        };
        let format = if json { AccessLogFormat::Json } else { AccessLogFormat::Common };
        let mut options = options(format);
        options.fields.header_default_mode = FieldMode::Keep;
        let line = line(&options, &record).unwrap();
        prop_assert!(!line.contains(|it: char| it.is_ascii_control()) || json);
        prop_assert!(!line.contains('\n'));
        if json {
            let read: Json = serde_json::from_str(&line).unwrap();
            prop_assert!(read["RequestPath"].is_string());
        }
    }
}
