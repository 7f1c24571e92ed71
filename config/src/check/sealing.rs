//! `sticky.cookie.value: sealed`: the keys, which were read before, and the times.
//!
//! Everything that is wrong refuses the load, with `--lenient` too: a cookie that was to be sealed
//! and is not would be one that anybody can make.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::scalar::duration;
use crate::key_file::{KeyFile, KeyFiles, Refusal};
use crate::model::{Sealing, SealingKey};
use crate::raw;
use crate::source::At;

/// A value of unknown origin is tried with each key.
const KEYS_MAX: usize = 8;

/// How the values of a cookie are sealed; `None`: they are hashes.
pub(super) fn sealing(raw: &raw::Cookie, files: &KeyFiles, at: &At<'_>) -> Option<Sealing> {
    let value = raw.value.as_str();
    if !value.eq_ignore_ascii_case("sealed") {
        if !value.is_empty() && !value.eq_ignore_ascii_case("hash") {
            at.key("value").error(format!("unknown value `{value}`"), "write hash or sealed");
        }
        refuse_without_seal(raw, at);
        return None;
    }
    let keys = keys(&raw.keys, files, &at.key("keys"));
    let lifetime = whole_seconds(raw.lifetime.as_ref(), &at.key("lifetime"));
    let idle_timeout = whole_seconds(raw.idle_timeout.as_ref(), &at.key("idleTimeout"));
    if let (Some(lifetime), Some(idle_timeout)) = (lifetime, idle_timeout)
        && idle_timeout >= lifetime
    {
        at.key("idleTimeout").warning("never reached: `lifetime` is not longer", "shorten it");
    }
    let until = raw.accept_hash_until.as_deref().filter(|it| !it.is_empty());
    let accept_hash_until_s = until.and_then(|it| moment(it, &at.key("acceptHashUntil")));
    Some(Sealing { keys, lifetime, idle_timeout, accept_hash_until_s })
}

/// Keys that mean nothing without `value: sealed` were meant to mean something.
fn refuse_without_seal(raw: &raw::Cookie, at: &At<'_>) {
    for (key, is_written) in [
        ("keys", !raw.keys.is_empty()),
        ("lifetime", raw.lifetime.is_some()),
        ("idleTimeout", raw.idle_timeout.is_some()),
        ("acceptHashUntil", raw.accept_hash_until.is_some()),
    ] {
        if is_written {
            at.key(key).error("only sealed values have it", "write `value: sealed`, or remove it");
        }
    }
}

fn keys(written: &[String], files: &KeyFiles, at: &At<'_>) -> Vec<SealingKey> {
    if written.is_empty() {
        at.error("a sealed value needs a key", "make one with `sundew keygen` and name its file");
    }
    if written.len() > KEYS_MAX {
        at.error(format!("{} keys", written.len()), format!("write at most {KEYS_MAX}"));
    }
    let mut keys = Vec::with_capacity(written.len());
    for (index, file) in written.iter().enumerate() {
        let at = at.index(index);
        let key = match files.find(file) {
            Some(KeyFile::Fresh(key)) => key,
            Some(KeyFile::Kept(key, refusal)) => {
                let Refusal { message, help } = refusal;
                at.warning(format!("`{file}`: {message}; its last good key stays"), *help);
                key
            }
            Some(KeyFile::Refused(Refusal { message, help })) => {
                at.error(format!("`{file}`: {message}"), *help);
                continue;
            }
            None => {
                at.error("no file is named", "make one with `sundew keygen` and name its file");
                continue;
            }
        };
        if keys.contains(key) {
            at.warning(format!("`{file}` holds the same key as one before it"), "remove it");
            continue;
        }
        keys.push(key.clone());
    }
    keys
}

/// Values count in seconds.
fn whole_seconds(text: Option<&String>, at: &At<'_>) -> Option<Duration> {
    let duration = duration(at, text)?;
    if duration.is_zero() || duration.subsec_nanos() > 0 {
        at.error("must be whole seconds, at least one", "write a duration such as 30m or 12h");
        return None;
    }
    Some(duration)
}

/// A moment in seconds since 1970. A day alone means its beginning, in UTC.
fn moment(text: &str, at: &At<'_>) -> Option<u64> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let moment = match day {
        Ok(day) => Ok(day.midnight().assume_utc()),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339),
    };
    let seconds = moment.ok().and_then(|it| u64::try_from(it.unix_timestamp()).ok());
    if seconds.is_none() {
        let help = "write a day such as 2027-03-31, or 2027-03-31T18:00:00Z";
        at.error(format!("`{text}` is not a date"), help);
    }
    seconds
}
