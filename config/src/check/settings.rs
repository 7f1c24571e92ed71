//! The `sundew:` section.

use super::scalar::{in_range, limit, positive, word};
use crate::model::{DriverChoice, Limits, Settings};
use crate::raw;
use crate::source::At;

const WORKERS_MAX: i64 = 1024;
/// The kernel's own limit on a ring.
const RING_ENTRIES_MAX: i64 = 32_768;

/// `sundew`.
pub(super) fn settings(raw: &raw::Sundew, at: &At<'_>) -> Settings {
    let default = Settings::default();
    let drivers = [
        ("auto", DriverChoice::Auto),
        ("uring", DriverChoice::Uring),
        ("epoll", DriverChoice::Epoll),
    ];
    let workers = raw.workers.map(|it| in_range(&at.key("workers"), Some(it), 1..=WORKERS_MAX, 1));
    let ring = &at.key("ringEntries");
    let resolve = &at.key("resolveInterval");
    Settings {
        workers,
        pin: raw.pin,
        driver: word(&at.key("driver"), &raw.driver, &drivers, DriverChoice::Auto),
        ring_entries: in_range(ring, raw.ring_entries, 8..=RING_ENTRIES_MAX, default.ring_entries),
        resolve_interval: positive(
            resolve,
            raw.resolve_interval.as_ref(),
            default.resolve_interval,
        ),
        limits: limits(&raw.limits, &at.key("limits")),
    }
}

fn limits(raw: &raw::Limits, at: &At<'_>) -> Limits {
    let default = Limits::default();
    let time =
        |key: &str, text: &Option<String>, default| positive(&at.key(key), text.as_ref(), default);
    let bytes =
        |key: &str, number, default| in_range(&at.key(key), number, 256..=64 << 20, default);
    let idle = &at.key("tunnelIdleTimeout");
    let limits = Limits {
        head_bytes_max: bytes("headBytes", raw.head_bytes, default.head_bytes_max),
        head_fields_max: in_range(
            &at.key("headFields"),
            raw.head_fields,
            1..=10_000,
            default.head_fields_max,
        ),
        request_line_bytes_max: bytes(
            "requestLineBytes",
            raw.request_line_bytes,
            default.request_line_bytes_max,
        ),
        head_timeout: time("headTimeout", &raw.head_timeout, default.head_timeout),
        body_rate_min: in_range(
            &at.key("bodyRateMin"),
            raw.body_rate_min,
            0..=i64::MAX,
            default.body_rate_min,
        ),
        body_rate_window: time("bodyRateWindow", &raw.body_rate_window, default.body_rate_window),
        send_timeout: time("sendTimeout", &raw.send_timeout, default.send_timeout),
        tunnel_idle_timeout: limit(idle, raw.tunnel_idle_timeout.as_ref(), None),
        connections_max: raw.connections.map(|number| {
            in_range(&at.key("connections"), Some(number), 1..=i64::from(u32::MAX), usize::MAX)
        }),
    };
    if limits.request_line_bytes_max > limits.head_bytes_max {
        at.error(
            format!(
                "a request line of {} bytes does not fit into a head of {}",
                limits.request_line_bytes_max, limits.head_bytes_max
            ),
            "raise headBytes or lower requestLineBytes",
        );
    }
    limits
}
