//! Times in log lines. A stamp renders a second once and then only its fraction; each worker has
//! its own.
//!
//! Local time is the process's zone (`TZ`, else `/etc/localtime`) with its summer time; a zone that
//! cannot be read is UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, UtcOffset};

/// The last second that was rendered, in the shapes that lines need.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    nanosecond: u32,
    utc: Shapes,
    local: Shapes,
}

/// One second in one zone.
#[derive(Debug, Default)]
struct Shapes {
    /// `02/Jan/2006:15:04:05 -0700`
    common: String,
    /// `2006-01-02T15:04:05`
    iso: String,
    /// `Z` or `+07:00`
    zone: String,
}

impl Stamp {
    /// Makes `at` the stamp's time.
    pub(super) fn set(&mut self, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.nanosecond = since.subsec_nanos();
        if self.second == Some(since.as_secs()) {
            return;
        }
        let whole = i64::try_from(since.as_secs()).unwrap_or(0);
        let utc = OffsetDateTime::from_unix_timestamp(whole).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // Asked again each second: summer time begins while we run.
        let offset = UtcOffset::local_offset_at(utc).unwrap_or(UtcOffset::UTC);
        self.utc.render(utc);
        self.local.render(utc.to_offset(offset));
        self.second = Some(since.as_secs());
    }

    /// `02/Jan/2006:15:04:05 -0700`, in UTC unless `local`.
    pub(super) fn common(&self, local: bool) -> &[u8] {
        self.shapes(local).common.as_bytes()
    }

    /// RFC 3339 with up to nine digits of fraction, without its trailing zeros (Go's
    /// `RFC3339Nano`).
    pub(super) fn push_nano(&self, local: bool, out: &mut Vec<u8>) {
        let shapes = self.shapes(local);
        out.extend_from_slice(shapes.iso.as_bytes());
        if self.nanosecond > 0 {
            out.push(b'.');
            let mut rest = self.nanosecond;
            let mut unit = 100_000_000;
            while rest > 0 {
                // At most nine, since `rest` is below ten units.
                out.push(b'0' + (rest / unit) as u8);
                rest %= unit;
                unit /= 10;
            }
        }
        out.extend_from_slice(shapes.zone.as_bytes());
    }

    /// RFC 3339 without fraction, in local time.
    pub(super) fn push_second(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.local.iso.as_bytes());
        out.extend_from_slice(self.local.zone.as_bytes());
    }

    fn shapes(&self, local: bool) -> &Shapes {
        if local { &self.local } else { &self.utc }
    }
}

impl Shapes {
    /// Reuses its strings: nothing is allocated after the first second.
    fn render(&mut self, at: OffsetDateTime) {
        use std::fmt::Write;

        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        let (ahead, hours, minutes) = match at.offset().as_hms() {
            (hours, minutes, _) if hours < 0 || minutes < 0 => ('-', -hours, -minutes),
            (hours, minutes, _) => ('+', hours, minutes),
        };
        let name = match month {
            time::Month::January => "Jan",
            time::Month::February => "Feb",
            time::Month::March => "Mar",
            time::Month::April => "Apr",
            time::Month::May => "May",
            time::Month::June => "Jun",
            time::Month::July => "Jul",
            time::Month::August => "Aug",
            time::Month::September => "Sep",
            time::Month::October => "Oct",
            time::Month::November => "Nov",
            time::Month::December => "Dec",
        };
        let month = u8::from(month);
        for text in [&mut self.common, &mut self.iso, &mut self.zone] {
            text.clear();
        }
        // Writing to a string cannot fail.
        let _ = write!(
            self.common,
            "{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} {ahead}{hours:02}{minutes:02}"
        );
        let _ = write!(self.iso, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let _ = match (hours, minutes) {
            (0, 0) => write!(self.zone, "Z"),
            _ => write!(self.zone, "{ahead}{hours:02}:{minutes:02}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64, nanosecond: u32) -> SystemTime {
        UNIX_EPOCH + Duration::new(second, nanosecond)
    }

    fn nano(stamp: &Stamp, local: bool) -> String {
        let mut out = Vec::new();
        stamp.push_nano(local, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn utc_times_have_the_shapes_of_go() {
        let mut stamp = Stamp::default();
        for (second, nanosecond, want) in [
            (1_795_499_134, 911_489_931, "2026-11-24T05:45:34.911489931Z"),
            (1_795_499_134, 913_916_550, "2026-11-24T05:45:34.91391655Z"),
            (1_795_499_134, 5, "2026-11-24T05:45:34.000000005Z"),
            (1_795_499_134, 0, "2026-11-24T05:45:34Z"),
            (1_709_164_800, 500_000_000, "2024-02-29T00:00:00.5Z"),
        ] {
            stamp.set(at(second, nanosecond));
            assert_eq!(nano(&stamp, false), want);
        }
        assert_eq!(stamp.common(false), b"29/Feb/2024:00:00:00 +0000");
    }

    #[test]
    fn zones_are_written_with_their_sign() {
        for (seconds, common, iso) in [
            (3600, "01/Jan/1970:01:00:00 +0100", "1970-01-01T01:00:00+01:00"),
            (-12_600, "31/Dec/1969:20:30:00 -0330", "1969-12-31T20:30:00-03:30"),
            (-1800, "31/Dec/1969:23:30:00 -0030", "1969-12-31T23:30:00-00:30"),
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"),
        ] {
            let offset = UtcOffset::from_whole_seconds(seconds).unwrap();
            let mut shapes = Shapes::default();
            shapes.render(OffsetDateTime::UNIX_EPOCH.to_offset(offset));
            assert_eq!(shapes.common, common);
            assert_eq!(format!("{}{}", shapes.iso, shapes.zone), iso);
        }
    }

    #[test]
    fn local_time_is_the_same_moment() {
        let mut stamp = Stamp::default();
        let moment = at(1_795_499_134, 250_000_000);
        stamp.set(moment);
        let format = &time::format_description::well_known::Rfc3339;
        let local = OffsetDateTime::parse(&nano(&stamp, true), format).unwrap();
        assert_eq!(SystemTime::from(local), moment);
        let mut out = Vec::new();
        stamp.push_second(&mut out);
        let logged = OffsetDateTime::parse(std::str::from_utf8(&out).unwrap(), format).unwrap();
        assert_eq!(SystemTime::from(logged), at(1_795_499_134, 0));
    }
}
