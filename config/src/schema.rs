//! JSON Schemas (draft 7, which editors know best) of what [`crate::raw`] reads, with its tolerance:
//! scalars from text, a comma list for a list of scalars, nothing anywhere.
//!
//! Keys stand in Traefik's spelling, though any case is read: a schema cannot say that. What sundew
//! refuses by meaning (a port that does not exist, a service nobody defined) is `check`'s business.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::raw;
use crate::shape::{Field, Shape, Struct, root};

const REFUSED: &str = "Traefik's; not supported by sundew.";
const WITHOUT_EFFECT: &str = "Traefik's; accepted, without effect in sundew.";

/// The schema of a static file, which may hold the dynamic part as well.
#[must_use]
pub fn static_file() -> Value {
    document("sundew: static configuration (may hold the dynamic part too)", root())
}

/// The schema of a dynamic file.
#[must_use]
pub fn dynamic_file() -> Value {
    let mut part = root().clone();
    part.fields.retain(|it| raw::is_dynamic_key(&it.name));
    document("sundew: dynamic configuration", &part)
}

fn document(title: &str, root: &Struct) -> Value {
    let mut definitions = scalars();
    let mut top = structure(root, &mut definitions);
    let fields = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "patternProperties": { "^[xX]-": {} },
        "definitions": definitions,
    });
    if let (Value::Object(top), Value::Object(fields)) = (&mut top, fields) {
        top.extend(fields);
    }
    top
}

/// What scalars are read from; every one may be missing.
fn scalars() -> BTreeMap<String, Value> {
    let scalar = |kind: &str, pattern: &str| json!({ "anyOf": [{ "type": [kind, "null"] }, { "type": "string", "pattern": pattern }] });
    let mut flag = scalar("boolean", "^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$");
    if let Some(choices) = flag.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.push(json!({ "enum": [0, 1] }));
    }
    let text = json!({ "type": ["string", "number", "boolean", "null"] });
    BTreeMap::from([
        ("bool".to_owned(), flag),
        ("integer".to_owned(), scalar("integer", "^[-+]?(0|[1-9][0-9]*)$")),
        ("number".to_owned(), scalar("number", "^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$")),
        ("text".to_owned(), text),
    ])
}

fn structure(it: &Struct, definitions: &mut BTreeMap<String, Value>) -> Value {
    let fields = it.fields.iter().map(|it| (it.name.clone(), field(it, definitions)));
    let properties: Map<String, Value> = fields.collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn field(it: &Field, definitions: &mut BTreeMap<String, Value>) -> Value {
    let mut schema = shape(&it.shape, definitions);
    if raw::is_switch(&it.name)
        && let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut)
    {
        choices.push(refer("bool"));
    }
    let description = match it.shape {
        Shape::Unsupported => REFUSED,
        Shape::WithoutEffect => WITHOUT_EFFECT,
        _ => &it.meaning,
    };
    // Draft 7 reads nothing beside a `$ref`.
    let mut schema = match schema.get("$ref") {
        Some(_) => json!({ "allOf": [schema] }),
        None => schema,
    };
    if let Value::Object(schema) = &mut schema {
        if !description.is_empty() {
            schema.insert("description".to_owned(), description.into());
        }
        if let Some(default) = &it.default {
            schema.insert("default".to_owned(), default.clone());
        }
    }
    schema
}

fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn shape(it: &Shape, definitions: &mut BTreeMap<String, Value>) -> Value {
    match it {
        Shape::Bool => refer("bool"),
        Shape::Integer => refer("integer"),
        Shape::Number => refer("number"),
        Shape::Text => refer("text"),
        Shape::List(items) if matches!(**items, Shape::Struct(_)) => {
            json!({ "type": ["array", "null"], "items": shape(items, definitions) })
        }
        Shape::List(items) => {
            let list = json!({ "type": "array", "items": shape(items, definitions) });
            json!({ "anyOf": [list, refer("text")] })
        }
        Shape::Map(items) => {
            let items = shape(items, definitions);
            json!({ "type": ["object", "null"], "additionalProperties": items })
        }
        Shape::Struct(it) => {
            if !definitions.contains_key(&it.name) {
                let definition = structure(it, definitions);
                definitions.insert(it.name.clone(), definition);
            }
            json!({ "anyOf": [refer(&it.name), { "type": "null" }] })
        }
        Shape::Unsupported => json!({ "type": "null" }),
        Shape::WithoutEffect => json!({}),
    }
}
