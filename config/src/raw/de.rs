//! Values → raw structs, with Traefik's tolerance: keys in any case, numbers and booleans from
//! text, a comma list where a list is wanted, nothing for null.
//!
//! The structs themselves are the schema: `serde` names their fields here. A mistake is reported
//! with its place and reading goes on with an empty value, so that all of them are found at once.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::{CowStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_yaml::Value;

use super::{NOTED, Root, UNSUPPORTED};
use crate::source::At;

/// Structs that a bare `true` turns on with their defaults (Traefik's "allowEmpty" keys), by the
/// names of the structs; a bare `false` leaves out the keys of these names.
const SWITCHES: [&str; 7] =
    ["accessLog", "api", "ping", "sticky", "cookie", "propagation", "prometheus"];

/// Keys at the top of a file that are its dynamic part.
pub(crate) const DYNAMIC_KEYS: [&str; 4] = ["http", "tcp", "udp", "tls"];

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The file of the command line: both parts count.
    Static,
    /// A file of the file provider: only its dynamic part counts.
    Dynamic,
}

/// Whether the key, written at the top of a file, belongs to the dynamic part.
pub(crate) fn is_dynamic_key(key: &str) -> bool {
    DYNAMIC_KEYS.iter().any(|it| it.eq_ignore_ascii_case(key))
}

/// Whether the key, written at the top of a file, belongs to the static part.
pub(crate) fn is_static_key(key: &str) -> bool {
    let mut fields: &[&str] = &[];
    // The answer is in `fields`; reading nothing has no other result.
    let _ = Root::deserialize(FieldNames(&mut fields));
    fields.iter().any(|it| it.eq_ignore_ascii_case(key)) && !is_dynamic_key(key)
}

/// Whether a bare `true` or `false` may stand at the key.
pub(crate) fn is_switch(key: &str) -> bool {
    SWITCHES.iter().any(|it| it.eq_ignore_ascii_case(key))
}

/// Asks a struct for its fields, and reads nothing.
struct FieldNames<'f>(&'f mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The whole file at `at`, whose keys are `value`; problems go to `at`'s list.
pub(crate) fn read(value: &Value, at: &At<'_>, role: Role) -> Root {
    if value.is_null() {
        return Root::default();
    }
    let top = De { top: Some(role), ..De::new(value, at.clone()) };
    Root::deserialize(top).unwrap_or_else(|error| {
        at.error(error.to_string(), "");
        Root::default()
    })
}

/// One value and its place.
struct De<'v, 'a> {
    value: Cow<'v, Value>,
    at: At<'a>,
    /// For the top of a file.
    top: Option<Role>,
}

impl<'v, 'a> De<'v, 'a> {
    fn new(value: &'v Value, at: At<'a>) -> Self {
        let mut value = value;
        while let Value::Tagged(tagged) = value {
            value = &tagged.value;
        }
        Self { value: Cow::Borrowed(value), at, top: None }
    }

    /// The scalar as text, or `None` after a report.
    fn text(&self, want: &str) -> Option<String> {
        let text = scalar_text(&self.value);
        if text.is_none() {
            self.at.error(format!("expected {want}, found {}", kind_of(&self.value)), "");
        }
        text
    }

    fn number<T: std::str::FromStr + Default>(&self) -> T {
        let Some(text) = self.text("a whole number") else { return T::default() };
        let digits = text.trim_start_matches(['+', '-']);
        if digits.len() > 1 && digits.starts_with('0') {
            // Octal where Traefik reads it without quotes, decimal where it has quotes.
            let help = "write it without leading zeros";
            self.at.error(format!("`{text}` could be octal or decimal"), help);
            return T::default();
        }
        text.parse().unwrap_or_else(|_| {
            self.at.error(format!("expected a whole number, found `{text}`"), "");
            T::default()
        })
    }
}

/// As Go prints it, which is what Traefik reads numbers and booleans from.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        }),
        Value::Tagged(tagged) => scalar_text(&tagged.value),
        Value::Null => Some(String::new()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Sequence(_) => "a list".to_owned(),
        other => format!("`{}`", scalar_text(other).unwrap_or_default()),
    }
}

/// `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Sequence(items) => items.is_empty(),
        _ => false,
    }
}

impl<'de> Deserializer<'de> for De<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            UNSUPPORTED => self.at.unsupported(""),
            NOTED => self.at.note("accepted, without effect in sundew"),
            _ => return visitor.visit_newtype_struct(self),
        }
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(text) = self.text("true or false") else { return visitor.visit_bool(false) };
        visitor.visit_bool(parse_bool(&text).unwrap_or_else(|| {
            self.at.error(format!("expected true or false, found `{text}`"), "");
            false
        }))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(self.number())
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(text) = self.text("a number") else { return visitor.visit_f64(0.0) };
        visitor.visit_f64(text.parse().unwrap_or_else(|_| {
            self.at.error(format!("expected a number, found `{text}`"), "");
            0.0
        }))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.text("text").unwrap_or_default())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items: Vec<De<'_, '_>> = match &*self.value {
            Value::Sequence(items) => {
                let kept = items.iter().enumerate().filter(|(_, item)| !item.is_null());
                kept.map(|(index, item)| De::new(item, self.at.index(index))).collect()
            }
            Value::Mapping(_) => {
                self.at.error("expected a list, found a mapping", "");
                Vec::new()
            }
            scalar => {
                let text = scalar_text(scalar).unwrap_or_default();
                let pieces = text.split(',').map(str::trim).filter(|it| !it.is_empty());
                let piece = |it: &str| Cow::Owned(Value::String(it.to_owned()));
                pieces.map(|it| De { value: piece(it), at: self.at.clone(), top: None }).collect()
            }
        };
        visitor.visit_seq(Items(items.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Mapping(mapping) = &*self.value else {
            self.at.error(format!("expected a mapping, found {}", kind_of(&self.value)), "");
            return visitor.visit_map(Entries(Vec::new().into_iter(), None));
        };
        let mut entries = Vec::new();
        for (key, value) in mapping.iter().filter(|(_, value)| !value.is_null()) {
            let Some(name) = scalar_text(key) else { continue };
            let at = self.at.key(&name);
            entries.push((Cow::Owned(name), De::new(value, at)));
        }
        visitor.visit_map(Entries(entries.into_iter(), None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries = match &*self.value {
            Value::Mapping(mapping) => struct_entries(mapping, self.top, fields, &self.at),
            scalar => {
                if !is_switch(name) || matches!(scalar, Value::Sequence(_)) {
                    self.at.error(format!("expected a mapping, found {}", kind_of(scalar)), "");
                }
                Vec::new()
            }
        };
        visitor.visit_map(Entries(entries.into_iter(), None))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char str bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier
    }
}

/// The entries of a struct under its own spelling of the keys; unknown ones are reported.
fn struct_entries<'v, 'a>(
    mapping: &'v serde_yaml::Mapping,
    top: Option<Role>,
    fields: &'static [&'static str],
    at: &At<'a>,
) -> Vec<(Cow<'static, str>, De<'v, 'a>)> {
    let mut entries: Vec<(Cow<'static, str>, De<'v, 'a>)> = Vec::new();
    for (key, value) in mapping {
        let Some(written) = scalar_text(key) else { continue };
        let is_own = written.get(..2).is_some_and(|it| it.eq_ignore_ascii_case("x-"));
        if top.is_some() && is_own {
            continue;
        }
        let Some(field) = fields.iter().find(|it| it.eq_ignore_ascii_case(&written)) else {
            let help = at.did_you_mean(&written, fields.iter().copied());
            at.key_error(&written, format!("unknown key `{written}`"), help);
            continue;
        };
        if entries.iter().any(|(name, _)| name == field) {
            let message = format!("`{field}` is written twice, in different case");
            at.key_error(&written, message, "remove one of the two".to_owned());
            continue;
        }
        let is_off = SWITCHES.contains(field)
            && scalar_text(value).is_some_and(|it| parse_bool(&it) == Some(false));
        if top == Some(Role::Dynamic) && !is_dynamic_key(field) {
            at.key(field).warning("a static key in a dynamic file is not read", "");
            continue;
        }
        if !is_empty(value) && !is_off {
            entries.push((Cow::Borrowed(*field), De::new(value, at.key(field))));
        }
    }
    entries
}

struct Items<'v, 'a>(std::vec::IntoIter<De<'v, 'a>>);

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }
}

struct Entries<'v, 'a>(std::vec::IntoIter<(Cow<'static, str>, De<'v, 'a>)>, Option<De<'v, 'a>>);

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.0.next() else { return Ok(None) };
        self.1 = Some(value);
        seed.deserialize(CowStrDeserializer::<Error>::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.1.take().ok_or_else(|| serde::de::Error::custom("value before key"))?;
        seed.deserialize(value)
    }
}
