//! Times as Go writes them, which is how Traefik's API does.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Go's `Duration.String`: `500ms`, `1.5s`, `1m0s`, `3h0m0s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < 1_000_000_000 {
        let units = [(1_000_000, "ms"), (1_000, "µs"), (1, "ns")];
        let found = units.into_iter().find(|(unit, _)| nanoseconds >= *unit);
        let (unit, name) = found.unwrap_or((1, "ns"));
        return format!("{}{name}", decimal(nanoseconds, unit));
    }
    let (seconds, mut text) = (duration.as_secs(), String::new());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    // Writing to a string cannot fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if seconds >= 60 {
        let _ = write!(text, "{minutes}m");
    }
    let rest = nanoseconds % 60_000_000_000;
    let _ = write!(text, "{}s", decimal(rest, 1_000_000_000));
    text
}

/// `number / unit` without trailing zeros; `unit` is a power of ten.
fn decimal(number: u128, unit: u128) -> String {
    let (whole, mut part) = (number / unit, number % unit);
    if part == 0 {
        return whole.to_string();
    }
    let mut digits = unit.ilog10() as usize;
    while part % 10 == 0 {
        part /= 10;
        digits -= 1;
    }
    format!("{whole}.{part:0digits$}")
}

/// RFC 3339 in UTC.
pub(super) fn stamp(moment: SystemTime) -> String {
    // Fails past the year 9999 alone.
    OffsetDateTime::from(moment).format(&Rfc3339).unwrap_or_default()
}

/// RFC 3339; `None` for what is none, or lies before 1970.
pub(super) fn parse_stamp(text: &str) -> Option<SystemTime> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let since = u64::try_from(moment.unix_timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_look_as_in_go() {
        for (nanoseconds, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (500_000_000, "500ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (10_800_000_000_000, "3h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), want);
        }
    }

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_499_134);
        assert_eq!(stamp(moment), "2026-11-24T05:45:34Z");
        assert_eq!(parse_stamp("2026-11-24T06:45:34+01:00"), Some(moment));
        assert_eq!((parse_stamp("tomorrow"), parse_stamp("1960-01-01T00:00:00Z")), (None, None));
    }
}
