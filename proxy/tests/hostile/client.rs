//! A client that writes bytes in one or two pieces and takes apart whatever comes back.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::origin::{PAUSE, text, value_of};

/// Longest that a response or a close may take, on a slow machine under load.
const PATIENCE: Duration = Duration::from_secs(8);

/// One connection to the proxy.
pub(crate) struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
}

/// A final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Interim responses before it.
    pub(crate) interims: Vec<u16>,
    /// Field lines behind a chunked body.
    pub(crate) trailers: String,
}

/// How what the client read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fin {
    /// FIN.
    Clean,
    /// RST.
    Reset,
    /// Neither.
    Nothing,
}

/// No (further) whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) how: Fin,
    /// Bytes of a response that is not whole.
    pub(crate) rest: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection to the proxy");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self { stream, bytes: Vec::new() }
    }

    /// Sends in two pieces when `at` is not 0. The proxy need not read to the end.
    pub(crate) fn send(&mut self, bytes: &[u8], at: usize) {
        if at > 0 {
            let _ = self.stream.write_all(&bytes[..at]);
            thread::sleep(PAUSE);
        }
        let _ = self.stream.write_all(&bytes[at..]);
    }

    /// The next final response.
    pub(crate) fn answer(&mut self, is_head: bool) -> Result<Answer, Ended> {
        let mut interims = Vec::new();
        loop {
            let end = self.find(b"\r\n\r\n", 0)?;
            let head = text(&self.bytes[..end]);
            let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
            if (100..200).contains(&status) && status != 101 {
                interims.push(status);
                self.bytes.drain(..end + 4);
                continue;
            }
            let has_body = !is_head && !matches!(status, 101 | 204 | 304);
            let (body, trailers, whole) = if !has_body {
                (Vec::new(), String::new(), end + 4)
            } else if value_of(&head, "transfer-encoding") == Some("chunked") {
                self.chunked(end + 4)?
            } else {
                let length = value_of(&head, "content-length").map(str::to_owned);
                let length = match length.map(|it| it.parse::<usize>()) {
                    Some(Ok(length)) => length,
                    // Delimited by the close.
                    _ => self.until_end()? - (end + 4),
                };
                self.need(end + 4 + length)?;
                (self.bytes[end + 4..end + 4 + length].to_vec(), String::new(), end + 4 + length)
            };
            self.bytes.drain(..whole);
            return Ok(Answer { status, head, body, interims, trailers });
        }
    }

    /// Reads to the end; what comes before it is in the result.
    pub(crate) fn end(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.need(self.bytes.len() + 1) {
                return ended;
            }
        }
    }

    fn chunked(&mut self, from: usize) -> Result<(Vec<u8>, String, usize), Ended> {
        let mut body = Vec::new();
        let mut at = from;
        loop {
            let end = self.find(b"\r\n", at)?;
            let line = text(&self.bytes[at..end]);
            let size = usize::from_str_radix(&line, 16)
                .unwrap_or_else(|_| panic!("chunk size {line:?} from the proxy"));
            if size == 0 {
                break at = end;
            }
            self.need(end + 2 + size + 2)?;
            body.extend_from_slice(&self.bytes[end + 2..end + 2 + size]);
            assert_eq!(&self.bytes[end + 2 + size..end + 4 + size], b"\r\n", "behind a chunk");
            at = end + 4 + size;
        }
        let end = self.find(b"\r\n\r\n", at)?;
        let trailers = text(self.bytes.get(at + 2..end).unwrap_or(&[]));
        Ok((body, trailers, end + 4))
    }

    fn find(&mut self, what: &[u8], from: usize) -> Result<usize, Ended> {
        loop {
            let tail = self.bytes.get(from..).unwrap_or(&[]);
            if let Some(at) = tail.windows(what.len()).position(|window| window == what) {
                return Ok(from + at);
            }
            self.need(self.bytes.len() + 1)?;
        }
    }

    fn until_end(&mut self) -> Result<usize, Ended> {
        loop {
            match self.need(self.bytes.len() + 1) {
                Ok(()) => {}
                Err(ended) if ended.how == Fin::Clean => {
                    self.bytes = ended.rest;
                    return Ok(self.bytes.len());
                }
                Err(ended) => return Err(ended),
            }
        }
    }

    fn need(&mut self, count: usize) -> Result<(), Ended> {
        let mut block = [0; 16 * 1024];
        while self.bytes.len() < count {
            let how = match self.stream.read(&mut block) {
                Ok(0) => Fin::Clean,
                Ok(received) => {
                    self.bytes.extend_from_slice(&block[..received]);
                    continue;
                }
                Err(why) => fin(&why),
            };
            return Err(Ended { how, rest: std::mem::take(&mut self.bytes) });
        }
        Ok(())
    }
}

fn fin(why: &io::Error) -> Fin {
    match why.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Fin::Nothing,
        _ => Fin::Reset,
    }
}
