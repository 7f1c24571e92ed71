//! Field names that the proxy treats specially, recognised without allocating.

use crate::observe::access_log::FieldSpan;

/// A field name as the proxy sees it; everything else is [`FieldName::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the fields' own")]
pub enum FieldName {
    Other,
    Authorization,
    Connection,
    ContentLength,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XForwardedServer,
    /// `X-Forwarded-{Uri,Method,Prefix,Tls-Client-Cert,Tls-Client-Cert-Info}`.
    XForwardedOther,
    XRealIp,
    /// A forwarded field spelled with an underscore: servers that map both to one name would take
    /// it for the proxy's own (http1 E3).
    ForwardedAlias,
    /// `Content_Length`, `Transfer_Encoding`: only smuggling spells them so (http1 A10).
    FramingAlias,
}

impl FieldName {
    /// `X-Forwarded-*` and `X-Real-Ip`: says who the client is.
    #[must_use]
    pub fn is_forwarded(self) -> bool {
        use FieldName as F;
        matches!(
            self,
            F::XForwardedFor
                | F::XForwardedHost
                | F::XForwardedPort
                | F::XForwardedProto
                | F::XForwardedServer
                | F::XForwardedOther
                | F::XRealIp
        )
    }
}

/// Whether the proxy alone decides about this field, so that `Connection: name` cannot take it
/// away (http1 D2).
#[must_use]
pub fn is_protected(name: FieldName) -> bool {
    use FieldName as F;
    name.is_forwarded()
        || matches!(
            name,
            F::Authorization
                | F::ContentLength
                | F::Cookie
                | F::Date
                | F::Expect
                | F::Forwarded
                | F::Host
                | F::SetCookie
        )
}

/// Recognises a field name, whatever its case.
#[must_use]
pub fn classify(name: &[u8]) -> FieldName {
    use FieldName as F;
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    let found = match name.len() {
        2 if is("te") => F::Te,
        4 if is("host") => F::Host,
        4 if is("date") => F::Date,
        6 if is("cookie") => F::Cookie,
        6 if is("expect") => F::Expect,
        7 if is("trailer") => F::Trailer,
        7 if is("upgrade") => F::Upgrade,
        9 if is("x-real-ip") => F::XRealIp,
        9 if is("forwarded") => F::Forwarded,
        10 if is("connection") => F::Connection,
        10 if is("keep-alive") => F::KeepAlive,
        10 if is("set-cookie") => F::SetCookie,
        13 if is("authorization") => F::Authorization,
        14 if is("content-length") => F::ContentLength,
        14 if is("http2-settings") => F::Http2Settings,
        15 if is("x-forwarded-for") => F::XForwardedFor,
        15 if is("x-forwarded-uri") => F::XForwardedOther,
        16 if is("proxy-connection") => F::ProxyConnection,
        16 if is("x-forwarded-host") => F::XForwardedHost,
        16 if is("x-forwarded-port") => F::XForwardedPort,
        17 if is("transfer-encoding") => F::TransferEncoding,
        17 if is("x-forwarded-proto") => F::XForwardedProto,
        18 if is("x-forwarded-server") => F::XForwardedServer,
        18 if is("x-forwarded-prefix") || is("x-forwarded-method") => F::XForwardedOther,
        18 if is("proxy-authenticate") => F::ProxyAuthenticate,
        19 if is("proxy-authorization") => F::ProxyAuthorization,
        27 if is("x-forwarded-tls-client-cert") => F::XForwardedOther,
        32 if is("x-forwarded-tls-client-cert-info") => F::XForwardedOther,
        _ => F::Other,
    };
    if found == F::Other && name.len() >= 9 && name.contains(&b'_') {
        return classify_alias(name);
    }
    found
}

#[cold]
fn classify_alias(name: &[u8]) -> FieldName {
    let mut dashed = [0_u8; 32];
    let Some(copy) = dashed.get_mut(..name.len()) else { return FieldName::Other };
    copy.copy_from_slice(name);
    for byte in copy.iter_mut() {
        if *byte == b'_' {
            *byte = b'-';
        }
    }
    use FieldName as F;
    match classify(copy) {
        F::ContentLength | F::TransferEncoding => F::FramingAlias,
        name if name.is_forwarded() => F::ForwardedAlias,
        _ => F::Other,
    }
}

/// The fields of one head: where they are and what they are called. Reused from exchange to
/// exchange.
#[derive(Debug, Default)]
pub struct Fields {
    spans: Vec<FieldSpan>,
    names: Vec<FieldName>,
    /// Offset of the empty line that ends the head.
    end: usize,
}

impl Fields {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.names.clear();
        self.end = 0;
    }

    /// Appends one field.
    pub fn push(&mut self, span: FieldSpan, name: FieldName) {
        self.spans.push(span);
        self.names.push(name);
    }

    /// Where the empty line begins.
    pub fn set_end(&mut self, end: usize) {
        self.end = end;
    }

    /// Moves every position by `by` bytes.
    pub fn shift(&mut self, by: u32) {
        for span in &mut self.spans {
            span.name_start += by;
            span.name_end += by;
            span.value_start += by;
            span.value_end += by;
        }
        self.end += by as usize;
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Positions, for the access log.
    #[must_use]
    pub fn spans(&self) -> &[FieldSpan] {
        &self.spans
    }

    /// Every field with its name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldName, &FieldSpan)> {
        self.names.iter().copied().zip(self.spans.iter())
    }

    /// Values of every field called `name`, in order.
    pub fn values<'a>(
        &'a self,
        bytes: &'a [u8],
        name: FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(found, _)| *found == name).map(|(_, span)| span.value(bytes))
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first<'a>(&'a self, bytes: &'a [u8], name: FieldName) -> Option<&'a [u8]> {
        self.values(bytes, name).next()
    }

    /// Whether there is a field called `name`.
    #[must_use]
    pub fn has(&self, name: FieldName) -> bool {
        self.names.contains(&name)
    }

    /// Copies the lines that `keep` keeps from `bytes` to `out`, as they came; neighbours are
    /// copied together. Everything between `from` and the first field (a start line) comes along.
    pub fn copy_lines(
        &self,
        bytes: &[u8],
        from: usize,
        out: &mut Vec<u8>,
        mut keep: impl FnMut(FieldName, &FieldSpan) -> bool,
    ) {
        let mut run_start = from;
        for (name, span) in self.iter() {
            let line_start = span.name_start as usize;
            if keep(name, span) {
                continue;
            }
            out.extend_from_slice(bytes.get(run_start..line_start).unwrap_or(&[]));
            run_start = self.line_end(bytes, span);
        }
        out.extend_from_slice(bytes.get(run_start..self.end).unwrap_or(&[]));
    }

    /// One past the LF of a field's line: blanks and CRLF follow the value.
    fn line_end(&self, bytes: &[u8], span: &FieldSpan) -> usize {
        let from = span.value_end as usize;
        let rest = bytes.get(from..self.end).unwrap_or(&[]);
        memchr::memchr(b'\n', rest).map_or(self.end, |offset| from + offset + 1)
    }
}

impl FieldSpan {
    /// The name's bytes.
    #[must_use]
    pub fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.name_start as usize..self.name_end as usize).unwrap_or(&[])
    }

    /// The value's bytes, without blanks around them.
    #[must_use]
    pub fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.value_start as usize..self.value_end as usize).unwrap_or(&[])
    }
}

/// Appends one field line; `name` brings its `: `.
pub(super) fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), blanks trimmed, empty ones left out.
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim_blanks).filter(|member| !member.is_empty())
}

/// Without spaces and tabs around it.
#[must_use]
pub fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// A token of RFC 9110 §5.6.2.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// One `tchar` of RFC 9110 §5.6.2.
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_whatever_their_case() {
        for (name, want) in [
            ("host", FieldName::Host),
            ("HOST", FieldName::Host),
            ("Transfer-Encoding", FieldName::TransferEncoding),
            ("transfer_encoding", FieldName::FramingAlias),
            ("Content_Length", FieldName::FramingAlias),
            ("X-Forwarded-For", FieldName::XForwardedFor),
            ("X_Forwarded-For", FieldName::ForwardedAlias),
            ("x_real_ip", FieldName::ForwardedAlias),
            ("X-Forwarded-Tls_Client-Cert-Info", FieldName::ForwardedAlias),
            ("X-Forwarded-Scheme", FieldName::Other),
            ("X_Custom_Name", FieldName::Other),
            ("", FieldName::Other),
            ("Set-Cookie", FieldName::SetCookie),
        ] {
            assert_eq!(classify(name.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn a_list_is_trimmed_and_skips_what_is_empty() {
        let members: Vec<&[u8]> = list_members(b" a ,, b\t,c").collect();
        assert_eq!(members, [&b"a"[..], b"b", b"c"]);
    }
}
