//! The chunked transfer coding (RFC 9112 §7.1), as a machine that can stop at any byte.
//!
//! Strict: hexadecimal digits only, CRLF only, extensions by their grammar and dropped, trailers
//! by the rules of fields. Bytes of the body are never copied here.

use std::ops::Range;

use super::fields::{FieldName, Fields, classify, is_token_byte};
use super::head::HeadLimits;

/// Digits of a chunk size, zeros in front included (B2).
const SIZE_DIGITS_MAX: u8 = 16;

/// Sizes from here on are refused, so that no arithmetic can overflow (B2).
const SIZE_END: u64 = 1 << 63;

/// Of the extensions of one chunk (http1 B7).
pub const EXTENSION_BYTES_MAX: u32 = 4 * 1024;

/// Of all extensions of a message (http1 B7).
pub const EXTENSIONS_BYTES_MAX: u32 = 16 * 1024;

/// Of a trailer section.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// Not chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkError;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    /// Within a size.
    Size,
    /// Within an extension.
    Extension(Extension),
    /// After the CR of a size line.
    SizeLf,
    /// Within data.
    Data,
    /// After data: CR.
    DataCr,
    /// After data: LF.
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// Within a trailer line.
    Trailer,
    /// After the CR of a trailer line.
    TrailerLf,
    /// After the CR of the last, empty line.
    EndLf,
    /// The body is whole.
    Done,
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`, blanks left out: no client sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    QuotedPair,
    QuotedEnd,
}

/// Decodes one chunked body.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    size: u64,
    digits: u8,
    extension_bytes: u32,
    extensions_bytes: u32,
    trailers: Vec<u8>,
}

impl ChunkDecoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins another body, keeps the memory.
    pub fn reset(&mut self) {
        self.trailers.clear();
        let trailers = std::mem::take(&mut self.trailers);
        *self = Self { trailers, ..Self::default() };
    }

    /// The last byte of the body has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on at `input[*at..]` up to the next piece of data, which it returns, or to the end of
    /// `input` or of the body. `at` moves behind what was read.
    ///
    /// # Errors
    /// [`ChunkError`] at the first byte that cannot be; the decoder is of no use after that.
    pub fn next_data(
        &mut self,
        input: &[u8],
        at: &mut usize,
    ) -> Result<Option<Range<usize>>, ChunkError> {
        while self.state != State::Done {
            let Some(byte) = input.get(*at) else { return Ok(None) };
            if self.state == State::Data {
                let available = input.len() - *at;
                let take = usize::try_from(self.size).map_or(available, |size| size.min(available));
                let start = *at;
                *at += take;
                self.size -= take as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Some(start..*at));
            }
            *at += 1;
            self.state = self.step(*byte)?;
        }
        Ok(None)
    }

    /// The state after one byte that is not data.
    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.push_digit(byte)
            }
            (State::Size, b'\r') => Ok(State::SizeLf),
            (State::Size, b';') => {
                self.extension_bytes = 0;
                Ok(State::Extension(Extension::NameStart))
            }
            (State::Extension(extension), byte) => self.step_extension(extension, byte),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(if self.size == 0 { State::TrailerStart } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => {
                self.check_trailers()?;
                Ok(State::Done)
            }
            (State::Trailer, b'\r') => self.push_trailer(byte, State::TrailerLf),
            (State::TrailerLf, b'\n') => self.push_trailer(byte, State::TrailerStart),
            (State::TrailerStart | State::Trailer, b'\n') => Err(ChunkError),
            (State::TrailerStart | State::Trailer, _) => self.push_trailer(byte, State::Trailer),
            _ => Err(ChunkError),
        }
    }

    fn push_digit(&mut self, byte: u8) -> Result<State, ChunkError> {
        let digit = char::from(byte).to_digit(16).ok_or(ChunkError)?;
        if self.digits == SIZE_DIGITS_MAX {
            return Err(ChunkError);
        }
        self.digits += 1;
        self.size = (self.size << 4) | u64::from(digit);
        if self.size >= SIZE_END {
            return Err(ChunkError);
        }
        Ok(State::Size)
    }

    fn step_extension(&mut self, extension: Extension, byte: u8) -> Result<State, ChunkError> {
        use Extension as E;
        self.extension_bytes += 1;
        self.extensions_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX
            || self.extensions_bytes > EXTENSIONS_BYTES_MAX
        {
            return Err(ChunkError);
        }
        let next = match (extension, byte) {
            (E::NameStart | E::Name, byte) if is_token_byte(byte) => E::Name,
            (E::ValueStart | E::Value, byte) if is_token_byte(byte) => E::Value,
            (E::Name, b'=') => E::ValueStart,
            (E::ValueStart, b'"') => E::Quoted,
            (E::Quoted, b'"') => E::QuotedEnd,
            (E::Quoted, b'\\') => E::QuotedPair,
            (E::Quoted | E::QuotedPair, b'\t' | b' '..=b'~' | 0x80..) => E::Quoted,
            (E::Name | E::Value | E::QuotedEnd, b';') => E::NameStart,
            (E::Name | E::Value | E::QuotedEnd, b'\r') => return Ok(State::SizeLf),
            _ => return Err(ChunkError),
        };
        Ok(State::Extension(next))
    }

    fn push_trailer(&mut self, byte: u8, next: State) -> Result<State, ChunkError> {
        if self.trailers.len() == TRAILER_BYTES_MAX {
            return Err(ChunkError);
        }
        self.trailers.push(byte);
        Ok(next)
    }

    /// Trailers obey the rules of fields (http1 B10).
    fn check_trailers(&mut self) -> Result<(), ChunkError> {
        if self.trailers.is_empty() {
            return Ok(());
        }
        self.trailers.extend_from_slice(b"\r\n");
        let mut fields = Fields::default();
        parse_trailers(&self.trailers, &mut fields)
    }

    /// Appends the trailers that may travel on as lines; framing, routing and credentials in a
    /// trailer are dropped (RFC 9110 §6.5.1, http1 B10).
    pub fn write_trailers(&self, out: &mut Vec<u8>) {
        let mut fields = Fields::default();
        if self.trailers.is_empty() || parse_trailers(&self.trailers, &mut fields).is_err() {
            return;
        }
        fields.copy_lines(&self.trailers, 0, out, |name, span| {
            name == FieldName::Other && !belongs_to_head(span.name(&self.trailers))
        });
    }
}

fn belongs_to_head(name: &[u8]) -> bool {
    [&b"content-"[..], b"x-forwarded-"].into_iter().any(|prefix| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

fn parse_trailers(bytes: &[u8], fields: &mut Fields) -> Result<(), ChunkError> {
    let limits = HeadLimits { bytes_max: usize::MAX, fields_max: 64, line_bytes_max: usize::MAX };
    super::head::parse_lines(bytes, &limits, fields).map_err(|_malformed| ChunkError)?;
    // An alias of a framing field has no business in a trailer either.
    if fields.iter().any(|(_, span)| classify(span.name(bytes)) == FieldName::FramingAlias) {
        return Err(ChunkError);
    }
    Ok(())
}

/// Appends a chunk's size line to `out`.
pub fn write_size_line(size: usize, out: &mut Vec<u8>) {
    let nibbles = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1) as usize;
    let mut digits = [0_u8; 16];
    if let Some(digits) = digits.get_mut(..nibbles) {
        fill_size(size, digits);
        out.extend_from_slice(digits);
    }
    out.extend_from_slice(b"\r\n");
}

/// Fills `digits` with `size` in hexadecimal, zeros in front.
pub fn fill_size(mut size: usize, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef".get(size & 0xf).copied().unwrap_or(b'0');
        size >>= 4;
    }
}

#[cfg(test)]
mod tests;
