//! The static `serversTransport` and the named ones of `http.serversTransports`.

use std::time::Duration;

use super::scalar::{in_range, limit};
use crate::model::Transport;
use crate::raw;
use crate::source::At;

/// Name of the static transport, as under Traefik.
pub(super) const DEFAULT_NAME: &str = "default@internal";
/// Idle connections of the static transport unless written (Traefik's).
const STATIC_IDLE_MAX: usize = 200;
/// Idle connections of a transport that says 0 or nothing (Go's).
const NAMED_IDLE_MAX: usize = 2;
const DIAL: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(90);

/// The static transport when nothing is written.
pub(crate) fn default_transport() -> Transport {
    Transport {
        name: DEFAULT_NAME.to_owned(),
        idle_per_server_max: STATIC_IDLE_MAX,
        dial_timeout: Some(DIAL),
        response_header_timeout: None,
        idle_timeout: Some(IDLE),
    }
}

/// A transport of a file; `name` is qualified.
pub(super) fn transport(name: &str, raw: &raw::ServersTransport, at: &At<'_>) -> Transport {
    let idle_default = if name == DEFAULT_NAME { STATIC_IDLE_MAX } else { NAMED_IDLE_MAX };
    let idle_at = at.key("maxIdleConnsPerHost");
    let idle = match raw.max_idle_conns_per_host {
        None => idle_default,
        Some(0) => NAMED_IDLE_MAX,
        Some(number) => in_range(&idle_at, Some(number), 1..=1_000_000, idle_default),
    };
    let none = raw::ForwardingTimeouts::default();
    let timeouts = raw.forwarding_timeouts.as_ref().unwrap_or(&none);
    let at = at.key("forwardingTimeouts");
    let time =
        |key: &str, text: &Option<String>, default| limit(&at.key(key), text.as_ref(), default);
    Transport {
        name: name.to_owned(),
        idle_per_server_max: idle,
        dial_timeout: time("dialTimeout", &timeouts.dial_timeout, Some(DIAL)),
        response_header_timeout: time(
            "responseHeaderTimeout",
            &timeouts.response_header_timeout,
            None,
        ),
        idle_timeout: time("idleConnTimeout", &timeouts.idle_conn_timeout, Some(IDLE)),
    }
}
