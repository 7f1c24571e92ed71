//! Responses that sundew makes itself.

use super::error::ProxyError;
use super::exchange::Exchange;
use super::{Connection, Next};
use crate::http1::framing::Framing;
use crate::http1::respond::{Delivery, OwnResponse, write};
use crate::io::Phase;

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
        let request_bytes = self.whole_request_bytes(exchange);
        let keep_alive =
            !ends_connection && request_bytes.is_some() && self.wants_keep_alive(exchange);
        let mut out = std::mem::take(&mut exchange.response.scratch);
        out.clear();
        {
            let request = &exchange.request;
            let tables = exchange.tables.as_deref();
            let lines =
                tables.into_iter().flat_map(|tables| exchange.trail.set_cookie_lines(tables));
            self.local.clock.with_date(|date| {
                let delivery = Delivery {
                    client_minor: request.head.minor,
                    keep_alive,
                    is_head_request: request.is_head(request.bytes(&self.input)),
                    date,
                };
                write(&mut out, response, &delivery, lines);
            });
        }
        exchange.response.status = response.status;
        exchange.response.body_bytes = response.body.len() as u64;
        let now_ms = self.local.clock.now_ms();
        self.watch.enter_while_moving(Phase::Responding, now_ms, self.entry.send_timeout_ms, 1);
        let length = out.len();
        let (result, out) = self.stream.write.send(out, 0, length, &self.watch).await;
        exchange.response.scratch = out;
        match (result, request_bytes) {
            (Err(_), _) => Next::Close,
            (Ok(()), Some(bytes)) if keep_alive => {
                exchange.request.input_bytes = bytes;
                Next::KeepAlive
            }
            (Ok(()), _) => Next::Linger,
        }
    }

    /// Bytes of the input that are this request, when it is whole in there.
    fn whole_request_bytes(&self, exchange: &Exchange) -> Option<usize> {
        let request = &exchange.request;
        if request.held.is_some() {
            return None;
        }
        let whole = match request.control.framing {
            Framing::Empty => request.head.bytes,
            Framing::Length(length) => {
                request.head.bytes.checked_add(usize::try_from(length).ok()?)?
            }
            Framing::Chunked if request.input_bytes > 0 => request.input_bytes,
            Framing::Chunked | Framing::UntilClose => return None,
        };
        (whole <= self.input.len()).then_some(whole)
    }
}
