//! The WebSocket server that echoes (RFC 6455): the opening answer, and frames that come back
//! unmasked. Knows no messages: a fragment comes back as a fragment. Called by `origin` for a
//! request that asks for the protocol.

use std::io;

use monoio::io::AsyncWriteRentExt as _;
use monoio::net::TcpStream;
use sha1::{Digest as _, Sha1};

use super::{fill, read_more};

/// RFC 6455 §1.3: what a key is hashed with.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Largest frame; a larger one ends the connection.
const FRAME_BYTES_MAX: u64 = 16 * 1024 * 1024;
const OPCODE_CLOSE: u8 = 0x8;
const OPCODE_PING: u8 = 0x9;
const OPCODE_PONG: u8 = 0xa;

/// Accepts with `key` and echoes until the client closes; `buffer` holds what came behind the head.
pub(super) async fn echo(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    key: &str,
    name: &str,
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nX-Server: {name}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    stream.write_all(head.into_bytes()).await.0?;
    loop {
        let frame = loop {
            if let Some(frame) = Frame::parse(buffer)? {
                break frame;
            }
            if buffer.is_empty() {
                if !read_more(stream, buffer).await? {
                    return Ok(());
                }
            } else {
                fill(stream, buffer).await?;
            }
        };
        let answer = frame.answer(buffer);
        buffer.drain(..frame.end);
        if !answer.is_empty() {
            stream.write_all(answer).await.0?;
        }
        if frame.opcode() == OPCODE_CLOSE {
            return Ok(());
        }
    }
}

/// RFC 6455 §4.2.2: proof that the key was read.
fn accept(key: &str) -> String {
    base64(&Sha1::digest(format!("{key}{GUID}")))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..4 {
            let is_filled = digit <= group.len();
            let at = (bits >> (18 - 6 * digit)) & 63;
            text.push(if is_filled { char::from(DIGITS[at]) } else { '=' });
        }
    }
    text
}

/// A whole frame of a client, in the buffer.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    first: u8,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

impl Frame {
    /// The frame at the front of `bytes`; `None` while it is not whole.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
        // RFC 6455 §5.1: a client masks.
        if second & 0x80 == 0 {
            return Err(io::Error::other("a frame without mask"));
        }
        let (length, at) = match second & 0x7f {
            126 => match bytes.get(2..4).and_then(|it| it.try_into().ok()) {
                Some(it) => (u64::from(u16::from_be_bytes(it)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|it| it.try_into().ok()) {
                Some(it) => (u64::from_be_bytes(it), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other("a frame that is too large"));
        }
        let Some(mask) = bytes.get(at..at + 4).and_then(|it| it.try_into().ok()) else {
            return Ok(None);
        };
        let start = at + 4;
        let end = start + length as usize;
        Ok((bytes.len() >= end).then_some(Self { first: *first, mask, start, end }))
    }

    fn opcode(&self) -> u8 {
        self.first & 0xf
    }

    /// The same frame from a server; a pong for a ping, and nothing for a pong.
    fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        let first = match self.opcode() {
            OPCODE_PING => 0x80 | OPCODE_PONG,
            OPCODE_PONG => return Vec::new(),
            _ => self.first,
        };
        let content = &bytes[self.start..self.end];
        let mut answer = vec![first];
        match content.len() {
            length @ 0..=125 => answer.push(length as u8),
            length @ 126..=0xffff => {
                answer.push(126);
                answer.extend((length as u16).to_be_bytes());
            }
            length => {
                answer.push(127);
                answer.extend((length as u64).to_be_bytes());
            }
        }
        answer.extend(content.iter().zip(self.mask.iter().cycle()).map(|(it, mask)| it ^ mask));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_gets_the_answer_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn frames_of_every_length_come_back_unmasked() {
        for length in [0_usize, 1, 125, 126, 127, 0xffff, 0x10000] {
            let mask = [1, 2, 3, 4];
            let head = match length {
                0..=125 => vec![0x82, 0x80 | length as u8],
                126..=0xffff => [&[0x82, 0xfe][..], &(length as u16).to_be_bytes()].concat(),
                _ => [&[0x82, 0xff][..], &(length as u64).to_be_bytes()].concat(),
            };
            let masked = (0..length).map(|at| b'a' ^ mask[at % 4]).collect::<Vec<u8>>();
            let wire = [head.as_slice(), &mask, &masked].concat();
            for cut in [0, 1, 2, head.len(), wire.len() - 1] {
                assert_eq!(
                    Frame::parse(&wire[..cut]).expect("no error"),
                    None,
                    "{length} at {cut}"
                );
            }
            let frame = Frame::parse(&wire).expect("a frame").expect("a whole frame");
            let answer = frame.answer(&wire);
            assert_eq!(frame.end, wire.len());
            assert_eq!(answer[0], 0x82);
            assert_eq!(answer[1] & 0x80, 0, "a server does not mask");
            assert_eq!(answer.len(), wire.len() - 4);
            assert!(answer.ends_with(&vec![b'a'; length]));
        }
    }

    #[test]
    fn a_ping_gets_its_pong_and_a_pong_nothing() {
        for (opcode, answer) in [(0x89, vec![0x8a, 1, b'p']), (0x8a, vec![])] {
            let wire = [opcode, 0x81, 0, 0, 0, 0, b'p'];
            let frame = Frame::parse(&wire).expect("a frame").expect("a whole frame");
            assert_eq!(frame.answer(&wire), answer);
        }
    }

    #[test]
    fn what_a_client_may_not_send_is_an_error() {
        assert!(Frame::parse(&[0x81, 0x01, b'a']).is_err(), "no mask");
        let huge = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
        assert!(Frame::parse(&huge).is_err());
    }
}
