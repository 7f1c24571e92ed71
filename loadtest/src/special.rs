//! What the origin answers beside sized bodies: echoes, by which a client tells its own answer
//! from another's; upgrades that echo; and faults, one a path. Called by `origin` with a whole
//! request head; never decides about the connection of another request.
//!
//! - `/echo/TOKEN`: TOKEN, a line end, and the body of the request (`Content-Length` only).
//! - `/upgrade` with `Upgrade: NAME`: 101, then every byte comes back.
//! - `/fault/KIND`: see [`Fault`].

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::TcpStream;

/// Largest body that is echoed.
const ECHO_BYTES_MAX: usize = 8 * 1024 * 1024;
const BLOCK_BYTES: usize = 16 * 1024;
/// Of `/fault/delay`: longer than a sweep of a proxy, shorter than a deadline.
const DELAY: Duration = Duration::from_millis(300);
/// Between two bytes of `/fault/slow`.
const SLOW_PAUSE: Duration = Duration::from_millis(10);
const SLOW_BYTES: usize = 100;

/// What a special target begins with.
const PATHS: [&str; 3] = ["/echo/", "/fault/", "/upgrade"];

/// A request that is not for a sized body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Echo { token: String, body_bytes: usize },
    Upgrade { protocol: String },
    Fault(Fault),
}

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The end of the connection instead of an answer.
    Close,
    /// A good answer, late.
    Delay,
    /// Bytes that are no HTTP, then the end.
    Garbage,
    /// A head that is cut.
    HalfHead,
    /// A reset instead of an answer.
    Reset,
    /// A reset in the middle of a body.
    ResetBody,
    /// A body a byte at a time.
    Slow,
    /// Nothing, until the client leaves.
    Stall,
    /// A good answer, and one more that nobody asked for.
    Surplus,
    /// The end of the connection in the middle of a body.
    Truncate,
    /// A head with two different lengths.
    TwoLengths,
}

const FAULTS: [(&str, Fault); 11] = [
    ("close", Fault::Close),
    ("delay", Fault::Delay),
    ("garbage", Fault::Garbage),
    ("half-head", Fault::HalfHead),
    ("reset", Fault::Reset),
    ("reset-body", Fault::ResetBody),
    ("slow", Fault::Slow),
    ("stall", Fault::Stall),
    ("surplus", Fault::Surplus),
    ("truncate", Fault::Truncate),
    ("two-lengths", Fault::TwoLengths),
];

impl Special {
    /// Whether a whole request head asks for one.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        // The origin must not become slower for the others: nothing is copied for them.
        let start = head.iter().position(|byte| *byte == b' ')? + 1;
        if !PATHS.iter().any(|path| head[start..].starts_with(path.as_bytes())) {
            return None;
        }
        let head = String::from_utf8_lossy(head);
        let target = head.split(' ').nth(1)?;
        let field = |wanted: &str| {
            let mut pairs = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
            pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        if let Some(kind) = target.strip_prefix("/fault/") {
            let kind = kind.split('?').next()?;
            let known = FAULTS.iter().find(|(name, _)| *name == kind);
            return known.map(|(_, fault)| Self::Fault(*fault));
        }
        if target == "/upgrade" {
            return field("upgrade").map(|it| Self::Upgrade { protocol: it.to_owned() });
        }
        let token = target.strip_prefix("/echo/")?;
        let body_bytes = field("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        Some(Self::Echo { token: token.to_owned(), body_bytes })
    }

    /// Answers; `buffer` holds what came behind the head. True when the connection goes on.
    pub(crate) async fn answer(
        self,
        stream: &mut TcpStream,
        buffer: &mut Vec<u8>,
        server: &str,
    ) -> io::Result<bool> {
        match self {
            Self::Echo { token, body_bytes } => {
                echo(stream, buffer, server, &token, body_bytes).await
            }
            Self::Upgrade { protocol } => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: {protocol}\r\n\r\n"
                );
                send(stream, head.into_bytes()).await?;
                send(stream, std::mem::take(buffer)).await?;
                echo_until_end(stream).await
            }
            Self::Fault(fault) => fault.play(stream, server).await,
        }
    }
}

async fn echo(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    server: &str,
    token: &str,
    body_bytes: usize,
) -> io::Result<bool> {
    if body_bytes > ECHO_BYTES_MAX {
        return Ok(false);
    }
    while buffer.len() < body_bytes {
        let block = read(stream).await?;
        if block.is_empty() {
            return Ok(false);
        }
        buffer.extend_from_slice(&block);
    }
    let mut answer = head(server, token.len() + 1 + body_bytes).into_bytes();
    answer.extend_from_slice(token.as_bytes());
    answer.push(b'\n');
    answer.extend(buffer.drain(..body_bytes));
    send(stream, answer).await?;
    Ok(true)
}

async fn echo_until_end(stream: &mut TcpStream) -> io::Result<bool> {
    loop {
        let block = read(stream).await?;
        if block.is_empty() {
            return Ok(false);
        }
        send(stream, block).await?;
    }
}

impl Fault {
    async fn play(self, stream: &mut TcpStream, server: &str) -> io::Result<bool> {
        let body = "y".repeat(SLOW_BYTES);
        let whole = head(server, body.len()) + &body;
        let half = head(server, body.len() * 2) + &body;
        match self {
            Self::Close => {}
            Self::Delay => {
                monoio::time::sleep(DELAY).await;
                send(stream, whole.into_bytes()).await?;
                return Ok(true);
            }
            Self::Garbage => send(stream, b"\x16\x03 no HTTP \x00 at all\r\n\r\n".to_vec()).await?,
            Self::HalfHead => send(stream, b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()).await?,
            Self::Reset => reset_on_close(stream)?,
            Self::ResetBody => {
                send(stream, half.into_bytes()).await?;
                reset_on_close(stream)?;
            }
            Self::Slow => {
                send(stream, head(server, body.len()).into_bytes()).await?;
                for _ in 0..SLOW_BYTES {
                    monoio::time::sleep(SLOW_PAUSE).await;
                    send(stream, b"y".to_vec()).await?;
                }
                return Ok(true);
            }
            Self::Stall => while !read(stream).await?.is_empty() {},
            Self::Surplus => {
                send(stream, (whole.clone() + &whole).into_bytes()).await?;
                return Ok(true);
            }
            Self::Truncate => send(stream, half.into_bytes()).await?,
            Self::TwoLengths => {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
                send(stream, head.as_bytes().to_vec()).await?;
            }
        }
        Ok(false)
    }
}

fn head(server: &str, body_bytes: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nX-Server: {server}\r\nContent-Type: text/plain\r\n\
         Content-Length: {body_bytes}\r\n\r\n"
    )
}

async fn send(stream: &mut TcpStream, bytes: Vec<u8>) -> io::Result<()> {
    stream.write_all(bytes).await.0.map(drop)
}

/// The next bytes; empty at the end.
async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (count, mut block) = stream.read(vec![0; BLOCK_BYTES]).await;
    block.truncate(count?);
    Ok(block)
}

/// Makes the coming close a reset. The engine lends no descriptor, so a second one is taken from
/// the process itself; the option belongs to the socket, not to the descriptor.
fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let this = rustix::process::getpid();
    let own = rustix::process::pidfd_open(this, rustix::process::PidfdFlags::empty())?;
    let none = rustix::process::PidfdGetfdFlags::empty();
    let second = rustix::process::pidfd_getfd(own, stream.as_raw_fd(), none)?;
    rustix::net::sockopt::set_socket_linger(&second, Some(Duration::ZERO))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_asks_for_an_echo_an_upgrade_a_fault_or_nothing_special() {
        let echo = |token: &str, body_bytes| Special::Echo { token: token.to_owned(), body_bytes };
        let table = [
            ("GET /echo/a1?x HTTP/1.1\r\nHost: a\r\n\r\n", Some(echo("a1?x", 0))),
            ("POST /echo/a HTTP/1.1\r\ncontent-length: 12\r\n\r\n", Some(echo("a", 12))),
            (
                "GET /upgrade HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                Some(Special::Upgrade { protocol: "websocket".to_owned() }),
            ),
            ("GET /fault/reset-body?1 HTTP/1.1\r\n\r\n", Some(Special::Fault(Fault::ResetBody))),
            ("GET /fault/unheard-of HTTP/1.1\r\n\r\n", None),
            ("GET /b/65536 HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ];
        for (head, want) in table {
            assert_eq!(Special::of(head.as_bytes()), want, "{head:?}");
        }
    }
}
