//! `loadBalancer.healthCheck`.

use std::time::Duration;

use super::scalar::{in_range, is_longer_than, parse_duration};
use super::server::{URL_BYTES_MAX, has_whole_escapes};
use crate::model::{HealthCheck, HealthMode, PassiveHealthCheck};
use crate::raw;
use crate::source::At;

/// Traefik's default.
const INTERVAL: Duration = Duration::from_secs(30);
/// Traefik's default.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Traefik's default.
const FAILURE_WINDOW: Duration = Duration::from_secs(10);
/// Probes in a row that a verdict may wait for; more would be a check that is off.
const THRESHOLD_MAX: i64 = 1000;
/// A shorter interval would be a load test of the server.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// An active check; mistakes that `--lenient` survives fall back to the defaults.
pub(super) fn health_check(raw: &raw::HealthCheck, at: &At<'_>) -> HealthCheck {
    let is_empty =
        at.value().and_then(|it| it.as_mapping()).is_some_and(serde_yaml::Mapping::is_empty);
    if is_empty {
        at.wrong("nothing is written in it", "write at least `path: /`");
    }
    let mode = match raw.mode.as_str() {
        "" | "http" => HealthMode::Http,
        "grpc" => HealthMode::Grpc,
        // As Traefik takes whatever it does not know, but not in silence.
        unknown => {
            at.key("mode").wrong(format!("unknown mode `{unknown}`"), "write `http` or `grpc`");
            HealthMode::Http
        }
    };
    match (raw.scheme.to_ascii_lowercase().as_str(), mode) {
        ("" | "http", _) | ("h2c", HealthMode::Grpc) => {}
        _ => at.key("scheme").unsupported_what(&format!("`{}`", raw.scheme), ""),
    }
    let time =
        |key: &str, text: &Option<String>, default| period(&at.key(key), text.as_ref(), default);
    let interval = time("interval", &raw.interval, INTERVAL);
    let number = |it: i64| (it != 0).then_some(it);
    // Traefik believes every probe.
    let threshold = |key: &str, written| in_range(&at.key(key), written, 1..=THRESHOLD_MAX, 1);
    HealthCheck {
        mode,
        path: path(&raw.path, &at.key("path")),
        method: method(&raw.method, &at.key("method")),
        status: number(raw.status).map(|it| in_range(&at.key("status"), Some(it), 100..=599, 200)),
        hostname: hostname(&raw.hostname, &at.key("hostname")),
        port: number(raw.port).map(|it| in_range(&at.key("port"), Some(it), 1..=65_535, 80)),
        interval,
        unhealthy_interval: time("unhealthyInterval", &raw.unhealthy_interval, interval),
        timeout: time("timeout", &raw.timeout, TIMEOUT),
        headers: headers(raw, &at.key("headers")),
        follow_redirects: raw.follow_redirects.unwrap_or(true),
        healthy_threshold: threshold("healthyThreshold", raw.healthy_threshold),
        unhealthy_threshold: threshold("unhealthyThreshold", raw.unhealthy_threshold),
    }
}

/// A passive check; both of its numbers have Traefik's defaults.
pub(super) fn passive_health_check(
    raw: &raw::PassiveHealthCheck,
    at: &At<'_>,
) -> PassiveHealthCheck {
    let window = raw.failure_window.as_ref();
    PassiveHealthCheck {
        failure_window: period(&at.key("failureWindow"), window, FAILURE_WINDOW),
        failed_attempts_max: in_range(
            &at.key("maxFailedAttempts"),
            raw.max_failed_attempts,
            1..=1_000,
            1,
        ),
    }
}

/// Traefik logs an error and takes its default for what is not above zero.
fn period(at: &At<'_>, text: Option<&String>, default: Duration) -> Duration {
    let Some(text) = text else { return default };
    match parse_duration(text) {
        Some((false, period)) if period >= INTERVAL_MIN => return period,
        Some((false, period)) if !period.is_zero() => {
            at.wrong(format!("`{text}` is too short"), "write 10ms or more");
        }
        Some(_) => at.wrong(format!("`{text}` is not longer than zero"), "write 10ms or more"),
        None => at.error(format!("`{text}` is not a duration"), "write seconds, or 500ms, 1m30s"),
    }
    default
}

fn path(path: &str, at: &At<'_>) -> String {
    if is_longer_than(URL_BYTES_MAX, path, at) {
        return String::new();
    }
    let before_slash = path.split(['/', '?', '#']).next().unwrap_or_default();
    let is_safe = path.bytes().all(|it| it.is_ascii_graphic()) && has_whole_escapes(path);
    if path.starts_with("//") || before_slash.contains(':') {
        at.wrong(
            format!("`{}` is a whole URL", path.escape_debug()),
            "write the path alone; `scheme`, `hostname` and `port` are keys of their own",
        );
    } else if !is_safe {
        let message = format!("`{}` is not a path", path.escape_debug());
        at.wrong(message, "percent-encode blanks and special characters");
    } else {
        return path.to_owned();
    }
    String::new()
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_token_byte = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn method(method: &str, at: &At<'_>) -> String {
    if method.is_empty() {
        return "GET".to_owned();
    }
    if is_token(method) {
        return method.to_owned();
    }
    at.wrong(format!("`{}` is not a method", method.escape_debug()), "write GET or HEAD");
    "GET".to_owned()
}

fn hostname(name: &str, at: &At<'_>) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    if name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._:[]".contains(&it)) {
        return Some(name.to_owned());
    }
    at.wrong(format!("`{}` is not a host", name.escape_debug()), "write example.com");
    None
}

fn headers(raw: &raw::HealthCheck, at: &At<'_>) -> Vec<(String, String)> {
    let is_value = |value: &str| value.bytes().all(|it| it == b'\t' || (it >= b' ' && it != 0x7f));
    let mut headers = Vec::with_capacity(raw.headers.len());
    for (name, value) in &raw.headers {
        if is_token(name) && is_value(value) {
            headers.push((name.clone(), value.clone()));
        } else {
            at.key(name).wrong(
                "a field that would break the request's head",
                "leave out control characters, and blanks in the name",
            );
        }
    }
    headers
}
