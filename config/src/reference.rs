//! The reference of all keys, as Markdown, from the shape of the files.
//!
//! Called by a test, which holds `docs/reference.md` to it.

use std::fmt::Write as _;

use crate::generated;
use crate::shape::{Field, Shape, Struct, root};

const HEAD: &str = "\
# Reference

Every key of the static and the dynamic file; this page is made from the code (`just generate`).
What the keys do together: [configuration](configuration.md), [sticky sessions](sticky-sessions.md).

`NAME` stands for a name of yours, `[]` for the items of a list. Keys are read in any case. Durations
are seconds or such as `1m30s`. `(sundew)`: Traefik does not know the key. Static keys may also be
flags (`--entryPoints.web.address=:80`) or variables (`TRAEFIK_ENTRYPOINTS_WEB_ADDRESS=:80`).
";

fn reference() -> String {
    let mut out = HEAD.to_owned();
    for field in &root().fields {
        section(&field.name, field, &mut out);
    }
    let (mut refused, mut ignored) = (Vec::new(), Vec::new());
    list_others("", root(), &mut refused, &mut ignored);
    let _ = write!(out, "\n## Keys of Traefik's that are refused\n\n{}\n", refused.join(", "));
    let _ = write!(out, "\n## Keys of Traefik's without effect\n\n{}\n", ignored.join(", "));
    out
}

/// A heading for each key at the top, a table for each mapping below it.
fn section(name: &str, field: &Field, out: &mut String) {
    if matches!(field.shape, Shape::Unsupported | Shape::WithoutEffect) {
        return;
    }
    let _ = write!(out, "\n## `{name}`\n\n{}\n", field.meaning);
    tables(name, &field.shape, out);
}

/// The table of a mapping, then those of what is in it.
fn tables(path: &str, shape: &Shape, out: &mut String) {
    let shape = match shape {
        Shape::Struct(shape) => shape,
        Shape::Map(items) => return tables(&format!("{path}.NAME"), items, out),
        Shape::List(items) => return tables(&format!("{path}[]"), items, out),
        _ => return,
    };
    let known: Vec<&Field> = shape.fields.iter().filter(|it| is_known(it)).collect();
    if !known.is_empty() {
        let _ =
            write!(out, "\n`{path}`\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    }
    for field in &known {
        let default = field.default.as_ref().map_or_else(String::new, |it| match it {
            serde_json::Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        });
        let meaning = field.meaning.replace('|', "\\|");
        let kind = kind(&field.shape);
        let _ = writeln!(out, "| `{}` | {kind} | {default} | {meaning} |", field.name);
    }
    for field in known {
        tables(&format!("{path}.{}", field.name), &field.shape, out);
    }
}

fn is_known(field: &Field) -> bool {
    !matches!(field.shape, Shape::Unsupported | Shape::WithoutEffect)
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer => "whole number".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::List(items) => format!("list of {}", plural(items)),
        Shape::Map(items) => format!("NAME: {}", singular(items)),
        Shape::Struct(_) | Shape::Unsupported | Shape::WithoutEffect => "mapping".to_owned(),
    }
}

fn plural(shape: &Shape) -> &'static str {
    match shape {
        Shape::Struct(_) => "mappings",
        Shape::Integer | Shape::Number => "numbers",
        _ => "texts",
    }
}

fn singular(shape: &Shape) -> &'static str {
    match shape {
        Shape::Struct(_) => "mapping",
        Shape::Integer | Shape::Number => "number",
        _ => "text",
    }
}

fn list_others(path: &str, of: &Struct, refused: &mut Vec<String>, ignored: &mut Vec<String>) {
    for field in &of.fields {
        let path = match path {
            "" => field.name.clone(),
            path => format!("{path}.{}", field.name),
        };
        let (mut inner, mut path) = (&field.shape, path);
        loop {
            (inner, path) = match inner {
                Shape::Map(items) => (items, format!("{path}.NAME")),
                Shape::List(items) => (items, format!("{path}[]")),
                _ => break,
            };
        }
        match inner {
            Shape::Unsupported => refused.push(format!("`{path}`")),
            Shape::WithoutEffect => ignored.push(format!("`{path}`")),
            Shape::Struct(of) => list_others(&path, of, refused, ignored),
            _ => {}
        }
    }
}

#[test]
fn the_stored_reference_is_up_to_date() {
    generated::assert_stored("../docs/reference.md", &reference());
}
