//! Mirrors of Traefik's files: every key that Traefik knows, nothing interpreted.
//!
//! A key that sundew does not know at all is an error by `deny_unknown_fields`; one that Traefik
//! knows is here, as a field of its own or as [`Unsupported`] or [`Noted`], which report
//! themselves while they are read. Called by `provider`; read by `check`.
//!
//! The doc comments of the fields are what operators read (`docs/reference.md`, the JSON Schemas):
//! `just generate` after a change. A `default` is written where one value counts when nothing is
//! written, and is what `sundew config show` shows.

mod de;
mod dynamic;
mod statics;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};

pub(crate) use de::{
    Role, is_dynamic_key, is_static_key, is_switch, parse_bool, read, scalar_text,
};
pub(crate) use dynamic::*;
pub(crate) use statics::*;

/// Accepted and without meaning here: not worth a line.
#[derive(Debug, Default)]
pub(crate) struct Accepted;

/// Touches traffic and is not there yet: reading it reports an error.
#[derive(Debug)]
pub(crate) struct Unsupported;

/// Does not touch the traffic that sundew serves: reading it reports a note.
#[derive(Debug)]
pub(crate) struct Noted;

/// Name by which `de` knows [`Unsupported`].
const UNSUPPORTED: &str = "$unsupported";
/// Name by which `de` knows [`Noted`].
const NOTED: &str = "$noted";

struct Nothing;

impl Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(UNSUPPORTED, Nothing).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Noted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NOTED, Nothing).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Accepted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// How these three name themselves in what [`crate::shape`] reads: no type of JSON fits them.
pub(crate) const MARK: &str = "x-kind";

macro_rules! marked {
    ($($kind:ident $word:literal),*) => {$(
        impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $word.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "x-kind": $word })
            }
        }
    )*};
}

marked!(Unsupported "unsupported", Noted "noted", Accepted "accepted");
