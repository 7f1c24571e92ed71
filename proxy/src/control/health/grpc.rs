//! One probe over gRPC: `grpc.health.v1.Health/Check` of the whole server, in plain text, as
//! Traefik's `mode: grpc`. A connection of its own, within the check's timeout.
//!
//! Two messages of one field each need no generated code: the request is empty, and the answer is
//! searched for its status.

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sundew_config::model::{HealthCheck, Server};
use tokio::time::{Instant, timeout_at};

use super::super::resolve::Names;
use super::Unhealthy;
use super::probe::{AGENT, addresses, connect, first_url};

/// Neither compressed nor anything in it: a flag and a length (gRPC over HTTP/2, "Requests").
const EMPTY_MESSAGE: [u8; MESSAGE_HEAD_BYTES] = [0; MESSAGE_HEAD_BYTES];
const MESSAGE_HEAD_BYTES: usize = 5;

/// A health answer is a few bytes long.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// `HealthCheckResponse.ServingStatus.SERVING`.
const SERVING: u64 = 1;

/// Asks `server` once.
pub(super) async fn probe(
    server: &Server,
    check: &HealthCheck,
    names: &Names,
) -> Result<(), Unhealthy> {
    let deadline = Instant::now() + check.timeout;
    match timeout_at(deadline, ask(server, check, names)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Unhealthy::Timeout),
    }
}

async fn ask(server: &Server, check: &HealthCheck, names: &Names) -> Result<(), Unhealthy> {
    let url = first_url(server, check).map_err(Unhealthy::Target)?;
    let stream = connect(&addresses(&url, names).await?, check.timeout).await?;
    let broken = |error: hyper::Error| Unhealthy::Exchange(error.to_string());
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(broken)?;
    // Ends when the sender and the answer are gone.
    tokio::spawn(connection);
    let authority = check.hostname.as_deref().unwrap_or(&url.authority);
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(Bytes::from_static(&EMPTY_MESSAGE)))
        .map_err(|_| Unhealthy::Target(format!("{authority} is not a host name")))?;
    judge(sender.send_request(request).await.map_err(broken)?).await
}

/// Whether an answer says that the server serves.
async fn judge(response: Response<impl Body<Data = Bytes> + Unpin>) -> Result<(), Unhealthy> {
    if response.status() != StatusCode::OK {
        return Err(Unhealthy::Status(response.status().as_u16()));
    }
    let (head, mut body) = response.into_parts();
    let (mut message, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Unhealthy::Exchange("the answer was cut".to_owned()));
        };
        if let Some(bytes) = frame.data_ref() {
            if message.len() + bytes.len() > ANSWER_BYTES_MAX {
                return Err(Unhealthy::Exchange("the answer is no health status".to_owned()));
            }
            message.extend_from_slice(bytes);
        } else if let Ok(fields) = frame.into_trailers() {
            trailers = fields;
        }
    }
    // An answer without a message carries it in its head.
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0") if serving_status(&message) == Some(SERVING) => Ok(()),
        Some(b"0") => Err(Unhealthy::NotServing),
        Some(status) => Err(Unhealthy::Grpc(String::from_utf8_lossy(status).into_owned())),
        None => Err(Unhealthy::Exchange("the answer is not gRPC".to_owned())),
    }
}

/// Field 1 of the message, a varint; 0 where it is left out. `None` for what is no such message.
fn serving_status(framed: &[u8]) -> Option<u64> {
    let (head, mut rest) = framed.split_at_checked(MESSAGE_HEAD_BYTES)?;
    let (is_compressed, length) = head.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *is_compressed != 0 || usize::try_from(length).ok()? != rest.len() {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            0 => {
                let value = varint(&mut rest)?;
                if key >> 3 == 1 {
                    status = value;
                }
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// Takes a base-128 number off the front (protobuf encoding).
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
