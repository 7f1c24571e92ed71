//! A trusting reader of HTTP/1.1 over whole streams, written apart from the proxy's parsers so that
//! the one can judge the other: what it makes of bytes that the proxy refuses does not matter.

/// A start line and its fields.
#[derive(Clone, Debug, Default)]
pub struct Head<'a> {
    /// The start line's words.
    pub words: Vec<&'a [u8]>,
    /// Names and trimmed values.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
    /// Length, an empty line before it included.
    pub bytes: usize,
}

impl<'a> Head<'a> {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        let mut all = self.fields.iter();
        all.find(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| *value)
    }

    /// The status of a response; 0 for none.
    pub fn status(&self) -> u16 {
        let word = self.words.get(1).and_then(|word| std::str::from_utf8(word).ok());
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// How far a body has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Decoded.
    pub bytes: Vec<u8>,
    /// Of the stream.
    pub raw_bytes: usize,
    /// It came to its end.
    pub is_whole: bool,
}

/// A request with its place in the stream.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its head.
    pub head: Head<'a>,
    /// Its body.
    pub body: Body,
    /// Where its last byte ends.
    pub end: usize,
}

/// A final response, with what came before it.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// Its head.
    pub head: Head<'a>,
    /// Its body.
    pub body: Body,
    /// Everything, interim responses included.
    pub raw: &'a [u8],
    /// How much of it is interim responses.
    pub interim_bytes: usize,
    /// What follows is a tunnel.
    pub is_tunnel: bool,
}

/// How the stream that a response is read from has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    #[default]
    Open,
    /// A FIN.
    Finished,
    /// A reset, which may have lost bytes.
    Reset,
}

/// The head at the start of `bytes`; `None` when its end is not there.
pub fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let rest = &bytes[skipped..];
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = split_lines(&rest[..end]).into_iter();
    let words = lines.next().unwrap_or(b"").split(|byte| *byte == b' ').collect();
    let fields = lines.map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        (&line[..colon], trim(line.get(colon + 1..).unwrap_or(b"")))
    });
    Some(Head { words, fields: fields.collect(), bytes: skipped + end + 4 })
}

/// Every request of a client's stream, the last perhaps with a part of its body.
pub fn requests(stream: &[u8]) -> Vec<Request<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = head(&stream[at..]) {
        let body = request_body(&head, &stream[at + head.bytes..]);
        at += head.bytes + body.raw_bytes;
        let is_whole = body.is_whole;
        found.push(Request { head, body, end: at });
        if !is_whole {
            break;
        }
    }
    found
}

/// The body behind a request's head.
pub fn request_body(head: &Head<'_>, rest: &[u8]) -> Body {
    if head.field("transfer-encoding").is_some() {
        return chunks(rest);
    }
    length(head.field("content-length").and_then(number).unwrap_or(0), rest)
}

/// The first final response in `stream` to a request with `method`; `None` when none has begun.
pub fn response<'a>(stream: &'a [u8], method: &[u8], end: End) -> Option<Response<'a>> {
    let mut at = 0;
    loop {
        let head = head(&stream[at..])?;
        let interim_bytes = at;
        at += head.bytes;
        let status = head.status();
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let rest = &stream[at..];
        let body = if method == b"HEAD" || matches!(status, 101 | 204 | 304) {
            Body { is_whole: true, ..Body::default() }
        } else if head.field("transfer-encoding").is_some() {
            chunks(rest)
        } else if let Some(value) = head.field("content-length") {
            length(number(value)?, rest)
        } else {
            Body { bytes: rest.to_vec(), raw_bytes: rest.len(), is_whole: end == End::Finished }
        };
        let raw = &stream[..at + body.raw_bytes];
        return Some(Response { head, body, raw, interim_bytes, is_tunnel: status == 101 });
    }
}

fn length(length: usize, rest: &[u8]) -> Body {
    let taken = length.min(rest.len());
    Body { bytes: rest[..taken].to_vec(), raw_bytes: taken, is_whole: taken == length }
}

fn chunks(rest: &[u8]) -> Body {
    let mut body = Body::default();
    let mut at = 0;
    loop {
        body.raw_bytes = at.min(rest.len());
        let tail = rest.get(at..).unwrap_or(b"");
        let Some(line) = tail.windows(2).position(|pair| pair == b"\r\n") else { break };
        let digits = tail[..line].split(|byte| *byte == b';').next().unwrap_or(b"");
        let digits = std::str::from_utf8(digits).unwrap_or("");
        let Ok(size) = usize::from_str_radix(digits, 16) else { return body };
        at += line + 2;
        if size == 0 {
            let trailers = &rest[at - 2..];
            if let Some(end) = trailers.windows(4).position(|four| four == b"\r\n\r\n") {
                return Body { raw_bytes: at + end + 2, is_whole: true, ..body };
            }
            break;
        }
        let there = &rest[at..];
        body.bytes.extend_from_slice(&there[..size.min(there.len())]);
        at = at.saturating_add(size).saturating_add(2);
        if at > rest.len() {
            break;
        }
    }
    body.raw_bytes = rest.len();
    body
}

fn number(value: &[u8]) -> Option<usize> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn split_lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&bytes[..end]);
        bytes = &bytes[end + 2..];
    }
    lines.push(bytes);
    lines
}
