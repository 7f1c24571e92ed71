//! Static values from the command line or the environment → the values that a file would hold.
//!
//! Owns Traefik's spelling of both (`--entryPoints.web.address=:80`,
//! `TRAEFIK_ENTRYPOINTS_WEB_ADDRESS=:80`). Interprets no value. Called by `sources`.

use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

use crate::raw;
use crate::shape::{Shape, root};
use crate::source::At;
use crate::{Diagnostic, Place, Severity};

/// One static key of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFlag {
    /// Dotted path, as written, without the dashes.
    pub path: String,
    /// `None`: written bare where a value is needed.
    pub value: Option<String>,
}

/// Takes the static keys out of a command line: `--a.b=value`, `--a.b value`, a bare `--a.b` for
/// what can be on or off; with one dash too. What comes behind `--` stays.
#[must_use]
pub fn take_static_flags(arguments: Vec<String>) -> (Vec<String>, Vec<StaticFlag>) {
    let (mut rest, mut flags) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            rest.push(argument);
            rest.extend(arguments);
            break;
        }
        let Some(written) = static_key(&argument) else {
            rest.push(argument);
            continue;
        };
        let (path, value) = match written.split_once('=') {
            Some((path, value)) => (path, Some(value.to_owned())),
            None if is_switched(written) => (written, Some("true".to_owned())),
            None => (written, arguments.next_if(|it| !it.starts_with('-'))),
        };
        flags.push(StaticFlag { path: path.to_owned(), value });
    }
    (rest, flags)
}

/// The argument without its dashes, when it can only be a static key: ours have no dots.
fn static_key(argument: &str) -> Option<&str> {
    let written = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    let path = written.split('=').next().unwrap_or_default();
    let first = path.split(['.', '[']).next().unwrap_or_default();
    let is_name = first.starts_with(|it: char| it.is_ascii_alphabetic());
    (is_name && (path.contains('.') || raw::is_static_key(first))).then_some(written)
}

/// Whether the key means something when it is written bare.
fn is_switched(path: &str) -> bool {
    let shape = steps_of(path).iter().try_fold(Shape::Struct(root().clone()), |shape, step| {
        below(&shape, step).map(|(_, below)| below)
    });
    matches!(shape, None | Some(Shape::Bool | Shape::Struct(_) | Shape::WithoutEffect))
}

/// `a.b[0].c` → `a`, `b`, `0`, `c`.
fn steps_of(path: &str) -> Vec<&str> {
    path.split(['.', '[']).map(|it| it.trim_end_matches(']')).collect()
}

/// What stands at a step below a shape, and the step in its own spelling.
fn below(shape: &Shape, step: &str) -> Option<(String, Shape)> {
    match shape {
        Shape::Struct(it) => it.field(step).map(|it| (it.name.clone(), it.shape.clone())),
        Shape::Map(items) | Shape::List(items) => Some((step.to_owned(), (**items).clone())),
        _ => None,
    }
}

/// The values of all flags.
pub(super) fn of_flags(flags: &[StaticFlag], at: &At<'_>) -> Value {
    let mut values = Value::Null;
    for flag in flags {
        match &flag.value {
            Some(value) => add(&mut values, &steps_of(&flag.path), value),
            None => at.keys(&steps_of(&flag.path)).error("needs a value", "write it behind a `=`"),
        }
    }
    values
}

/// The variables of either prefix that are static keys.
///
/// # Errors
/// When both prefixes are in use.
pub(super) fn of_environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Option<Environment>, Diagnostic> {
    let is_key = |it: &(String, String)| prefix(&it.0).is_some();
    let mut found: Vec<(String, String)> = variables.into_iter().filter(is_key).collect();
    found.sort();
    let of = |wanted: &str| found.iter().find(|(name, _)| prefix(name) == Some(wanted));
    if let (Some((ours, _)), Some((theirs, _))) = (of(OURS), of(TRAEFIK)) {
        return Err(Diagnostic {
            severity: Severity::Error,
            place: Place { file: PathBuf::from("environment"), line: 0, column: 0 },
            path: String::new(),
            message: format!("`{ours}` and `{theirs}` are both set"),
            help: "use one prefix for all of them".to_owned(),
        });
    }
    let Some(prefix) = found.first().and_then(|(name, _)| prefix(name)) else { return Ok(None) };
    let mut values = Value::Null;
    for (name, value) in &found {
        let name = name.get(prefix.len()..).unwrap_or_default().to_ascii_lowercase();
        add(&mut values, &name.split('_').collect::<Vec<_>>(), value);
    }
    Ok(Some(Environment { prefix, values }))
}

const OURS: &str = "SUNDEW_";
const TRAEFIK: &str = "TRAEFIK_";

/// What the environment says.
pub(super) struct Environment {
    pub(super) prefix: &'static str,
    pub(super) values: Value,
}

/// The prefix of a variable that names a static key; others share it and are not ours to judge.
fn prefix(name: &str) -> Option<&'static str> {
    [OURS, TRAEFIK].into_iter().find(|prefix| {
        let first = name.strip_prefix(prefix).and_then(|it| it.split('_').next());
        first.is_some_and(raw::is_static_key)
    })
}

/// Puts a value at its place, below the names that the structs have.
fn add(values: &mut Value, steps: &[&str], text: &str) {
    let mut shape = Shape::Struct(root().clone());
    let mut at = values;
    for step in steps {
        let is_list = matches!(&shape, Shape::List(items) if matches!(**items, Shape::Struct(_)));
        let (name, next) = below(&shape, step).unwrap_or(((*step).to_owned(), Shape::Text));
        shape = next;
        at = match step.parse::<usize>() {
            Ok(index) if is_list => element(at, index),
            _ => entry(at, &name),
        };
    }
    *at = match (&*at, &shape) {
        // A switch beside keys below it says nothing new, unless it is off.
        (Value::Mapping(_), Shape::Struct(_)) if raw::parse_bool(text) == Some(true) => return,
        (Value::String(before), Shape::List(_)) => format!("{before},{text}").into(),
        _ => text.into(),
    };
}

/// Items of one list: an index is a slip of the finger long before.
const ITEMS_MAX: usize = 1000;

fn element(list: &mut Value, index: usize) -> &mut Value {
    if !list.is_sequence() {
        *list = Value::Sequence(Vec::new());
    }
    let Value::Sequence(items) = list else { return list };
    let index = index.min(ITEMS_MAX);
    if items.len() <= index {
        items.resize(index + 1, Value::Null);
    }
    &mut items[index]
}

fn entry<'v>(mapping: &'v mut Value, name: &str) -> &'v mut Value {
    // What was switched off stays so.
    let is_off = mapping.as_str().and_then(raw::parse_bool) == Some(false);
    if !mapping.is_mapping() && !is_off {
        *mapping = Value::Mapping(Mapping::new());
    }
    let Value::Mapping(entries) = mapping else { return mapping };
    let same = |key: &&Value| key.as_str().is_some_and(|it| it.eq_ignore_ascii_case(name));
    let key = entries.keys().find(same).cloned().unwrap_or_else(|| name.into());
    entries.entry(key).or_insert(Value::Null)
}

/// Places that Traefik looks in for a static file, each with every extension; ours first.
pub(super) fn usual_files(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let below = |name: &str, folder: &str| {
        let value = variable(name).filter(|it| !it.is_empty());
        value.map(|it| PathBuf::from(it).join(folder).join("traefik"))
    };
    let stems = [
        Some(PathBuf::from("/etc/sundew/sundew")),
        Some(PathBuf::from("/etc/traefik/traefik")),
        below("XDG_CONFIG_HOME", ""),
        below("HOME", ".config"),
        Some(PathBuf::from("./traefik")),
    ];
    let with_extensions = |stem: PathBuf| ["toml", "yaml", "yml"].map(|it| stem.with_extension(it));
    stems.into_iter().flatten().flat_map(with_extensions).collect()
}

/// Reports what only a dynamic part may hold.
pub(super) fn refuse_dynamic(values: &Value, at: &At<'_>) {
    let keys = values.as_mapping().into_iter().flat_map(Mapping::keys).filter_map(Value::as_str);
    for key in keys.filter(|it| raw::is_dynamic_key(it)) {
        at.key(key).error("not a static key", "write it into a file that `providers.file` names");
    }
}
