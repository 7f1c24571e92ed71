//! Reading one response: head by httparse, framing by RFC 9112 §6.3, strictly. Shares nothing
//! with the proxy's parser. Does no input or output; the connection feeds it bytes.

/// Longest head; a longer one is a protocol error.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most fields of a head.
const FIELDS_MAX: usize = 64;
/// Longest line of a chunk's size, extensions included, and of a trailer.
const LINE_BYTES_MAX: usize = 4096;

/// What a head says about itself and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Status code.
    pub(super) status: u16,
    /// Bytes of the head, its empty line included.
    pub(super) bytes: usize,
    /// Where the body ends.
    pub(super) body: Body,
    /// The connection ends with the body.
    pub(super) is_last: bool,
}

/// A body, and what of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Whatever comes until the connection ends.
    UntilClose,
}

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In a line with a size.
    Size,
    /// In a chunk with so many bytes to come.
    Inside(u64),
    /// In the line break behind a chunk.
    Break,
    /// In the trailer section.
    Trailers,
    /// Behind the last byte.
    Done,
}

/// Reads a head off the front of `bytes` and shows each field to `field`; `None` while it is not
/// whole. `is_head` says that the request was a HEAD.
///
/// # Errors
/// What RFC 9112 does not allow, in words.
pub(super) fn parse_head(
    bytes: &[u8],
    is_head: bool,
    mut field: impl FnMut(&str, &[u8]),
) -> Result<Option<Head>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(it)) => it,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => return Err("a long head"),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("a malformed head"),
    };
    let status = response.code.unwrap_or_default();
    let mut length: Option<u64> = None;
    let mut is_chunked = false;
    let mut is_last = response.version == Some(0);
    for it in &*response.headers {
        if it.name.eq_ignore_ascii_case("content-length") {
            let value = digits(it.value).ok_or("a malformed Content-Length")?;
            if length.is_some_and(|known| known != value) {
                return Err("two lengths");
            }
            length = Some(value);
        } else if it.name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || !it.value.eq_ignore_ascii_case(b"chunked") {
                return Err("a transfer coding other than chunked");
            }
            is_chunked = true;
        } else if it.name.eq_ignore_ascii_case("connection") {
            let mut options = it.value.split(|it| *it == b',');
            is_last |= options.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        field(it.name, it.value);
    }
    let body = match (length, is_chunked) {
        // RFC 9112 §6.3: both may be smuggling.
        (Some(_), true) => return Err("a length beside a transfer coding"),
        _ if is_head || matches!(status, 100..=199 | 204 | 304) => Body::Length(0),
        (None, true) => Body::Chunked(Chunk::Size),
        (Some(length), false) => Body::Length(length),
        (None, false) => Body::UntilClose,
    };
    is_last |= body == Body::UntilClose;
    Ok(Some(Head { status, bytes: head_bytes, body, is_last }))
}

fn digits(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

impl Body {
    /// Nothing of it is to come.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// Takes what it can off the front of `bytes`, shows the content to `content`, and says how
    /// many bytes that were.
    ///
    /// # Errors
    /// Malformed chunks, in words.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut content: impl FnMut(&[u8]),
    ) -> Result<usize, &'static str> {
        let mut at = 0;
        while !self.is_done() {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let taken = match self {
                Self::UntilClose => {
                    content(rest);
                    rest.len()
                }
                Self::Length(left) | Self::Chunked(Chunk::Inside(left)) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    content(rest.get(..taken).unwrap_or_default());
                    *left -= taken as u64;
                    taken
                }
                Self::Chunked(chunk) => match chunk.take_line(rest)? {
                    Some(taken) => taken,
                    None => break,
                },
            };
            if *self == Self::Chunked(Chunk::Inside(0)) {
                *self = Self::Chunked(Chunk::Break);
            }
            at += taken;
        }
        Ok(at)
    }
}

impl Chunk {
    /// Takes one line off the front of `rest` and moves on; `None` while it is not whole.
    fn take_line(&mut self, rest: &[u8]) -> Result<Option<usize>, &'static str> {
        let Some(end) = rest.iter().position(|it| *it == b'\n') else {
            let is_long = rest.len() > LINE_BYTES_MAX;
            return if is_long { Err("a long line in a chunked body") } else { Ok(None) };
        };
        let line = rest.get(..end).and_then(|it| it.strip_suffix(b"\r"));
        let line = line.ok_or("a line of a chunked body that ends without CR")?;
        *self = match self {
            Self::Size => match chunk_size(line).ok_or("a malformed chunk size")? {
                0 => Self::Trailers,
                size => Self::Inside(size),
            },
            Self::Break if line.is_empty() => Self::Size,
            Self::Break => return Err("bytes behind the end of a chunk"),
            Self::Trailers if line.is_empty() => Self::Done,
            Self::Inside(_) | Self::Trailers | Self::Done => *self,
        };
        Ok(Some(end + 1))
    }
}

/// RFC 9112 §7.1: hexadecimal digits, then maybe extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|it| matches!(it, b';' | b' ' | b'\t')).next()?;
    let is_number = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(size).ok().filter(|_| is_number)?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
#[path = "response/tests.rs"]
mod tests;
