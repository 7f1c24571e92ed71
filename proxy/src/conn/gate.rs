//! What the two directions of a streaming exchange tell each other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Shared by the upload and the delivery of one exchange.
#[derive(Debug, Default)]
pub struct Gate {
    upload_done: Cell<bool>,
    response_begun: Cell<bool>,
    continue_given: Cell<bool>,
    send_failed: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Gate {
    /// For a request that has gone out whole.
    #[must_use]
    pub fn upload_is_over() -> Self {
        let gate = Self::default();
        gate.upload_done.set(true);
        gate
    }

    /// The whole request has gone to the server.
    #[must_use]
    pub fn is_upload_done(&self) -> bool {
        self.upload_done.get()
    }

    /// The last byte of the request has gone to the server.
    pub fn note_upload_done(&self) {
        self.upload_done.set(true);
    }

    /// Bytes of the final response are on their way to the client.
    #[must_use]
    pub fn has_response_begun(&self) -> bool {
        self.response_begun.get()
    }

    /// From now on the client's socket belongs to the response.
    pub fn note_response_begun(&self) {
        self.response_begun.set(true);
        self.wake();
    }

    /// The server's socket refused bytes: it has reset the connection.
    #[must_use]
    pub fn has_send_failed(&self) -> bool {
        self.send_failed.get()
    }

    /// A socket reports a reset once. A send that met it leaves the receiving side with what looks
    /// like an orderly end.
    pub fn note_send_failed(&self) {
        self.send_failed.set(true);
    }

    /// The client has been told `100 Continue`.
    #[must_use]
    pub fn is_continue_given(&self) -> bool {
        self.continue_given.get()
    }

    /// The client is told `100 Continue`, once.
    pub fn note_continue_given(&self) {
        self.continue_given.set(true);
        self.wake();
    }

    /// Waits for either.
    pub async fn opened(&self) {
        poll_fn(|task| {
            if self.continue_given.get() || self.response_begun.get() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }
}
