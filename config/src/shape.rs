//! The shape of a configuration file: every key that [`crate::raw`] knows, with its type, default
//! and meaning.
//!
//! Read off the raw structs by reflection, so that a key which is added there is in the JSON
//! Schemas, the reference, `config show` and the flags without another word. Knows no values.
//! Called by `schema`, `reference`, `effective` and `load`.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::raw;

/// Structs inside each other; the files need 9.
const DEPTH_MAX: usize = 32;

/// What may stand at a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Integer,
    Number,
    /// Any scalar.
    Text,
    List(Box<Shape>),
    /// Names that the operator chooses.
    Map(Box<Shape>),
    Struct(Struct),
    /// A key of Traefik's that is refused.
    Unsupported,
    /// A key of Traefik's that means nothing here.
    WithoutEffect,
}

/// A mapping with known keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Struct {
    /// Name of the raw struct.
    pub(crate) name: String,
    /// Sorted by name.
    pub(crate) fields: Vec<Field>,
}

/// A key of a [`Struct`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// Not written is another thing than written and empty.
    pub(crate) is_optional: bool,
    /// What counts when it is not written, where that is one value.
    pub(crate) default: Option<Value>,
    /// One or more sentences, or nothing.
    pub(crate) meaning: String,
}

impl Struct {
    /// The key of this name, in any case.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|it| it.name.eq_ignore_ascii_case(name))
    }
}

/// A whole file, with both parts.
pub(crate) fn root() -> &'static Struct {
    static ROOT: LazyLock<Struct> = LazyLock::new(|| {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let schema = generator.into_root_schema_for::<raw::Root>().to_value();
        let empty = Map::new();
        let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
        structure("Root", &schema, definitions, 0)
    });
    &ROOT
}

fn structure(name: &str, schema: &Value, all: &Map<String, Value>, depth: usize) -> Struct {
    let keys = schema.get("properties").and_then(Value::as_object);
    let fields = keys.into_iter().flatten().map(|(key, schema)| {
        let (schema, is_optional) = unwrap_option(schema);
        let (shape, default) = (shape(schema, all, depth + 1), default(schema));
        let default = match shape {
            // What an operator sees, not what deserializing leaves.
            Shape::Struct(_) | Shape::Map(_) | Shape::Unsupported | Shape::WithoutEffect => None,
            _ => default,
        };
        let meaning = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        Field { name: key.clone(), shape, is_optional, default, meaning }
    });
    let mut fields: Vec<Field> = fields.collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Struct { name: name.to_owned(), fields }
}

/// Nothing, and what is empty, is no default worth a line.
fn default(schema: &Value) -> Option<Value> {
    let default = schema.get("default")?;
    let is_empty = match default {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| default.clone())
}

/// Whether `null` is a type of it.
fn unwrap_option(schema: &Value) -> (&Value, bool) {
    let is_null = |it: &Value| it.get("type").and_then(Value::as_str) == Some("null");
    let types = schema.get("type").and_then(Value::as_array);
    let has_null = types.is_some_and(|it| it.iter().any(|it| it == "null"));
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let has_nothing = choices.is_some_and(|it| it.iter().any(is_null));
    (schema, has_null || has_nothing)
}

fn shape(schema: &Value, all: &Map<String, Value>, depth: usize) -> Shape {
    if let Some(target) = reference(schema) {
        let name = target.rsplit('/').next().unwrap_or_default();
        return match all.get(name) {
            Some(found) if depth < DEPTH_MAX => named(name, found, all, depth),
            _ => Shape::WithoutEffect,
        };
    }
    if let Some(kind) = mark(schema) {
        return if kind == "unsupported" { Shape::Unsupported } else { Shape::WithoutEffect };
    }
    match kind(schema) {
        Some("boolean") => Shape::Bool,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("array") => {
            let items = schema.get("items").map_or(Shape::Text, |it| shape(it, all, depth + 1));
            Shape::List(Box::new(items))
        }
        Some("object") => {
            let items = schema.get("additionalProperties").filter(|it| it.is_object());
            let items = items.map_or(Shape::Text, |it| shape(it, all, depth + 1));
            Shape::Map(Box::new(items))
        }
        _ => Shape::Text,
    }
}

/// A struct, or what is named and none.
fn named(name: &str, schema: &Value, all: &Map<String, Value>, depth: usize) -> Shape {
    let is_struct = schema.get("additionalProperties").is_none_or(|it| !it.is_object());
    if kind(schema) == Some("object") && is_struct {
        return Shape::Struct(structure(name, schema, all, depth));
    }
    shape(schema, all, depth + 1)
}

/// The first of its types that is not null.
fn kind(schema: &Value) -> Option<&str> {
    let kinds = match schema.get("type")? {
        Value::Array(kinds) => kinds.as_slice(),
        one => std::slice::from_ref(one),
    };
    kinds.iter().filter_map(Value::as_str).find(|it| *it != "null")
}

/// The schema itself, or one of its choices.
fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    std::iter::once(schema).chain(choices.into_iter().flatten())
}

fn reference(schema: &Value) -> Option<&str> {
    choices(schema).find_map(|it| it.get("$ref").and_then(Value::as_str))
}

fn mark(schema: &Value) -> Option<&str> {
    choices(schema).find_map(|it| it.get(raw::MARK).and_then(Value::as_str))
}
