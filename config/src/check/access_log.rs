//! `accessLog` and `log`.

use std::path::PathBuf;

use super::scalar::{duration, in_range, word};
use crate::model::{
    AccessLogFields, AccessLogFilters, AccessLogFormat, AccessLogOptions, FieldMode, LogLevel,
    LogOptions,
};
use crate::raw;
use crate::source::At;

const MODES: [(&str, FieldMode); 3] =
    [("keep", FieldMode::Keep), ("drop", FieldMode::Drop), ("redact", FieldMode::Redact)];
const FORMATS: [(&str, AccessLogFormat); 3] = [
    ("common", AccessLogFormat::Common),
    ("genericCLF", AccessLogFormat::GenericClf),
    ("json", AccessLogFormat::Json),
];
const LEVELS: [(&str, LogLevel); 7] = [
    ("TRACE", LogLevel::Trace),
    ("DEBUG", LogLevel::Debug),
    ("INFO", LogLevel::Info),
    ("WARN", LogLevel::Warn),
    ("ERROR", LogLevel::Error),
    ("FATAL", LogLevel::Error),
    ("PANIC", LogLevel::Error),
];

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// `log`. The level is INFO unless written (Traefik: ERROR): the lines of a start are worth it.
pub(super) fn log(raw: &raw::Log, at: &At<'_>) -> LogOptions {
    LogOptions {
        level: word(&at.key("level"), &raw.level, &LEVELS, LogLevel::Info),
        file: path(&raw.file_path),
        json: word(&at.key("format"), &raw.format, &[("common", false), ("json", true)], false),
    }
}

/// `accessLog`.
pub(super) fn access_log(raw: &raw::AccessLog, at: &At<'_>) -> AccessLogOptions {
    let buffering = Some(raw.buffering_size);
    AccessLogOptions {
        file: path(&raw.file_path),
        format: word(&at.key("format"), &raw.format, &FORMATS, AccessLogFormat::Common),
        buffering_lines: in_range(&at.key("bufferingSize"), buffering, 0..=1_000_000, 0),
        filters: filters(&raw.filters, &at.key("filters")),
        fields: fields(&raw.fields, &at.key("fields")),
        internals: raw.add_internals,
    }
}

fn filters(raw: &raw::AccessLogFilters, at: &At<'_>) -> AccessLogFilters {
    let codes = at.key("statusCodes");
    let status_codes = raw.status_codes.iter().enumerate().filter_map(|(index, text)| {
        let range = status_range(text);
        if range.is_none() {
            let message = format!("`{text}` is not a status code or range");
            codes.index(index).error(message, "write 200 or 300-399");
        }
        range
    });
    AccessLogFilters {
        status_codes: status_codes.collect(),
        retry_attempts: raw.retry_attempts,
        duration_min: duration(&at.key("minDuration"), raw.min_duration.as_ref())
            .filter(|it| !it.is_zero()),
    }
}

fn status_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |it: &str| it.trim().parse::<u16>().ok().filter(|it| (100..=999).contains(it));
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some((first, last))
}

fn fields(raw: &raw::AccessLogFields, at: &At<'_>) -> AccessLogFields {
    let (headers, query) = (at.key("headers"), at.key("queryParameters"));
    let names = raw.names.iter().map(|(name, mode)| {
        (name.clone(), word(&at.key("names").key(name), mode, &MODES, FieldMode::Keep))
    });
    let header_names = raw.headers.names.iter().map(|(name, mode)| {
        let mode = word(&headers.key("names").key(name), mode, &MODES, FieldMode::Keep);
        (canonical(name), mode)
    });
    let mode =
        |at: &At<'_>, text: &str, default| word(&at.key("defaultMode"), text, &MODES, default);
    AccessLogFields {
        default_mode: mode(at, &raw.default_mode, FieldMode::Keep),
        names: names.collect(),
        header_default_mode: mode(&headers, &raw.headers.default_mode, FieldMode::Drop),
        headers: header_names.collect(),
        query_default_mode: mode(&query, &raw.query_parameters.default_mode, FieldMode::Keep),
    }
}

/// `User-Agent` for any casing of it (Go's `CanonicalMIMEHeaderKey`).
fn canonical(name: &str) -> String {
    let mut starts_word = true;
    let casing = |it: char| {
        let cased = if starts_word { it.to_ascii_uppercase() } else { it.to_ascii_lowercase() };
        starts_word = it == '-';
        cased
    };
    name.chars().map(casing).collect()
}
