//! The `sundew:` section.

use super::scalar::{in_range, limit, positive, size, word};
use crate::model::{DriverChoice, Limits, MemoryLimit, Settings};
use crate::raw;
use crate::source::At;

const WORKERS_MAX: i64 = 1024;
/// The kernel's own limit on a ring.
const RING_ENTRIES_MAX: i64 = 32_768;
/// Less than any process of ours needs: a unit that was forgotten.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

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
        connections_max: count(
            &at.key("connections"),
            raw.connections,
            u32::MAX.into(),
            usize::MAX,
        ),
        connections_per_address_max: count(
            &at.key("connectionsPerAddress"),
            raw.connections_per_address,
            u32::MAX.into(),
            u32::MAX,
        ),
        requests_per_connection_max: count(
            &at.key("requestsPerConnection"),
            raw.requests_per_connection,
            i64::MAX,
            u64::MAX,
        ),
        request_body_bytes_max: raw
            .request_body_bytes
            .as_ref()
            .and_then(|text| size(&at.key("requestBodyBytes"), text)),
        memory: memory(raw.memory.as_deref(), &at.key("memory")),
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

/// A number of things, `None` when it is not written.
fn count<T: TryFrom<i64>>(at: &At<'_>, number: Option<i64>, max: i64, otherwise: T) -> Option<T> {
    number.map(|number| in_range(at, Some(number), 1..=max, otherwise))
}

fn memory(text: Option<&str>, at: &At<'_>) -> MemoryLimit {
    match text.map(str::trim) {
        None => MemoryLimit::Auto,
        Some(word) if word.eq_ignore_ascii_case("auto") => MemoryLimit::Auto,
        Some(word) if matches!(&*word.to_ascii_lowercase(), "off" | "false") => MemoryLimit::Off,
        Some(text) => match size(at, text) {
            Some(bytes) if bytes < MEMORY_BYTES_MIN => {
                at.error(
                    format!("{bytes} bytes are less than a process needs"),
                    "write at least 1MiB, or off",
                );
                MemoryLimit::Auto
            }
            bytes => bytes.map_or(MemoryLimit::Auto, MemoryLimit::Bytes),
        },
    }
}
