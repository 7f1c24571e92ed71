//! The request as it goes to the server: head, and the body as far as it has come.

use super::Connection;
use super::error::ProxyError;
use super::exchange::{Exchange, Picked, Request, Response};
use super::receive::grow;
use super::upload::encode_chunked_body;
use crate::http1::forwarded::Identity;
use crate::http1::framing::{Framing, RequestControl};
use crate::http1::rewrite::{RequestRewrite, write_request};
use crate::io::Buf;
use crate::io::buffer::LARGE_BUFFER_BYTES;
use crate::sys;

/// How much of a request a composed buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Composed {
    /// All of it.
    Whole,
    /// The head, and so many bytes of the body.
    Part(usize),
}

impl Connection {
    /// Writes the request into the exchange's large buffer.
    ///
    /// # Errors
    /// A chunked body that is malformed or too large already.
    pub(super) fn compose(&self, exchange: &mut Exchange) -> Result<Composed, ProxyError> {
        let Exchange { asked, response, picked: Some(picked), service, .. } = exchange else {
            return Err(ProxyError::NoServer);
        };
        let request = &mut asked.request;
        self.receive_rest_at_hand(request);
        if response.buffer.capacity() == 0 {
            response.buffer = self.shared.local.buffers.take_large();
        }
        let (mut out, _) = std::mem::take(&mut response.buffer).into_parts();
        out.clear();
        let mut path = std::mem::take(&mut request.scratch);
        let hidden = picked.hidden_cookies(*service);
        self.write_head(request, &request.control, (picked, hidden), &mut path, &mut out);
        request.scratch = path;
        let bytes_max = self.shared.entry.body_bytes_max;
        let composed = write_body(request, response, &mut out, bytes_max);
        response.buffer = Buf::from_parts(out, 0);
        composed
    }

    /// A first read that filled its buffer has left the rest of a small body in the socket: taking
    /// it now saves a second send to the server.
    fn receive_rest_at_hand(&self, request: &mut Request) {
        let Framing::Length(length) = request.control.framing else { return };
        let whole = (request.head.bytes as u64).saturating_add(length);
        if request.buffer.spare() > 0
            || whole <= request.buffer.len() as u64
            || whole > LARGE_BUFFER_BYTES as u64
            || request.control.expects_continue
        {
            return;
        }
        if request.buffer.capacity() < LARGE_BUFFER_BYTES {
            grow(&mut request.buffer, &self.shared.local.buffers);
        }
        let (mut bytes, start) = std::mem::take(&mut request.buffer).into_parts();
        sys::try_recv(self.stream.fd(), &mut bytes);
        request.buffer = Buf::from_parts(bytes, start);
    }

    /// Appends the head for a server; `control` says how the body follows it.
    pub(super) fn write_head(
        &self,
        request: &Request,
        control: &RequestControl,
        (picked, hidden_cookies): (&Picked, &[Box<[u8]>]),
        path: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let bytes = request.bytes();
        let host = request.host();
        let server = picked.configured();
        let passes_host = picked.balancer().is_none_or(|balancer| balancer.pass_host_header);
        let host_to_send = if !passes_host || host.is_empty() {
            Some(server.map_or(&[][..], |server| server.authority.as_bytes()))
        } else {
            request.target.authority.map(|authority| authority.of(bytes))
        };
        let text = request.path_and_query();
        let own_path = server.filter(|it| it.preserve_path && !matches!(&*it.path, "" | "/"));
        let target_to_send = match own_path {
            Some(server) => {
                join_paths(server.path.as_bytes(), text, path);
                Some(path.as_slice())
            }
            None if request.target.is_rewritten || request.target.is_absolute => Some(text),
            None => None,
        };
        let shared = &self.shared;
        let identity = Identity {
            peer: shared.peer_text.as_bytes(),
            is_trusted: shared.is_trusted,
            not_append: shared.entry.forwarded.not_append_forwarded_for,
            hostname: &shared.local.hostname,
            host,
            is_tls: false,
            is_websocket: request.is_websocket(),
        };
        let rewrite = RequestRewrite {
            bytes,
            head: &request.head,
            control,
            target: target_to_send,
            host: host_to_send,
            hidden_cookies,
            identity: &identity,
        };
        write_request(out, &rewrite);
    }
}

/// Appends what has come of the body.
fn write_body(
    request: &mut Request,
    response: &mut Response,
    out: &mut Vec<u8>,
    bytes_max: u64,
) -> Result<Composed, ProxyError> {
    let head_bytes = request.head.bytes;
    let body = request.buffer.filled().get(head_bytes..).unwrap_or(&[]);
    match request.control.framing {
        Framing::Empty => {
            request.whole_bytes = head_bytes;
            Ok(Composed::Whole)
        }
        Framing::Length(length) => {
            let room = match request.is_kept {
                true => usize::MAX,
                false => LARGE_BUFFER_BYTES.saturating_sub(out.len()),
            };
            let available = usize::try_from(length).map_or(body.len(), |it| it.min(body.len()));
            let take = available.min(room);
            out.extend_from_slice(body.get(..take).unwrap_or(&[]));
            request.body_bytes = take as u64;
            if take as u64 != length {
                return Ok(Composed::Part(take));
            }
            request.whole_bytes = head_bytes + take;
            Ok(Composed::Whole)
        }
        Framing::Chunked | Framing::UntilClose => {
            let begin = out.len();
            response.decoder.reset();
            let encoded = encode_chunked_body(body, &mut response.decoder, out)
                .map_err(|_malformed| ProxyError::RequestMalformed)?;
            if encoded.data_bytes as u64 > bytes_max {
                return Err(ProxyError::RequestBodyTooLarge);
            }
            let is_whole = response.decoder.is_done();
            response.decoder.reset();
            if !is_whole {
                // Streamed from its first byte, by a decoder of its own.
                out.truncate(begin);
                return Ok(Composed::Part(0));
            }
            request.body_bytes = encoded.data_bytes as u64;
            request.whole_bytes = head_bytes + encoded.input_bytes;
            Ok(Composed::Whole)
        }
    }
}

/// A server's own path and the request's, with exactly one slash between (`preservePath`).
fn join_paths(base: &[u8], path_and_query: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(base.strip_suffix(b"/").unwrap_or(base));
    out.extend_from_slice(path_and_query);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_own_path_is_joined_with_one_slash() {
        for (base, path, want) in [
            ("/base", "/", "/base/"),
            ("/b/", "/", "/b/"),
            ("/base%2Fx/", "/q%2Fr/", "/base%2Fx/q%2Fr/"),
            ("/b", "/x?y=/z", "/b/x?y=/z"),
        ] {
            let mut out = Vec::new();
            join_paths(base.as_bytes(), path.as_bytes(), &mut out);
            assert_eq!(out, want.as_bytes());
        }
    }
}
