//! What a client said, read by the letter of RFC 9112 and by nothing of the proxy: the judge of
//! everything that reaches an origin. Slow, plain and strict; where the standard leaves a choice,
//! the choice is to refuse (docs/threat-model.md). Never guesses: bytes are a request or they are
//! not. The recorder behind nginx and Caddy reads by it too.

mod body;
mod target;

use sha2::{Digest as _, Sha256};

/// A field that the generator puts into each request, and that must arrive with it.
const MARKER: &[u8] = b"x-marker";

/// A request as far as its bytes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As the proxy forwards it.
    pub(crate) target: String,
    /// Values of every marker that travels on, printable bytes only.
    pub(crate) markers: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// Fields behind the body.
    pub(crate) trailers: usize,
    /// The last byte of the body has come.
    pub(crate) is_whole: bool,
    /// The client ends the connection with this request.
    pub(crate) closes: bool,
    pub(crate) expects_continue: bool,
    /// `X-Understood-Target`, by which nginx and Caddy say what they have read.
    pub(crate) understood_target: Option<String>,
}

impl Request {
    /// Length and digest of the body.
    pub(crate) fn fingerprint(&self) -> (u64, String) {
        (self.body.len() as u64, digest(&self.body))
    }
}

/// The first 16 hexadecimal digits of the SHA-256.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Why there is no further request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Every byte belongs to a request.
    End,
    /// The last request asked for the end of the connection.
    Closing,
    /// More bytes might have made a request.
    Unfinished,
    /// Not a request, and why.
    Malformed(&'static str),
}

/// Reading came to the end of the bytes, or to a byte that cannot be.
type Read<T> = Result<T, Stop>;

/// One request at the start of `bytes`, and its length; a request whose body did not come whole
/// comes with the reason.
pub(crate) fn read_request(bytes: &[u8]) -> Read<(Request, Result<usize, Stop>)> {
    let mut at = 0;
    if bytes.starts_with(b"\r\n") {
        at = 2;
    }
    let line = read_line(bytes, &mut at)?;
    let mut fields = Vec::new();
    loop {
        match read_line(bytes, &mut at)? {
            b"" => break,
            line => fields.push(read_field(line)?),
        }
    }
    let (mut request, minor) = read_request_line(line)?;
    let framing = judge(&mut request, &fields, minor)?;
    let read = body::read(bytes, &mut at, framing, &mut request);
    request.is_whole = read.is_ok();
    Ok((request, read.map(|()| at)))
}

/// Every request of a connection, and why it ends.
pub(crate) fn read_connection(bytes: &[u8]) -> (Vec<Request>, Stop) {
    let mut requests: Vec<Request> = Vec::new();
    let mut at = 0;
    loop {
        if requests.last().is_some_and(|last| last.closes) {
            return (requests, Stop::Closing);
        }
        if at == bytes.len() {
            return (requests, Stop::End);
        }
        let (request, end) = match read_request(&bytes[at..]) {
            Ok(read) => read,
            Err(stop) => return (requests, stop),
        };
        requests.push(request);
        match end {
            Ok(length) => at += length,
            Err(stop) => return (requests, stop),
        }
    }
}

/// The bytes up to CRLF; CR and LF stand nowhere else.
fn read_line<'b>(bytes: &'b [u8], at: &mut usize) -> Read<&'b [u8]> {
    let rest = &bytes[*at..];
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).ok_or(Stop::Unfinished)?;
    match rest[end..] {
        [b'\r', b'\n', ..] => {
            *at += end + 2;
            Ok(&rest[..end])
        }
        [b'\r'] => Err(Stop::Unfinished),
        _ => Err(Stop::Malformed("a bare CR or LF")),
    }
}

fn is_token(text: &[u8]) -> bool {
    let is_letter = |byte: &u8| {
        matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') || b"!#$%&'*+-.^_`|~".contains(byte)
    };
    !text.is_empty() && text.iter().all(is_letter)
}

/// Name in lower case, and value without blanks around it.
fn read_field(line: &[u8]) -> Read<(Vec<u8>, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, rest) = line.split_at(colon.ok_or(Stop::Malformed("no colon"))?);
    if !is_token(name) {
        return Err(Stop::Malformed("a field name that is no token"));
    }
    let value = trim(&rest[1..]);
    if value.iter().any(|&byte| byte == 0x7f || byte < b' ' && byte != b'\t') {
        return Err(Stop::Malformed("a control byte in a value"));
    }
    Ok((name.to_ascii_lowercase(), value))
}

fn trim(text: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    &text[start..end]
}

/// Method and raw target, and the minor version.
fn read_request_line(line: &[u8]) -> Read<(Request, u8)> {
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, raw, version] = parts[..] else {
        return Err(Stop::Malformed("a request line that is not three words"));
    };
    let minor = match version {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        _ => return Err(Stop::Malformed("another version")),
    };
    if !is_token(method) || method == b"CONNECT" {
        return Err(Stop::Malformed("a method that is not forwarded"));
    }
    let target = target::normalise(method, raw)?;
    let method = printable(method);
    Ok((Request { method, target, ..Request::default() }, minor))
}

/// How the body ends.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked,
}

fn judge(request: &mut Request, fields: &[(Vec<u8>, &[u8])], minor: u8) -> Read<Framing> {
    let values = |name: &[u8]| -> Vec<&[u8]> {
        fields.iter().filter(|field| field.0 == name).map(|field| field.1).collect()
    };
    check_names(fields)?;
    match values(b"host")[..] {
        [] if minor == 0 => {}
        [host] if target::is_authority(host) || host.is_empty() => {}
        _ => return Err(Stop::Malformed("not one host")),
    }
    let options: Vec<String> = values(b"connection")
        .iter()
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(|option| String::from_utf8_lossy(trim(option)).to_ascii_lowercase())
        .collect();
    let has = |option: &str| options.iter().any(|it| it == option);
    request.closes = has("close") || minor == 0 && !has("keep-alive");
    if !has("x-marker") {
        request.markers = values(MARKER).into_iter().map(printable).collect();
    }
    request.understood_target =
        values(b"x-understood-target").first().map(|value| printable(value));
    for value in values(b"expect") {
        match value.to_ascii_lowercase()[..] {
            [] => {}
            ref it if it == b"100-continue" => request.expects_continue = minor == 1,
            _ => return Err(Stop::Malformed("an unknown expectation")),
        }
    }
    match (&values(b"content-length")[..], &values(b"transfer-encoding")[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => Ok(Framing::Length(read_length(length)?)),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && minor == 1 => {
            Ok(Framing::Chunked)
        }
        _ => Err(Stop::Malformed("a framing that is not one length and not chunked")),
    }
}

/// An underscore in the name of a framing field is how one server is made to see what another
/// does not.
fn check_names(fields: &[(Vec<u8>, &[u8])]) -> Read<()> {
    let is_alias = |name: &[u8]| name == b"content_length" || name == b"transfer_encoding";
    match fields.iter().any(|(name, _)| is_alias(name)) {
        true => Err(Stop::Malformed("an alias of a framing field")),
        false => Ok(()),
    }
}

fn read_length(value: &[u8]) -> Read<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| is_number);
    number.and_then(|it| it.parse().ok()).ok_or(Stop::Malformed("a length that is no number"))
}

/// Visible ASCII alone: what survives every log.
pub(crate) fn printable(bytes: &[u8]) -> String {
    bytes.iter().filter(|byte| byte.is_ascii_graphic()).map(|&byte| char::from(byte)).collect()
}

#[cfg(test)]
mod tests;
