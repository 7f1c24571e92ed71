//! A panic ends one connection, not the worker.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::Connection;

/// Runs a connection to its end; false when it panicked. What it held is dropped then like on any
/// other way out.
///
/// `AssertUnwindSafe`: the future is not polled again, and what connections share is `Cell`s and
/// short borrows that no panic can leave half-written.
#[expect(clippy::manual_async_fn, reason = "an async fn would hold the connection twice")]
pub fn serve(mut connection: Connection) -> impl Future<Output = bool> {
    async move {
        let mut running = pin!(connection.run());
        poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(true),
            Err(_panic) => Poll::Ready(false),
        })
        .await
    }
}
