//! The other side of the API, for `sundew servers`: one request, one answer, over the Unix socket or
//! the entry point.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

pub use super::path::encoded;

/// For the whole of it; the answer waits for every worker for two seconds at most.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// More than any answer holds.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where a running sundew listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// `sundew.api.socket`.
    Socket(PathBuf),
    /// The entry point, on this machine.
    Address(SocketAddr),
}

/// One request; returns the answer's status and text.
///
/// # Errors
/// When nobody answers.
pub fn ask(door: &Door, method: &str, path: &str, body: String) -> io::Result<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let exchange = async {
            match door {
                Door::Socket(file) => {
                    let stream = UnixStream::connect(file).await?;
                    exchange(stream, "127.0.0.1", method, path, body).await
                }
                Door::Address(address) => {
                    let stream = TcpStream::connect(address).await?;
                    exchange(stream, &address.to_string(), method, path, body).await
                }
            }
        };
        tokio::time::timeout(ANSWER_WAIT, exchange).await?
    })
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    method: &str,
    path: &str,
    body: String,
) -> io::Result<(u16, String)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driven = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let status: StatusCode = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(io::Error::other)?.to_bytes();
    driven.abort();
    Ok((status.as_u16(), String::from_utf8_lossy(&bytes).into_owned()))
}
