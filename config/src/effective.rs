//! The configuration that counts: what is written and the defaults, each with where it comes from.
//!
//! A walk over the shape of the files and their values; interprets neither, so it says what a
//! *valid* configuration means. Called by `load` for `sundew config show`.

#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use serde_json::Value as Json;
use serde_yaml::Value;

use crate::Place;
use crate::raw;
use crate::shape::{Field, Shape, Struct, root};
use crate::source::{At, Reports, Source};

pub use text::{json, yaml};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A file.
    File(Place),
    /// A flag: its name with dashes.
    Flag(String),
    /// A variable of the environment: its name.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => {
                write!(f, "{}:{}:{}", place.file.display(), place.line, place.column)
            }
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A part of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A scalar, or a list of them.
    Value(Json, Origin),
    /// Keys in order.
    Map(Vec<(String, Setting)>, Origin),
    /// Items.
    List(Vec<Setting>, Origin),
}

/// How the values of one part name where they come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    Places,
    Flags,
    Variables(&'static str),
}

/// What is written in one file, or instead of one.
pub(crate) struct Part<'s> {
    pub(crate) source: &'s Source,
    pub(crate) names: Names,
}

/// The whole configuration: `parts` in order of precedence, the first one the static one unless
/// `is_dynamic` says that there is none.
pub(crate) fn effective(parts: &[Part<'_>], is_dynamic: bool) -> Setting {
    // The walk reports nothing; places are asked through the same door as everywhere.
    let reports = Reports::new(true);
    let walks: Vec<Walk<'_>> = parts
        .iter()
        .map(|it| Walk { at: At::root(it.source, &reports), names: it.names })
        .collect();
    let mut entries = Vec::new();
    for field in &root().fields {
        let setting = match &field.shape {
            Shape::Struct(section) if raw::is_dynamic_key(&field.name) => {
                dynamic_section(field, section, &walks)
            }
            _ if is_dynamic => None,
            _ => walks.first().and_then(|it| it.field(field)),
        };
        entries.extend(setting.map(|it| (field.name.clone(), it)));
    }
    Setting::Map(entries, Origin::Default)
}

/// `http` and its like, of which every part may hold some.
fn dynamic_section(field: &Field, section: &Struct, walks: &[Walk<'_>]) -> Option<Setting> {
    let walks: Vec<Walk<'_>> = walks.iter().map(|it| it.key(&field.name)).collect();
    let mut entries: Vec<(String, Setting)> = Vec::new();
    for field in &section.fields {
        let merged = walks.iter().filter_map(|it| it.field(field)).reduce(merge);
        entries.extend(merged.map(|it| (field.name.clone(), it)));
    }
    (!entries.is_empty()).then_some(Setting::Map(entries, Origin::Default))
}

/// The first definition of a name counts; lists grow.
fn merge(first: Setting, second: Setting) -> Setting {
    match (first, second) {
        (Setting::Map(mut all, origin), Setting::Map(more, _)) => {
            let is_new = |name: &str, all: &[(String, Setting)]| all.iter().all(|it| it.0 != name);
            let more: Vec<_> = more.into_iter().filter(|it| is_new(&it.0, &all)).collect();
            all.extend(more);
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Setting::Map(all, origin)
        }
        (Setting::List(mut all, origin), Setting::List(more, _)) => {
            all.extend(more);
            Setting::List(all, origin)
        }
        (first, _) => first,
    }
}

/// A place of a part.
struct Walk<'a> {
    at: At<'a>,
    names: Names,
}

impl<'a> Walk<'a> {
    fn key(&self, key: &str) -> Self {
        Self { at: self.at.key(key), names: self.names }
    }

    fn origin(&self) -> Origin {
        let path = self.at.to_string();
        match self.names {
            Names::Places => Origin::File(self.at.place()),
            Names::Flags => Origin::Flag(format!("--{path}")),
            Names::Variables(prefix) => {
                let name = path.replace(['.', '['], "_").replace(']', "");
                Origin::Variable(format!("{prefix}{}", name.to_ascii_uppercase()))
            }
        }
    }

    /// The value that counts for a key below this place.
    fn field(&self, field: &Field) -> Option<Setting> {
        let below = self.key(&field.name);
        let written = below.at.value().filter(|it| !is_nothing(it));
        match (written, &field.shape) {
            (_, Shape::Unsupported | Shape::WithoutEffect) => None,
            (Some(value), Shape::Struct(shape)) => {
                let is_off = raw::is_switch(&field.name)
                    && raw::scalar_text(value).and_then(|it| raw::parse_bool(&it)) == Some(false);
                (!is_off).then(|| below.structure(shape))
            }
            (Some(value), shape) => Some(below.value(value, shape)),
            (None, Shape::Struct(shape)) if !field.is_optional => Some(below.structure(shape))
                .filter(|it| *it != Setting::Map(vec![], below.origin())),
            (None, _) => field.default.clone().map(|it| Setting::Value(it, Origin::Default)),
        }
    }

    fn structure(&self, shape: &Struct) -> Setting {
        let fields = shape.fields.iter();
        let entries = fields.filter_map(|it| Some((it.name.clone(), self.field(it)?)));
        Setting::Map(entries.collect(), self.origin())
    }

    fn value(&self, value: &Value, shape: &Shape) -> Setting {
        match (value, shape) {
            (_, Shape::Struct(shape)) => self.structure(shape),
            (Value::Mapping(entries), Shape::Map(shape)) => {
                let named = entries.iter().filter(|(_, value)| !value.is_null());
                let named = named.filter_map(|(key, value)| Some((raw::scalar_text(key)?, value)));
                let entry = |(name, value): (String, &Value)| {
                    let setting = self.key(&name).value(value, shape);
                    (name, setting)
                };
                let mut entries: Vec<_> = named.map(entry).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Setting::Map(entries, self.origin())
            }
            (Value::Sequence(items), Shape::List(shape)) if is_struct(shape) => {
                let items = items.iter().enumerate().filter(|(_, it)| !it.is_null());
                let item = |(index, value): (usize, &Value)| {
                    Walk { at: self.at.index(index), names: self.names }.value(value, shape)
                };
                Setting::List(items.map(item).collect(), self.origin())
            }
            (Value::Sequence(items), Shape::List(shape)) => {
                let items = items.iter().filter_map(raw::scalar_text);
                let items: Vec<Json> = items.map(|it| scalar(&it, shape)).collect();
                Setting::Value(items.into(), self.origin())
            }
            (_, Shape::List(shape)) => {
                let text = raw::scalar_text(value).unwrap_or_default();
                let pieces = text.split(',').map(str::trim).filter(|it| !it.is_empty());
                let items: Vec<Json> = pieces.map(|it| scalar(it, shape)).collect();
                Setting::Value(items.into(), self.origin())
            }
            _ => {
                let text = raw::scalar_text(value).unwrap_or_default();
                Setting::Value(scalar(&text, shape), self.origin())
            }
        }
    }
}

fn is_struct(shape: &Shape) -> bool {
    matches!(shape, Shape::Struct(_))
}

/// What the reader takes for a key that is not written.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_sequence().is_some_and(Vec::is_empty)
}

/// The scalar in its own type, whatever it was written as.
fn scalar(text: &str, shape: &Shape) -> Json {
    let parsed = match shape {
        Shape::Bool => raw::parse_bool(text).map(Json::from),
        Shape::Integer => text.parse::<i64>().ok().map(Json::from),
        Shape::Number => text.parse::<f64>().ok().map(Json::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| text.into())
}
