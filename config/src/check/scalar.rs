//! Durations, ranges and words that many keys share.

use std::time::Duration;

use crate::source::At;

const DURATION_HELP: &str = "write seconds, or a duration such as 30s, 500ms or 1m30s";

/// The duration of a key, `None` when it is not written (or was reported).
pub(super) fn duration(at: &At<'_>, text: Option<&String>) -> Option<Duration> {
    let text = text?;
    match parse_duration(text) {
        Some((false, duration)) => return Some(duration),
        Some((true, _)) => at.error("a negative duration", DURATION_HELP),
        None => at.error(format!("`{text}` is not a duration"), DURATION_HELP),
    }
    None
}

/// A time limit: `default` unless written, and no limit when zero is written.
pub(super) fn limit(
    at: &At<'_>,
    text: Option<&String>,
    default: Option<Duration>,
) -> Option<Duration> {
    match duration(at, text) {
        Some(Duration::ZERO) => None,
        Some(written) => Some(written),
        None => default,
    }
}

/// A duration that cannot be zero: `default` unless written.
pub(super) fn positive(at: &At<'_>, text: Option<&String>, default: Duration) -> Duration {
    match duration(at, text) {
        Some(Duration::ZERO) => {
            at.error("must be longer than zero", DURATION_HELP);
            default
        }
        Some(written) => written,
        None => default,
    }
}

/// A duration as files write it: seconds, or `30s`, `500ms`, `1m30s`; `None` for anything else.
#[must_use]
pub fn duration_of(text: &str) -> Option<Duration> {
    parse_duration(text).and_then(|(is_negative, size)| (!is_negative).then_some(size))
}

/// Sign and size. Bare integers are seconds (as in Traefik), the rest is Go's `ParseDuration`.
pub(super) fn parse_duration(text: &str) -> Option<(bool, Duration)> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let seconds = || digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok());
    if let Some(seconds) = seconds().flatten() {
        let size = Duration::from_secs(seconds);
        return (size <= DURATION_MAX).then_some((is_negative && !size.is_zero(), size));
    }
    let (mut rest, mut total) = (digits, Duration::ZERO);
    while !rest.is_empty() {
        let (part, after) = duration_part(rest)?;
        total = total.checked_add(part).filter(|it| *it <= DURATION_MAX)?;
        rest = after;
    }
    (!digits.is_empty()).then_some((is_negative && !total.is_zero(), total))
}

/// Go counts nanoseconds in 63 bits.
const DURATION_MAX: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// One number with its unit, and what follows it.
fn duration_part(text: &str) -> Option<(Duration, &str)> {
    let unit_at = text.find(|it: char| !it.is_ascii_digit() && it != '.')?;
    let (number, rest) = text.split_at(unit_at);
    let unit_end = rest.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit_ns: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // More digits than a nanosecond can show cannot change the result.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let total = u128::from(whole).checked_mul(unit_ns)? + fraction * unit_ns / scale;
    Some((Duration::from_nanos(u64::try_from(total).ok()?), rest))
}

const SIZE_HELP: &str = "write bytes, or a size such as 512MiB or 2GB";

/// The bytes of a size that is not zero; `None` after a report.
pub(super) fn size(at: &At<'_>, text: &str) -> Option<u64> {
    match parse_size(text) {
        None => at.error(format!("`{text}` is not a size"), SIZE_HELP),
        Some(0) => at.error("must be more than zero", SIZE_HELP),
        bytes => return bytes,
    }
    None
}

/// A whole number of bytes, or of a unit: `KiB`, `MiB`, `GiB`, `TiB` (also without the `B`) count
/// in 1024, `kB`, `MB`, `GB`, `TB` in 1000; in any case.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_bytes: u64 = match &*unit.trim_start().to_ascii_lowercase() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" | "ki" => 1 << 10,
        "mib" | "mi" => 1 << 20,
        "gib" | "gi" => 1 << 30,
        "tib" | "ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_bytes)
}

/// `number` when it is in `range`, else `default` after a report.
pub(super) fn in_range<T>(
    at: &At<'_>,
    number: Option<i64>,
    range: std::ops::RangeInclusive<i64>,
    default: T,
) -> T
where
    T: TryFrom<i64>,
{
    let Some(number) = number else { return default };
    match T::try_from(number) {
        Ok(fits) if range.contains(&number) => fits,
        _ => {
            let help = format!("write {} to {}", range.start(), range.end());
            at.error(format!("{number} is out of range"), help);
            default
        }
    }
}

/// The value of `word` in `words`, any case, or `default` after a report; `""` is not written.
pub(super) fn word<T: Copy>(at: &At<'_>, word: &str, words: &[(&str, T)], default: T) -> T {
    if word.is_empty() {
        return default;
    }
    if let Some((_, value)) = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return *value;
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let mut help = at.did_you_mean(word, names.iter().copied());
    if help.is_empty() {
        help = format!("write {}", names.join(", "));
    }
    at.wrong(format!("unknown value `{word}`"), help);
    default
}

/// Whether the value says "off" (`false`, quoted or not).
pub(super) fn parse_bool_off(value: &serde_yaml::Value) -> bool {
    value.as_bool() == Some(false)
        || value.as_str().is_some_and(|it| it == "0" || it.eq_ignore_ascii_case("false"))
}

/// Reports a text that no head has room for.
pub(super) fn is_longer_than(bytes_max: usize, text: &str, at: &At<'_>) -> bool {
    let is_longer = text.len() > bytes_max;
    if is_longer {
        at.error(format!("{} bytes long", text.len()), format!("write at most {bytes_max} bytes"));
    }
    is_longer
}
