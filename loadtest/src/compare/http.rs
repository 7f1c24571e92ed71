//! A few plain requests over a blocking socket: to see that a proxy answers and pins, and to hold
//! connections that do nothing. It makes no load and measures no time. Called by the measurement.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long one answer may take.
const ANSWER_S_MAX: u64 = 10;

/// What matters of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `X-Server`: who answered.
    pub(super) server: String,
    /// `name=value` of the first `Set-Cookie`.
    pub(super) cookie: Option<String>,
}

/// A connection that stays open.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    host: String,
}

impl Client {
    /// Connects to a port of this machine; `host` is what its requests ask for.
    ///
    /// # Errors
    /// Nobody accepts.
    pub(super) fn connect(port: u16, host: Option<&str>) -> Result<Self, String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let limit = Duration::from_secs(ANSWER_S_MAX);
        let failed = |why: std::io::Error| format!("{address}: {why}");
        let stream = TcpStream::connect_timeout(&address, limit).map_err(failed)?;
        stream.set_read_timeout(Some(limit)).map_err(failed)?;
        stream.set_write_timeout(Some(limit)).map_err(failed)?;
        Ok(Self { stream, host: host.map_or_else(|| address.to_string(), str::to_owned) })
    }

    /// Asks for `/` and reads the whole answer.
    ///
    /// # Errors
    /// The connection ends first, or the answer is none.
    pub(super) fn ask(&mut self, cookie: Option<&str>) -> Result<Answer, String> {
        let cookie = cookie.map(|it| format!("Cookie: {it}\r\n")).unwrap_or_default();
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{cookie}\r\n", self.host);
        self.stream.write_all(request.as_bytes()).map_err(|why| why.to_string())?;
        let mut bytes = Vec::new();
        loop {
            if let Some((answer, whole_bytes)) = parse(&bytes)
                && bytes.len() >= whole_bytes
            {
                return Ok(answer);
            }
            let mut block = [0; 4096];
            match self.stream.read(&mut block) {
                Ok(0) => return Err("closed before the end of an answer".into()),
                Ok(read) => bytes.extend_from_slice(&block[..read]),
                Err(why) => return Err(why.to_string()),
            }
        }
    }
}

/// An answer and the bytes that it takes with its body, or `None` while the head is not whole.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head_bytes = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_bytes]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, ..Answer::default() };
    let mut body_bytes = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body_bytes = value.parse().ok()?;
        } else if name.eq_ignore_ascii_case("x-server") {
            value.clone_into(&mut answer.server);
        } else if name.eq_ignore_ascii_case("set-cookie") && answer.cookie.is_none() {
            answer.cookie = value.split(';').next().map(str::to_owned);
        }
    }
    Some((answer, head_bytes + body_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_its_server_its_pin_and_its_end() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-Server: 9001\r\ncontent-length: 3\r\n\
            Set-Cookie: sid=abc; Path=/\r\nSet-Cookie: b=c\r\n\r\nxxx";
        let answer = Answer { status: 200, server: "9001".into(), cookie: Some("sid=abc".into()) };
        assert_eq!(parse(bytes), Some((answer, bytes.len())));
        assert_eq!(parse(&bytes[..30]), None);
    }
}
