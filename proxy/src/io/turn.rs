//! Turns between the connections of a worker on epoll. There an operation that need not wait is
//! done at once, so that two fast peers would keep the thread for as long as both are ready: a
//! megabyte that waits in the kernel is relayed before anybody else is looked at, and with a
//! hundred of those everybody waits for a hundred megabytes. On a ring every operation is a turn.
//!
//! A connection that has sent its share waits here for the next round of the event loop. Waking
//! itself would not do: the engine polls its timers only when no task is left to run. So a byte in
//! a pipe ends the round, and wakes all who wait. Owns who waits; called by [`super::WriteHalf`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::{WakePipe, Watch, spawn};

/// What a connection sends before it lets others go first, when none waits for that: a round costs
/// two system calls, 3 % of sending this much.
const ALONE_BYTES_MAX: usize = 256 * 1024;

/// The same when others wait, who share the cost: one full buffer, as on a ring.
const BESIDE_BYTES_MAX: usize = 32 * 1024;

struct Turns {
    waiting: RefCell<VecDeque<Waker>>,
    wake: UnixStream,
}

thread_local! {
    static TURNS: RefCell<Option<Rc<Turns>>> = const { RefCell::new(None) };
}

/// From now on the connections of this thread take turns; must run inside its event loop.
///
/// # Errors
/// When there is no descriptor left for the pipe.
pub fn begin() -> io::Result<()> {
    let (wake, wakes) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    wakes.set_nonblocking(true)?;
    let mut wakes = WakePipe::from_std(wakes)?;
    let turns = Rc::new(Turns { waiting: RefCell::default(), wake });
    TURNS.set(Some(Rc::clone(&turns)));
    spawn(async move {
        while wakes.wait().await.is_ok() {
            loop {
                let next = turns.waiting.borrow_mut().pop_front();
                let Some(next) = next else { break };
                // Runs later, so it cannot be here again before the queue is empty.
                next.wake();
            }
        }
    });
    Ok(())
}

/// After `bytes` were sent on the connection of `watch`: waits for others when its share is used
/// up.
pub(super) async fn pass_after(watch: &Watch, bytes: usize) {
    let burst_bytes = watch.burst_bytes.get().saturating_add(bytes);
    watch.burst_bytes.set(burst_bytes);
    if burst_bytes < BESIDE_BYTES_MAX {
        return;
    }
    let mut is_asked = false;
    poll_fn(|task| {
        if is_asked {
            return Poll::Ready(());
        }
        is_asked = true;
        TURNS.with_borrow(|turns| match turns {
            Some(turns) => turns.queue(watch, task.waker()),
            None => {
                watch.burst_bytes.set(0);
                Poll::Ready(())
            }
        })
    })
    .await;
}

impl Turns {
    fn queue(&self, watch: &Watch, waker: &Waker) -> Poll<()> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            if watch.burst_bytes.get() < ALONE_BYTES_MAX {
                return Poll::Ready(());
            }
            // At most one byte a round, so the pipe is never full.
            let _ = (&self.wake).write(&[1]);
        }
        watch.burst_bytes.set(0);
        waiting.push_back(waker.clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::super::{Buf, Stream, Watches};
    use super::*;

    const PIECE_BYTES: usize = 16 * 1024;

    /// How many pieces one connection had sent when another task ran for the first time.
    fn pieces_before_the_other() -> usize {
        const PIECES: usize = 64;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // So that it need not wait for far more than its share.
        socket2::SockRef::from(&client).set_send_buffer_size(1 << 20).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let reader = std::thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
        let mut runtime =
            monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build().unwrap();
        let seen = runtime.block_on(async {
            begin().unwrap();
            let watches = Rc::new(Watches::default());
            let mut stream = Stream::from_std(client).unwrap();
            let watched = watches.add(stream.fd());
            let sent = Rc::new(Cell::new(0));
            let mut other = None;
            for piece in 1..=PIECES {
                let mut buffer = Buf::from_parts(vec![b'x'; PIECE_BYTES], 0);
                stream.write.send(&mut buffer, PIECE_BYTES, &watched).await.unwrap();
                sent.set(piece);
                // Not before the first piece, which waits for the socket to be ready.
                let counted = Rc::clone(&sent);
                other.get_or_insert_with(|| monoio::spawn(async move { counted.get() }));
            }
            other.unwrap().await
        });
        assert_eq!(reader.join().unwrap(), PIECES * PIECE_BYTES);
        seen
    }

    #[test]
    fn who_need_not_wait_lets_others_go_first_after_its_share() {
        let seen = pieces_before_the_other();
        assert!(seen <= ALONE_BYTES_MAX / PIECE_BYTES, "{seen} pieces before the other's turn");
    }

    #[test]
    fn the_share_is_smaller_when_others_wait() {
        let (wake, mut wakes) = UnixStream::pair().unwrap();
        let turns = Turns { waiting: RefCell::default(), wake };
        let watches = Rc::new(Watches::default());
        let watched = watches.add(-1);
        let queue = |burst_bytes| {
            watched.burst_bytes.set(burst_bytes);
            turns.queue(&watched, Waker::noop()).is_pending()
        };
        assert!(!queue(BESIDE_BYTES_MAX), "nobody waits");
        assert!(queue(ALONE_BYTES_MAX));
        assert_eq!(watched.burst_bytes.get(), 0, "a new share");
        assert!(queue(BESIDE_BYTES_MAX), "somebody waits");
        drop(turns);
        let mut bytes = Vec::new();
        wakes.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [1], "one byte a round");
    }
}
