//! Parsing heads: httparse finds the slices, one strict pass over the same bytes refuses what it
//! lets through (bare LF, several empty lines, loose bytes in targets).

use std::mem::MaybeUninit;

use httparse::Header;
use sundew_config::model::Limits;

use super::fields::{Fields, classify};
use crate::observe::access_log::FieldSpan;

/// Longest method (http1 C12).
pub const METHOD_BYTES_MAX: usize = 32;

/// Fields that are parsed without allocating: the default limit.
const FIELDS_INLINE: usize = Limits::HEAD_FIELDS_MAX;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Of the whole head, in bytes.
    pub bytes_max: usize,
    /// Fields.
    pub fields_max: usize,
    /// Of the request line, in bytes.
    pub line_bytes_max: usize,
}

/// Bytes of something in a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl Span {
    /// The bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or(&[])
    }

    /// Where `part`, a slice of `bytes`, lies in it.
    #[must_use]
    pub fn within(bytes: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        Self { start, end: start.saturating_add(length) }
    }
}

/// A parsed request head; everything points into the bytes that it was parsed from.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// Method token.
    pub method: Span,
    /// Target as received.
    pub target: Span,
    /// Minor version, 0 or 1.
    pub minor: u8,
    /// Fields.
    pub fields: Fields,
    /// Length of the head, the empty line and a skipped leading CRLF included.
    pub bytes: usize,
}

/// A parsed response head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Three digits.
    pub status: u16,
    /// Minor version, 0 or 1.
    pub minor: u8,
    /// Length of the status line with its CRLF.
    pub line_bytes: usize,
    /// Fields.
    pub fields: Fields,
    /// Length of the head, the empty line included.
    pub bytes: usize,
}

/// How far parsing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The head is whole.
    Complete,
    /// More bytes are needed.
    Partial,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Malformed.
    Malformed,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
    /// The request line is longer than its limit.
    LineTooLong,
    /// The head is longer, or has more fields, than its limit.
    TooLarge,
    /// A TLS handshake on a plain port (http1 C25): not answered at all.
    Tls,
}

/// Whether `bytes`, of which the last `fresh` are new, hold the end of a head; so that a head that
/// comes in small pieces is not parsed for each of them.
#[must_use]
pub fn has_end(bytes: &[u8], fresh: usize) -> bool {
    let from = bytes.len().saturating_sub(fresh + 3);
    let tail = bytes.get(from..).unwrap_or(&[]);
    memchr::memchr_iter(b'\n', tail)
        .any(|at| matches!(tail.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// Parses the request head at the start of `bytes` into `head`.
///
/// # Errors
/// [`HeadError`]; http1 A10, C1–C13, C19, C22–C25 name the rules.
pub fn parse_request(
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Progress, HeadError> {
    head.fields.clear();
    (head.method, head.target) = (Span::default(), Span::default());
    (head.minor, head.bytes) = (1, 0);
    if bytes.first() == Some(&0x16) {
        return Err(HeadError::Tls);
    }
    // C13: one empty line before the request line is skipped.
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let rest = bytes.get(skipped..).unwrap_or(&[]);
    if matches!(rest.first(), Some(b'\r' | b'\n')) && !(skipped == 0 && rest.len() == 1) {
        return Err(HeadError::Malformed);
    }
    let parsed = with_headers(rest, limits.fields_max, |headers| {
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(rest, headers);
        let parsed = finish_request(rest, &request, status, limits, head);
        parsed
    })?;
    if parsed == Progress::Partial {
        return check_partial_request(rest, limits);
    }
    shift(head, skipped);
    Ok(Progress::Complete)
}

/// Calls `parse` with room for `fields_max` headers: on the stack for the usual limit.
fn with_headers<'b, R>(
    bytes: &'b [u8],
    fields_max: usize,
    parse: impl FnOnce(&mut [MaybeUninit<Header<'b>>]) -> R,
) -> R {
    if fields_max <= FIELDS_INLINE {
        let mut headers = [const { MaybeUninit::uninit() }; FIELDS_INLINE];
        return parse(headers.get_mut(..fields_max).unwrap_or(&mut []));
    }
    let lines = memchr::memchr_iter(b'\n', bytes).count().min(fields_max);
    let mut headers = Vec::new();
    headers.resize_with(lines, MaybeUninit::uninit);
    parse(&mut headers)
}

fn finish_request(
    bytes: &[u8],
    request: &httparse::Request<'_, '_>,
    status: httparse::Result<usize>,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Progress, HeadError> {
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Progress::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(httparse::Error::Version) => return Err(version_error(bytes)),
        Err(_) => return Err(HeadError::Malformed),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(HeadError::Malformed);
    };
    head.method = Span::within(bytes, method.as_bytes());
    head.target = Span::within(bytes, target.as_bytes());
    head.minor = minor;
    head.bytes = length;
    // `METHOD SP target SP HTTP/1.x CRLF`, with single spaces.
    let line_end = head.target.end as usize + " HTTP/1.x\r\n".len();
    if head.method.start != 0
        || head.target.start != head.method.end + 1
        || bytes.get(line_end - 2..line_end) != Some(b"\r\n")
    {
        return Err(HeadError::Malformed);
    }
    if method.len() > METHOD_BYTES_MAX {
        return Err(HeadError::Malformed);
    }
    if line_end > limits.line_bytes_max {
        return Err(HeadError::LineTooLong);
    }
    if length > limits.bytes_max {
        return Err(HeadError::TooLarge);
    }
    take_fields(bytes, request.headers, line_end, length, &mut head.fields)?;
    Ok(Progress::Complete)
}

/// The strict pass over the lines: each ends with CRLF and begins where the last one ended.
fn take_fields(
    bytes: &[u8],
    headers: &[Header<'_>],
    first_line: usize,
    head_bytes: usize,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    let mut line_start = first_line;
    for header in headers {
        let name = Span::within(bytes, header.name.as_bytes());
        if name.start as usize != line_start {
            return Err(HeadError::Malformed);
        }
        // An empty value is a slice of nowhere.
        let value = match header.value {
            [] => Span { start: name.end + 1, end: name.end + 1 },
            value => Span::within(bytes, value),
        };
        let rest = bytes.get(value.end as usize..).unwrap_or(&[]);
        let Some(newline) = memchr::memchr(b'\n', rest) else { return Err(HeadError::Malformed) };
        if newline == 0 || rest.get(newline - 1) != Some(&b'\r') {
            return Err(HeadError::Malformed);
        }
        line_start = value.end as usize + newline + 1;
        let span = FieldSpan {
            name_start: name.start,
            name_end: name.end,
            value_start: value.start,
            value_end: value.end,
        };
        fields.push(span, classify(header.name.as_bytes()));
    }
    if bytes.get(line_start..line_start + 2) != Some(b"\r\n") || line_start + 2 != head_bytes {
        return Err(HeadError::Malformed);
    }
    fields.set_end(line_start);
    Ok(())
}

/// Limits that an unfinished head has passed already.
fn check_partial_request(bytes: &[u8], limits: &HeadLimits) -> Result<Progress, HeadError> {
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.line_bytes_max {
        return Err(HeadError::LineTooLong);
    }
    if bytes.len() >= limits.bytes_max {
        return Err(HeadError::TooLarge);
    }
    Ok(Progress::Partial)
}

/// `HTTP/d.d` is a version that is not spoken here; anything else is malformed.
fn version_error(bytes: &[u8]) -> HeadError {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let has_three_parts = line.iter().filter(|byte| **byte == b' ').count() == 2;
    match line {
        _ if !has_three_parts => HeadError::Malformed,
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            HeadError::Version
        }
        _ => HeadError::Malformed,
    }
}

fn shift(head: &mut RequestHead, by: usize) {
    if by == 0 {
        return;
    }
    let by32 = u32::try_from(by).unwrap_or(0);
    for span in [&mut head.method, &mut head.target] {
        span.start += by32;
        span.end += by32;
    }
    head.fields.shift(by32);
    head.bytes += by;
}

/// Parses the response head at the start of `bytes` into `head`.
///
/// # Errors
/// [`HeadError`]; http1 D16 and D17 name the rules.
pub fn parse_response(
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<Progress, HeadError> {
    head.fields.clear();
    with_headers(bytes, limits.fields_max, |headers| {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut response, bytes, headers);
        finish_response(bytes, &response, status, limits, head)
    })
}

fn finish_response(
    bytes: &[u8],
    response: &httparse::Response<'_, '_>,
    status: httparse::Result<usize>,
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<Progress, HeadError> {
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= limits.bytes_max => {
            return Err(HeadError::TooLarge);
        }
        Ok(httparse::Status::Partial) => return Ok(Progress::Partial),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Malformed),
    };
    let (Some(code), Some(minor)) = (response.code, response.version) else {
        return Err(HeadError::Malformed);
    };
    if length > limits.bytes_max {
        return Err(HeadError::TooLarge);
    }
    let line_bytes = memchr::memchr(b'\n', bytes).map_or(0, |at| at + 1);
    // httparse skips empty lines before the status line.
    if !bytes.starts_with(b"HTTP/1.") || code < 100 {
        return Err(HeadError::Malformed);
    }
    let line = bytes.get(..line_bytes).unwrap_or(&[]);
    let Some(line) = line.strip_suffix(b"\r\n") else { return Err(HeadError::Malformed) };
    if line.contains(&b'\r') {
        return Err(HeadError::Malformed);
    }
    head.status = code;
    head.minor = minor;
    head.line_bytes = line_bytes;
    head.bytes = length;
    take_fields(bytes, response.headers, line_bytes, length, &mut head.fields)?;
    Ok(Progress::Complete)
}

/// Parses field lines and the empty line behind them, nothing before (a trailer section).
///
/// # Errors
/// [`HeadError`], also when the lines do not end.
pub fn parse_lines(
    bytes: &[u8],
    limits: &HeadLimits,
    fields: &mut Fields,
) -> Result<(), HeadError> {
    fields.clear();
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_INLINE];
    let room = headers.get_mut(..limits.fields_max.min(FIELDS_INLINE)).unwrap_or(&mut []);
    match httparse::parse_headers(bytes, room) {
        Ok(httparse::Status::Complete((length, headers))) => {
            take_fields(bytes, headers, 0, length, fields)
        }
        Ok(httparse::Status::Partial) => Err(HeadError::Malformed),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLarge),
        Err(_) => Err(HeadError::Malformed),
    }
}

#[cfg(test)]
mod tests;
