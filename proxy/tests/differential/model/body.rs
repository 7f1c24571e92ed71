//! Bodies by the letter: a length, or the chunked coding. Called by the model alone.

use super::{Framing, Read, Request, Stop, check_names, is_token, read_field, read_line};

/// Reads the body at `at`, and moves `at` behind it.
pub(super) fn read(
    bytes: &[u8],
    at: &mut usize,
    framing: Framing,
    request: &mut Request,
) -> Read<()> {
    match framing {
        Framing::Length(length) => {
            let length = usize::try_from(length).map_err(|_| Stop::Unfinished)?;
            request.body = take(bytes, at, length)?.to_vec();
            Ok(())
        }
        Framing::Chunked => read_chunks(bytes, at, request),
    }
}

fn take<'b>(bytes: &'b [u8], at: &mut usize, length: usize) -> Read<&'b [u8]> {
    let end = at.checked_add(length).ok_or(Stop::Unfinished)?;
    let taken = bytes.get(*at..end).ok_or(Stop::Unfinished)?;
    *at = end;
    Ok(taken)
}

fn read_chunks(bytes: &[u8], at: &mut usize, request: &mut Request) -> Read<()> {
    loop {
        let size = read_size(read_line(bytes, at)?)?;
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).map_err(|_| Stop::Unfinished)?;
        request.body.extend_from_slice(take(bytes, at, size)?);
        match bytes.get(*at..).unwrap_or(&[]) {
            [b'\r', b'\n', ..] => *at += 2,
            [] | [b'\r'] => return Err(Stop::Unfinished),
            _ => return Err(Stop::Malformed("no CRLF behind a chunk")),
        }
    }
    let mut trailers = Vec::new();
    loop {
        match read_line(bytes, at)? {
            b"" => break,
            line => trailers.push(read_field(line)?),
        }
    }
    check_names(&trailers)?;
    request.trailers = trailers.len();
    Ok(())
}

/// `1*HEXDIG *( ";" name [ "=" ( token / quoted-string ) ] )`, no blanks.
fn read_size(line: &[u8]) -> Read<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, mut extensions) = line.split_at(digits);
    while let [b';', rest @ ..] = extensions {
        extensions = skip_extension(rest).ok_or(Stop::Malformed("a chunk extension"))?;
    }
    let size = std::str::from_utf8(size).ok().and_then(|it| u64::from_str_radix(it, 16).ok());
    match (size, extensions) {
        (Some(size), []) => Ok(size),
        _ => Err(Stop::Malformed("a chunk size")),
    }
}

/// What stands behind one extension.
fn skip_extension(text: &[u8]) -> Option<&[u8]> {
    let text = skip_token(text)?;
    let [b'=', value @ ..] = text else { return Some(text) };
    match value {
        [b'"', quoted @ ..] => skip_quoted(quoted),
        token => skip_token(token),
    }
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|&&byte| is_token(&[byte])).count();
    (length > 0).then(|| &text[length..])
}

fn skip_quoted(mut text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    loop {
        text = match *text {
            [b'"', ref rest @ ..] => return Some(rest),
            [b'\\', byte, ref rest @ ..] if is_text(byte) => rest,
            [byte, ref rest @ ..] if is_text(byte) && byte != b'\\' => rest,
            _ => return None,
        };
    }
}
