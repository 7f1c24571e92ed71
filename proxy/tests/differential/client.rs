//! A client of raw bytes: sends a connection's worth in pieces, reads the answers, and waits for
//! the end, never longer than a deadline. Shares no code with the proxy.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::random::Random;

/// Longest silence of the proxy. Its own deadlines do not matter here: when the answers that must
/// come have come, the client half-closes, which ends every wait for more of a request.
const SILENCE_MAX: Duration = Duration::from_secs(12);

/// A final answer; interim ones are skipped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Target`: the request that an origin answers.
    pub(crate) target: Option<String>,
    pub(crate) has_server: bool,
    pub(crate) body: Vec<u8>,
}

/// What came back on a connection.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Answer>,
    pub(crate) end: End,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
    /// Nothing came for too long.
    Silent,
    /// Bytes that are no answer, or half of one.
    Garbled(String),
}

/// Sends `bytes` in pieces; `is_head` says of each answer that must come whether it is without a
/// body.
pub(crate) fn converse(
    address: SocketAddr,
    bytes: &[u8],
    is_head: &[bool],
    random: &mut Random,
) -> Outcome {
    let mut stream = TcpStream::connect(address).expect("the proxy accepts");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(SILENCE_MAX)).expect("an option");
    stream.set_write_timeout(Some(SILENCE_MAX)).expect("an option");
    send(&mut stream, bytes, random);
    let mut received = Received { stream, bytes: Vec::new(), end: None };
    let mut answers = Vec::new();
    let mut end = None;
    while end.is_none() {
        if answers.len() == is_head.len() {
            let _ = received.stream.shutdown(Shutdown::Write);
        }
        // A refusal of what is no request has a body.
        let has_no_body = is_head.get(answers.len()).is_some_and(|&it| it);
        match received.answer(has_no_body) {
            Ok(answer) if matches!(answer.status, 100..=199) => {}
            Ok(answer) => answers.push(answer),
            Err(how) => end = Some(how),
        }
    }
    Outcome { answers, end: end.unwrap_or(End::Closed) }
}

/// In one to six pieces, or many for a short one; the proxy may read between any two.
fn send(stream: &mut TcpStream, bytes: &[u8], random: &mut Random) {
    let pieces = match random.below(10) {
        0..=3 => 1,
        4 if bytes.len() < 600 => bytes.len(),
        _ => 1 + random.below(6),
    };
    let mut cuts: Vec<usize> = (1..pieces).map(|_| random.below(bytes.len())).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts.into_iter().chain([bytes.len()]) {
        // The proxy may have refused and closed already.
        if stream.write_all(&bytes[from..cut]).is_err() {
            return;
        }
        from = cut;
        if random.chance(30) {
            thread::yield_now();
        }
    }
}

struct Received {
    stream: TcpStream,
    bytes: Vec<u8>,
    end: Option<End>,
}

impl Received {
    /// Reads more; `false` at the end.
    fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        let end = loop {
            match self.stream.read(&mut piece) {
                Ok(0) => break End::Closed,
                Ok(length) => {
                    self.bytes.extend_from_slice(&piece[..length]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    break End::Silent;
                }
                Err(_) => break End::Reset,
            }
        };
        self.end = Some(end);
        false
    }

    fn until(&mut self, mut is_enough: impl FnMut(&[u8]) -> bool) -> Result<(), End> {
        while !is_enough(&self.bytes) {
            if !self.more() {
                let end = self.end.take().unwrap_or(End::Closed);
                return Err(match end {
                    End::Closed if !self.bytes.is_empty() => {
                        End::Garbled(self.bytes.escape_ascii().to_string())
                    }
                    end => end,
                });
            }
        }
        Ok(())
    }

    fn answer(&mut self, has_no_body: bool) -> Result<Answer, End> {
        self.until(|bytes| head_end(bytes).is_some())?;
        let length = head_end(&self.bytes).expect("just found");
        let head = String::from_utf8_lossy(&self.bytes[..length]).into_owned();
        let garbled = || End::Garbled(head.clone());
        let status = head.strip_prefix("HTTP/1.").and_then(|it| it.get(2..5));
        let status = status.and_then(|it| it.parse().ok()).ok_or_else(garbled)?;
        let field = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        self.bytes.drain(..length);
        let mut answer = Answer {
            status,
            target: field("x-target"),
            has_server: field("server").is_some(),
            body: Vec::new(),
        };
        if has_no_body || matches!(status, 100..=199 | 204 | 304) {
            // What the proxy refuses before it knows the method has a body, and is the last.
            if !answer.has_server && matches!(status, 400 | 414 | 431 | 505) {
                while self.more() {}
                self.bytes.clear();
            }
            return Ok(answer);
        }
        if let Some(length) = field("content-length") {
            let length: usize = length.parse().map_err(|_| garbled())?;
            self.until(|bytes| bytes.len() >= length)?;
            answer.body = self.bytes.drain(..length).collect();
        } else if field("transfer-encoding").is_some() {
            answer.body = self.chunks()?;
        } else {
            while self.more() {}
            answer.body = std::mem::take(&mut self.bytes);
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, End> {
        let mut body = Vec::new();
        loop {
            self.until(|bytes| bytes.contains(&b'\n'))?;
            let end = self.bytes.iter().position(|&it| it == b'\n').expect("just found") + 1;
            let line = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
            let size =
                usize::from_str_radix(line.trim_end(), 16).map_err(|_| End::Garbled(line))?;
            self.until(|bytes| bytes.len() >= end + size + 2)?;
            body.extend_from_slice(&self.bytes[end..end + size]);
            self.bytes.drain(..end + size + 2);
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|at| at + 4)
}
