//! Both directions of an exchange at once, in one task.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::delivery::Delivered;
use super::gate::Gate;
use super::upload::UploadEnd;
use crate::io::Buf;

/// How both directions ended; one that did not end was dropped, and its connection must be closed.
#[derive(Debug)]
pub(super) struct DuplexEnd {
    /// The request body, with what was received behind it.
    pub upload: Option<(UploadEnd, Buf)>,
    /// The response; `None` when the client's body failed before it began.
    pub delivered: Option<Delivered>,
}

/// Runs `upload` and `delivery` until the response has been delivered, or the client's body has
/// failed with nothing delivered.
pub(super) async fn run(
    upload: impl Future<Output = (UploadEnd, Buf)>,
    delivery: impl Future<Output = Delivered>,
    gate: &Gate,
) -> DuplexEnd {
    let mut upload = pin!(upload);
    let mut delivery = pin!(delivery);
    let mut uploaded = None;
    poll_fn(move |task| {
        if let Poll::Ready(delivered) = delivery.as_mut().poll(task) {
            return Poll::Ready(DuplexEnd { upload: uploaded.take(), delivered: Some(delivered) });
        }
        if uploaded.is_none()
            && let Poll::Ready(end) = upload.as_mut().poll(task)
        {
            let has_failed = matches!(end.0, UploadEnd::Failed(_));
            uploaded = Some(end);
            if has_failed && !gate.has_response_begun() {
                return Poll::Ready(DuplexEnd { upload: uploaded.take(), delivered: None });
            }
        }
        Poll::Pending
    })
    .await
}
