//! An effective configuration as text: YAML with the origins as comments, or JSON.

use std::fmt::Write as _;

use serde_json::{Value as Json, json as object};

use super::{Origin, Setting};

/// Column of the comments, where lines are short enough.
const COMMENT_COLUMN: usize = 48;

/// A file that means the same, with a comment behind each value: where it comes from.
#[must_use]
pub fn yaml(setting: &Setting) -> String {
    let mut out = String::new();
    if let Setting::Map(entries, _) = setting {
        entries.iter().for_each(|(key, it)| entry(&format!("{}:", word(key)), it, 0, &mut out));
    }
    out
}

/// Writes what stands behind `head`, such as `key:` or `-`, at a depth.
fn entry(head: &str, setting: &Setting, depth: usize, out: &mut String) {
    let head = format!("{:indent$}{head}", "", indent = depth * 2);
    match setting {
        Setting::Value(value, origin) => line(&format!("{head} {}", flow(value)), origin, out),
        Setting::Map(entries, origin) if entries.is_empty() => {
            line(&format!("{head} {{}}"), origin, out);
        }
        Setting::List(items, origin) if items.is_empty() => {
            line(&format!("{head} []"), origin, out);
        }
        Setting::Map(entries, _) if head.ends_with('-') => item(&head, entries, depth, out),
        Setting::Map(entries, _) => {
            let _ = writeln!(out, "{head}");
            for (key, below) in entries {
                entry(&format!("{}:", word(key)), below, depth + 1, out);
            }
        }
        Setting::List(items, _) => {
            let _ = writeln!(out, "{head}");
            items.iter().for_each(|it| entry("-", it, depth + 1, out));
        }
    }
}

/// A mapping of a list: its first key stands behind the dash.
fn item(head: &str, entries: &[(String, Setting)], depth: usize, out: &mut String) {
    let mut below = String::new();
    for (key, setting) in entries {
        entry(&format!("{}:", word(key)), setting, depth + 1, &mut below);
    }
    out.push_str(head);
    out.push_str(below.get(head.len()..).unwrap_or_default());
}

fn line(text: &str, origin: &Origin, out: &mut String) {
    let _ = writeln!(out, "{text:COMMENT_COLUMN$}  # {origin}");
}

fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => word(text),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Plain where nobody could read it as anything but text, else in JSON's quotes, which are YAML's.
fn word(text: &str) -> String {
    let is_plain = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '/')
        && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '/'))
        && !["y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan", "inf"]
            .contains(&&*text.to_ascii_lowercase());
    if is_plain { text.to_owned() } else { Json::from(text).to_string() }
}

/// `{"settings": [{"path", "keys", "value", "from"}]}`, one for each value.
#[must_use]
pub fn json(setting: &Setting) -> Json {
    let mut settings = Vec::new();
    collect(setting, &mut Vec::new(), &mut settings);
    object!({ "settings": settings })
}

fn collect(setting: &Setting, keys: &mut Vec<Json>, out: &mut Vec<Json>) {
    let below = |key: Json, it: &Setting, keys: &mut Vec<Json>, out: &mut Vec<Json>| {
        keys.push(key);
        collect(it, keys, out);
        keys.pop();
    };
    match setting {
        Setting::Map(entries, _) if !entries.is_empty() => {
            for (key, it) in entries {
                below(key.as_str().into(), it, keys, out);
            }
        }
        Setting::List(items, _) if !items.is_empty() => {
            for (index, it) in items.iter().enumerate() {
                below(index.into(), it, keys, out);
            }
        }
        Setting::Map(_, origin) => out.push(one(keys, &object!({}), origin)),
        Setting::List(_, origin) => out.push(one(keys, &object!([]), origin)),
        Setting::Value(value, origin) => out.push(one(keys, value, origin)),
    }
}

fn one(keys: &[Json], value: &Json, origin: &Origin) -> Json {
    let mut path = String::new();
    for key in keys {
        match key {
            Json::String(key) if path.is_empty() => path.push_str(key),
            Json::String(key) => _ = write!(path, ".{key}"),
            index => _ = write!(path, "[{index}]"),
        }
    }
    let from = match origin {
        Origin::Default => object!({ "kind": "default" }),
        Origin::File(place) => object!({
            "kind": "file",
            "file": place.file.display().to_string(),
            "line": place.line,
            "column": place.column,
        }),
        Origin::Flag(name) => object!({ "kind": "flag", "name": name }),
        Origin::Variable(name) => object!({ "kind": "environment", "name": name }),
    };
    object!({ "path": path, "keys": keys, "value": value, "from": from })
}
