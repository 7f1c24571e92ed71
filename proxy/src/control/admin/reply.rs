//! Answers of the API. Pure; called by `serve`.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// An answer, whole.
pub(super) type Reply = Response<Full<Bytes>>;

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// A status and a body as it is.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    reply
}

fn typed(mut reply: Reply, content_type: &'static str) -> Reply {
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// JSON with a newline behind it, as Traefik's.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(mut text) => {
            text.push(b'\n');
            typed(plain(status, text), "application/json")
        }
        // Not reached: the shapes hold nothing that JSON cannot say.
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Traefik's way of saying no: JSON that calls itself text.
pub(super) fn traefik_error(status: StatusCode, message: &str) -> Reply {
    let mut reply = json(status, &Message { message });
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    reply
}

/// sundew's own way.
pub(super) fn error(status: StatusCode, message: &str) -> Reply {
    json(status, &Message { message })
}

/// Nothing is there.
pub(super) fn not_found() -> Reply {
    let mut reply = plain(StatusCode::NOT_FOUND, "404 page not found\n");
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    reply
}

/// Another method, and which.
pub(super) fn wrong_method(allowed: &'static str) -> Reply {
    let message = format!("only {allowed} is allowed here");
    let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, &message);
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// Text of another kind.
pub(super) fn text(text: String, content_type: &'static str) -> Reply {
    typed(plain(StatusCode::OK, text), content_type)
}
