//! A panic ends one connection, not the worker.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs `future`; false when it panicked. What it held is dropped then like on any other way out.
///
/// `AssertUnwindSafe`: the future is not polled again, and what connections share is `Cell`s and
/// short borrows that no panic can leave half-written.
pub async fn guarded(future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(true),
        Err(_panic) => Poll::Ready(false),
    })
    .await
}
