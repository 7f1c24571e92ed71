//! A downstream client: sends exactly the bytes it is given and reads responses.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::wire::{Head, Wire};

/// One connection to the proxy.
pub(crate) struct Client {
    wire: Wire,
}

/// A response with everything that came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// 1xx responses before it, 101 excepted.
    pub(crate) interim: Vec<Head>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }

    /// The value of the first cookie of this name that the response sets, without attributes.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.all("Set-Cookie").into_iter().find_map(|line| {
            let pair = line.split(';').next()?;
            pair.strip_prefix(name)?.strip_prefix('=')
        })
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { wire: Wire::new(TcpStream::connect(address).expect("a connection to the proxy")) }
    }

    /// One GET on a connection of its own.
    pub(crate) fn fetch(address: SocketAddr, target: &str) -> Response {
        Self::connect(address).get(target, "")
    }

    /// One GET with a cookie on a connection of its own.
    pub(crate) fn fetch_with_cookie(address: SocketAddr, cookie: &str) -> Response {
        Self::connect(address).get("/", &format!("Cookie: {cookie}\r\n"))
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes.as_ref()).expect("the proxy takes the bytes");
    }

    /// Sends what the proxy may refuse to read to its end.
    pub(crate) fn send_if_read(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// A GET with extra field lines (each ended by CRLF), and its response.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str, fields: &str) -> Response {
        self.ask("GET", target, fields)
    }

    /// A request without a body, and its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &str) -> Response {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n"));
        self.response_to(method)
    }

    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        match self.try_response_to(method) {
            Ok(Some(response)) => response,
            Ok(None) => panic!("the proxy closed the connection without a response to {method}"),
            Err(why) => panic!("no complete response to {method}: {why}"),
        }
    }

    /// The next response; `None` when the connection ends before one begins.
    pub(crate) fn try_response_to(&mut self, method: &str) -> io::Result<Option<Response>> {
        let mut interim = Vec::new();
        loop {
            let Some(head) = self.wire.read_head()? else { return Ok(None) };
            let status = status_of(&head)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
                continue;
            }
            let mut response = Response { status, head, interim, ..Response::default() };
            self.read_body(&mut response, method)?;
            return Ok(Some(response));
        }
    }

    fn read_body(&mut self, response: &mut Response, method: &str) -> io::Result<()> {
        if method == "HEAD" || matches!(response.status, 101 | 204 | 304) {
            return Ok(());
        }
        if response.head.is_chunked() {
            (response.body, response.trailers) = self.wire.read_chunked()?;
        } else if let Some(length) = response.head.length() {
            response.body = self.wire.read_exact(length)?;
        } else {
            response.body = self.wire.read_to_end()?;
        }
        Ok(())
    }

    /// Only the head of the next response, of whatever status.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        self.wire.read_head().expect("a head").expect("a response before the end")
    }

    #[track_caller]
    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        self.wire.read_exact(count).expect("bytes before the end")
    }

    /// Everything until the proxy closes; an error is a reset or nothing until the deadline.
    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.wire.read_to_end()
    }

    /// Asserts that the proxy closes, with nothing more to read.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.read_to_end().expect("a clean end of the connection");
        assert_eq!(String::from_utf8_lossy(&rest), "", "bytes before the end");
    }

    /// Whether the proxy has ended the connection by now, with nothing more to read.
    pub(crate) fn is_ended(&mut self) -> bool {
        self.wire.stream().set_nonblocking(true).expect("a socket");
        let read = self.wire.read_some(&mut [0]);
        self.wire.stream().set_nonblocking(false).expect("a socket");
        match read {
            Ok(count) => {
                assert_eq!(count, 0, "a byte that nobody asked for");
                true
            }
            Err(why) => why.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Asserts that nothing comes for a while.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, length: Duration) {
        self.wire.stream().set_read_timeout(Some(length)).expect("a read timeout");
        let mut byte = [0];
        let read = self.wire.read_some(&mut byte);
        let timeout = Some(super::DEADLINE);
        self.wire.stream().set_read_timeout(timeout).expect("a read timeout");
        let kind = read.as_ref().map_err(io::Error::kind);
        assert!(
            matches!(kind, Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)),
            "expected silence, got {read:?} {byte:?}"
        );
    }

    /// Ends the sending half.
    pub(crate) fn finish(&mut self) {
        self.wire.stream().shutdown(Shutdown::Write).expect("a half-close");
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.wire.stream().local_addr().expect("an address")
    }
}

fn status_of(head: &Head) -> io::Result<u16> {
    let code = head.line.split(' ').nth(1).and_then(|it| it.parse().ok());
    code.ok_or_else(|| io::Error::other(format!("status line {:?}", head.line)))
}
