//! Everything that can go wrong in an exchange, and the only place that says what the client is
//! told about it.

use sundew_config::model::Limits;

use crate::cluster::PickError;
use crate::http1::framing::FramingError;
use crate::http1::head::HeadError;
use crate::http1::respond::{BodyKind, OwnResponse, reason};
use crate::upstream::ConnectError;

/// Named by who failed at what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// The client's head is malformed, or its framing contradicts itself.
    RequestMalformed,
    /// The client speaks another version.
    RequestVersion,
    /// The request line is too long.
    RequestLineTooLong,
    /// The head is too large.
    RequestHeadTooLarge,
    /// The body is larger than is taken.
    RequestBodyTooLarge,
    /// A transfer coding that is not spoken here.
    RequestNotImplemented,
    /// CONNECT: this is no forward proxy.
    ConnectMethod,
    /// An expectation that cannot be met.
    RequestExpectation,
    /// The client is too slow.
    RequestTimeout,
    /// The client left, or ended its request early.
    ClientGone,
    /// No router takes it.
    NoRouter,
    /// No server is up.
    NoServer,
    /// Every server that may take it has as many requests as it may.
    ServersFull,
    /// Neither service of a failover has a server that is up.
    FailoverDown,
    /// The body is too large to be kept for a fallback.
    KeptBodyTooLarge,
    /// The pinned server cannot take it, and the client is not moved: this status.
    PinRefused(u16),
    /// There is no memory for it, or there are no descriptors or ports left for a server.
    Overloaded,
    /// No server takes the connection.
    ServerRefused,
    /// The connection to the server timed out.
    ServerConnectTimeout,
    /// The server closed before it answered.
    ServerClosed,
    /// The server reset the connection.
    ServerReset,
    /// The server's head is malformed.
    ServerMalformed,
    /// The server did not answer in time.
    ServerTimeout,
}

impl ProxyError {
    /// What the client gets.
    #[must_use]
    pub fn response(self) -> OwnResponse {
        let bare = |status| OwnResponse {
            status,
            body: reason(status),
            kind: BodyKind::Bare,
            retry_after_s: None,
        };
        let plain =
            |status, body| OwnResponse { status, body, kind: BodyKind::Plain, retry_after_s: None };
        match self {
            Self::RequestMalformed => plain(400, "400 Bad Request"),
            Self::RequestVersion => plain(505, "505 HTTP Version Not Supported"),
            Self::RequestLineTooLong => plain(414, "414 Request URI Too Long"),
            Self::RequestHeadTooLarge => plain(431, "431 Request Header Fields Too Large"),
            Self::RequestBodyTooLarge => plain(413, "413 Request Entity Too Large"),
            Self::RequestNotImplemented => plain(501, "501 Not Implemented"),
            Self::ConnectMethod => OwnResponse { body: "", ..bare(501) },
            Self::RequestExpectation => OwnResponse { body: "", ..bare(417) },
            Self::RequestTimeout => plain(408, "408 Request Timeout"),
            Self::NoRouter => OwnResponse {
                status: 404,
                body: "404 page not found\n",
                kind: BodyKind::PlainNoSniff,
                retry_after_s: None,
            },
            Self::Overloaded | Self::ServersFull => OwnResponse {
                retry_after_s: Some(OVERLOADED_RETRY_AFTER_S),
                ..plain(503, "503 Service Unavailable")
            },
            Self::NoServer => OwnResponse {
                status: 503,
                body: "no available server\n",
                kind: BodyKind::PlainNoSniff,
                retry_after_s: None,
            },
            Self::FailoverDown => OwnResponse {
                status: 503,
                body: "Service Unavailable\n",
                kind: BodyKind::PlainNoSniff,
                retry_after_s: None,
            },
            Self::KeptBodyTooLarge => OwnResponse {
                status: 413,
                body: "Request body too large\n",
                kind: BodyKind::PlainNoSniff,
                retry_after_s: None,
            },
            Self::ServerRefused
            | Self::ServerClosed
            | Self::ServerReset
            | Self::ServerMalformed => bare(502),
            Self::ServerConnectTimeout | Self::ServerTimeout => bare(504),
            Self::PinRefused(status) => bare(status),
            Self::ClientGone => OwnResponse { body: "Client Closed Request", ..bare(499) },
        }
    }

    /// A server is at fault: another might do better.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        matches!(
            self,
            Self::ServerRefused
                | Self::ServerConnectTimeout
                | Self::ServerClosed
                | Self::ServerReset
                | Self::ServerMalformed
                | Self::ServerTimeout
        )
    }

    /// The client's connection cannot be used any more: what it sent is not understood, or was
    /// not read to its end.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::RequestMalformed
                | Self::RequestVersion
                | Self::RequestLineTooLong
                | Self::RequestHeadTooLarge
                | Self::RequestBodyTooLarge
                | Self::KeptBodyTooLarge
                | Self::RequestNotImplemented
                | Self::ConnectMethod
                | Self::RequestExpectation
                | Self::RequestTimeout
                | Self::ClientGone
        )
    }
}

impl From<HeadError> for ProxyError {
    fn from(error: HeadError) -> Self {
        match error {
            // TLS is closed without an answer before this is asked.
            HeadError::Malformed | HeadError::Tls => Self::RequestMalformed,
            HeadError::Version => Self::RequestVersion,
            HeadError::LineTooLong => Self::RequestLineTooLong,
            HeadError::TooLarge => Self::RequestHeadTooLarge,
        }
    }
}

impl From<FramingError> for ProxyError {
    fn from(error: FramingError) -> Self {
        match error {
            FramingError::Malformed => Self::RequestMalformed,
            FramingError::Coding => Self::RequestNotImplemented,
            FramingError::Expectation => Self::RequestExpectation,
        }
    }
}

impl From<ConnectError> for ProxyError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused => Self::ServerRefused,
            ConnectError::Exhausted => Self::Overloaded,
            ConnectError::TimedOut => Self::ServerConnectTimeout,
        }
    }
}

impl From<PickError> for ProxyError {
    fn from(error: PickError) -> Self {
        match error {
            PickError::Refused(status) => Self::PinRefused(status),
            PickError::NoServer | PickError::Exhausted => Self::NoServer,
            PickError::FailoverDown => Self::FailoverDown,
            PickError::Full(_) => Self::ServersFull,
        }
    }
}

/// When a client that met [`ProxyError::Overloaded`] may try again: what is short is back in seconds, and
/// somebody else may be asked meanwhile.
const OVERLOADED_RETRY_AFTER_S: u32 = 1;

/// Longest wait for a client to take its last response before the connection is closed, and most
/// bytes of it that are swallowed meanwhile: a close with unread bytes would be a reset, which
/// can destroy the response on its way.
pub const LINGER_MS: u64 = 5_000;
/// See [`LINGER_MS`].
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(LINGER_BYTES_MAX > Limits::HEAD_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_is_told_by_whose_fault_it_is() {
        for (failure, status, retry_after_s, is_of_server) in [
            (ConnectError::Refused, 502, None, true),
            (ConnectError::TimedOut, 504, None, true),
            (ConnectError::Exhausted, 503, Some(OVERLOADED_RETRY_AFTER_S), false),
        ] {
            let error = ProxyError::from(failure);
            let got = (error.response().status, error.response().retry_after_s);
            assert_eq!((got, error.is_of_server()), ((status, retry_after_s), is_of_server));
        }
    }
}
