//! A panic ends one connection, not the worker.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::Connection;

/// Runs a connection to its end; false when it panicked. What it held is dropped then like on any
/// other way out.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold the connection twice")]
pub fn serve(mut connection: Connection) -> impl Future<Output = bool> {
    async move {
        let running = pin!(connection.run());
        survives(running).await
    }
}

/// Runs a task that no connection waits for to its end, or to its panic.
pub(super) async fn contain(task: impl Future<Output = ()>) {
    let running = pin!(task);
    survives(running).await;
}

/// Polls `future` to its end; false when it panicked.
///
/// `AssertUnwindSafe`: the future is not polled again, and what connections share is `Cell`s and
/// short borrows that no panic can leave half-written.
fn survives(mut future: Pin<&mut impl Future<Output = ()>>) -> impl Future<Output = bool> {
    poll_fn(move |task| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(true),
        Err(_panic) => Poll::Ready(false),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Waker};

    use super::*;

    fn ends_of(future: impl Future<Output = ()>) -> Poll<bool> {
        let future = pin!(future);
        let running = pin!(survives(future));
        running.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_panic_is_an_end_like_any_other_and_drops_what_was_held() {
        struct Held<'a>(&'a Cell<bool>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let is_dropped = Cell::new(false);
        let held = Held(&is_dropped);
        let panics = async move {
            let _held = held;
            panic!("as a defect would");
        };
        assert_eq!(ends_of(panics), Poll::Ready(false));
        assert!(is_dropped.get());
        assert_eq!(ends_of(async {}), Poll::Ready(true));
        assert_eq!(ends_of(std::future::pending()), Poll::Pending);
    }
}
