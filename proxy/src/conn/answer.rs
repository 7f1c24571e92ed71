//! Responses that sundew makes itself.

use super::error::ProxyError;
use super::exchange::{Asked, Exchange, Request};
use super::{Connection, Next};
use crate::http1::fields::Fields;
use crate::http1::framing::Framing;
use crate::http1::respond::{Delivery, OwnResponse, write};
use crate::io::Buf;
use crate::sticky::cache_control_line;

impl Connection {
    /// Tells the client what went wrong.
    pub(super) async fn answer(&mut self, exchange: &mut Exchange, error: ProxyError) -> Next {
        self.answer_own(exchange, error.response(), error.ends_connection()).await
    }

    /// Sends a response of our own; the pins that a pick has left in the trail come along, as
    /// Traefik's do with its 502.
    pub(super) async fn answer_own(
        &mut self,
        exchange: &mut Exchange,
        response: OwnResponse,
        ends_connection: bool,
    ) -> Next {
        let whole_bytes = whole_request_bytes(&exchange.asked.request);
        let keep_alive = !ends_connection
            && whole_bytes.is_some()
            && self.wants_keep_alive(&exchange.asked.request);
        exchange.response.status = response.status;
        exchange.response.body_bytes = response.body.len() as u64;
        let mut out = std::mem::take(&mut exchange.response.scratch);
        out.clear();
        self.write_own(&exchange.asked, response, (keep_alive, ends_connection), &mut out);
        self.shared.enter_responding();
        let mut out = Buf::from_parts(out, 0);
        let count = out.len();
        let sent = self.stream.write.send(&mut out, count, &self.shared.watch).await;
        (exchange.response.scratch, _) = out.into_parts();
        match (sent, whole_bytes) {
            (Err(_), _) => Next::Close,
            (Ok(()), Some(bytes)) if keep_alive => {
                exchange.asked.request.whole_bytes = bytes;
                Next::KeepAlive
            }
            (Ok(()), _) => Next::Linger,
        }
    }

    fn write_own(
        &self,
        asked: &Asked,
        response: OwnResponse,
        (keep_alive, is_refusal): (bool, bool),
        out: &mut Vec<u8>,
    ) {
        let tables = asked.tables.as_deref();
        let policy = tables.map(|tables| asked.trail.cache(tables)).unwrap_or_default();
        let cache = cache_control_line(policy, &[], &Fields::default());
        let lines = tables.into_iter().flat_map(|tables| asked.trail.set_cookie_lines(tables));
        self.shared.local.clock.with_date(|date| {
            let delivery = Delivery {
                client_minor: asked.request.head.minor,
                keep_alive,
                is_refusal,
                is_head_request: asked.request.is_head(),
                date,
            };
            write(out, response, &delivery, lines.chain(cache));
        });
    }
}

/// Bytes of the buffer that are this request, when it is whole in there.
fn whole_request_bytes(request: &Request) -> Option<usize> {
    if request.is_streamed {
        return None;
    }
    let whole = match request.control.framing {
        Framing::Empty => request.head.bytes,
        Framing::Length(length) => request.head.bytes.checked_add(usize::try_from(length).ok()?)?,
        Framing::Chunked if request.whole_bytes > 0 => request.whole_bytes,
        Framing::Chunked | Framing::UntilClose => return None,
    };
    (whole <= request.buffer.len()).then_some(whole)
}
