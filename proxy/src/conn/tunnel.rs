//! An upgraded connection: bytes in both directions until both have ended.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::local::Local;
use crate::io::watch::NEVER;
use crate::io::{Buf, BufferPool, Patience, Phase, ReadHalf, Stream, Watch, WriteHalf};

/// Carries bytes between `client` and `server`; `early` is what the client sent behind its request.
/// A direction that ends is passed on as a half-close; an error of either ends both.
pub(super) async fn run(
    local: &Local,
    watch: &Watch,
    client: &mut Stream,
    server: &mut Stream,
    early: Buf,
    idle_ms: u64,
) {
    // A client that has ended its direction is not gone, and the server's deadline for an answer is
    // over with the 101.
    watch.upstream_answered();
    if idle_ms == NEVER {
        watch.enter(Phase::Tunnel, NEVER);
    } else {
        watch.enter_while_moving(Phase::Tunnel, local.clock.now_ms(), idle_ms, 1);
    }
    let up = Direction {
        local,
        watch,
        patience: &watch.downstream_patience,
        from: &mut client.read,
        to: &mut server.write,
    };
    let down = Direction {
        local,
        watch,
        patience: &watch.upstream_patience,
        from: &mut server.read,
        to: &mut client.write,
    };
    both(up.carry(early), down.carry(Buf::default())).await;
}

struct Direction<'a> {
    local: &'a Local,
    watch: &'a Watch,
    patience: &'a Patience,
    from: &'a mut ReadHalf,
    to: &'a mut WriteHalf,
}

impl Direction<'_> {
    /// Whether it ended in order.
    async fn carry(self, mut buffer: Buf) -> bool {
        let Self { local, watch, patience, from, to } = self;
        loop {
            let count = buffer.len();
            if to.send(&mut buffer, count, watch).await.is_err() {
                return false;
            }
            local.buffers.give_back(std::mem::take(&mut buffer));
            buffer = local.buffers.take_large();
            let (clock, pool) = (&local.clock, &local.buffers);
            let fresh = BufferPool::take_large;
            match from.read_patiently(&mut buffer, usize::MAX, patience, clock, pool, fresh).await {
                Ok(received @ 1..) => watch.note_progress(received),
                Ok(0) => {
                    local.buffers.give_back(buffer);
                    to.finish().await;
                    return true;
                }
                Err(_) => return false,
            }
        }
    }
}

/// Until both have ended in order, or one has not.
async fn both(up: impl Future<Output = bool>, down: impl Future<Output = bool>) {
    let mut up = pin!(up);
    let mut down = pin!(down);
    let (mut up_ended, mut down_ended) = (false, false);
    poll_fn(move |task| {
        if !up_ended && let Poll::Ready(in_order) = up.as_mut().poll(task) {
            up_ended = true;
            if !in_order {
                return Poll::Ready(());
            }
        }
        if !down_ended && let Poll::Ready(in_order) = down.as_mut().poll(task) {
            down_ended = true;
            if !in_order {
                return Poll::Ready(());
            }
        }
        if up_ended && down_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
