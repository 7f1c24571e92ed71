//! Text of one file → its values, and where each of them stands: dotted path → line and column.
//!
//! Owns the limits on a file and the collecting of problems ([`Reports`], [`At`]). Interprets no
//! key. Called by `provider` (reading), `raw` and `check` (reporting).

#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use serde_yaml::Value;

use crate::{Diagnostic, Diagnostics, Place, Severity};

/// Larger files are refused before they are parsed.
pub(crate) const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Nesting of mappings and lists; Traefik's own schema needs 9.
pub(crate) const DEPTH_MAX: usize = 48;
/// What a file may grow to when its aliases are followed: text plus [`NODE_COST`] a value.
pub(crate) const EXPANDED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What a value costs besides its text.
pub(crate) const NODE_COST: u64 = 16;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Why a text could not be read at all.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) mark: Mark,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Broken {
    pub(crate) fn new(mark: Mark, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { mark, message: message.into(), help: help.into() }
    }
}

/// Where a value and everything below it stands. Aliases share what they point to.
#[derive(Debug)]
pub(crate) struct Node {
    mark: Mark,
    kind: NodeKind,
    /// Size with every alias followed.
    cost: u64,
    /// Levels below, with every alias followed.
    depth: usize,
}

#[derive(Debug)]
enum NodeKind {
    Scalar,
    List(Vec<Arc<Node>>),
    Map { entries: HashMap<String, (Mark, Arc<Node>)>, merged: Vec<Arc<Node>> },
}

impl Node {
    fn child(&self, step: &Step) -> Option<(Mark, &Arc<Node>)> {
        match (&self.kind, step) {
            (NodeKind::List(items), Step::Index(index)) => {
                items.get(*index).map(|item| (item.mark, item))
            }
            (NodeKind::Map { entries, merged }, Step::Key(key)) => entries
                .get(key.as_str())
                .or_else(|| {
                    let same = |name: &String| name.eq_ignore_ascii_case(key);
                    entries.iter().find(|(name, _)| same(name)).map(|(_, entry)| entry)
                })
                .map(|(mark, node)| (*mark, node))
                .or_else(|| merged.iter().find_map(|node| node.child(step))),
            _ => None,
        }
    }
}

/// One file: its values and their places.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) value: Value,
    root: Arc<Node>,
}

impl Source {
    /// Parses `text` by the file's extension.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, Broken> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let extension = file.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let (value, root) = match extension.to_ascii_lowercase().as_str() {
            "toml" => toml::parse(text)?,
            "yml" | "yaml" => yaml::parse(text)?,
            _ => {
                return Err(Broken::new(
                    Mark::default(),
                    "unknown kind of file",
                    "name it .yml, .yaml or .toml",
                ));
            }
        };
        Ok(Self { file: file.to_owned(), value, root: Arc::new(root) })
    }

    /// A source without text, for what comes from the command line.
    pub(crate) fn flag(name: &str) -> Self {
        let root = Node { mark: Mark::default(), kind: NodeKind::Scalar, cost: 0, depth: 0 };
        Self { file: PathBuf::from(name), value: Value::Null, root: Arc::new(root) }
    }

    /// Keys at the top of the file, as written.
    pub(crate) fn root_keys(&self) -> impl Iterator<Item = &str> {
        self.value.as_mapping().into_iter().flat_map(|it| it.keys()).filter_map(Value::as_str)
    }
}

/// Names that a misspelled one is compared with.
const CANDIDATES_MAX: usize = 2000;

/// Names that are listed when none is close.
const NAMES_LISTED_MAX: usize = 5;

/// Problems kept of each severity: a hostile file must not fill the log.
pub(crate) const REPORTS_MAX: usize = 1000;

/// The problems of one load.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    inner: RefCell<Kept>,
    lenient: bool,
}

#[derive(Debug, Default)]
struct Kept {
    list: Diagnostics,
    /// Keys with an error: a second one would only be its echo.
    wrong: HashSet<(Place, String)>,
    notes: usize,
    warnings: usize,
}

impl Kept {
    /// Whether something that holds the key is wrong at the very same place: what is missing below
    /// a value that could not be read is no second mistake.
    fn is_echo(&self, it: &Diagnostic) -> bool {
        it.place.line > 0
            && it.path.char_indices().any(|(end, letter)| {
                let above = it.path.get(..end).unwrap_or_default();
                matches!(letter, '.' | '[')
                    && self.wrong.contains(&(it.place.clone(), above.to_owned()))
            })
    }
}

impl Reports {
    /// An empty list.
    pub(crate) fn new(lenient: bool) -> Self {
        Self { inner: RefCell::default(), lenient }
    }

    /// Adds a problem, unless the key is known to be wrong or there are enough of its kind.
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        let kept = &mut *self.inner.borrow_mut();
        let is_kept = match diagnostic.severity {
            Severity::Error => {
                let mut key = (diagnostic.place.clone(), diagnostic.path.clone());
                if diagnostic.place.line == 0 {
                    key.1.push_str(&diagnostic.message);
                }
                kept.wrong.len() < REPORTS_MAX
                    && !kept.is_echo(&diagnostic)
                    && kept.wrong.insert(key)
            }
            Severity::Warning => {
                kept.warnings += 1;
                kept.warnings <= REPORTS_MAX
            }
            Severity::Note => {
                kept.notes += 1;
                kept.notes <= REPORTS_MAX
            }
        };
        if is_kept {
            kept.list.push(diagnostic);
        }
    }

    /// Everything, sorted by place.
    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        let mut list = self.inner.into_inner().list;
        list.sort_by(|a, b| a.place.cmp(&b.place));
        list
    }
}

/// A step of a path.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// A path from the top of a file; cloning is cheap.
#[derive(Clone, Debug, Default)]
struct KeyPath(Option<Rc<(KeyPath, Step)>>);

impl KeyPath {
    fn steps(&self) -> Vec<&Step> {
        let mut steps = Vec::new();
        let mut path = self;
        while let Some(link) = &path.0 {
            steps.push(&link.1);
            path = &link.0;
        }
        steps.reverse();
        steps
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps().into_iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key of a file, and the list that its problems go to.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    source: &'a Source,
    reports: &'a Reports,
    path: KeyPath,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl<'a> At<'a> {
    /// The whole file.
    pub(crate) fn root(source: &'a Source, reports: &'a Reports) -> Self {
        Self { source, reports, path: KeyPath::default() }
    }

    fn step(&self, step: Step) -> Self {
        let path = KeyPath(Some(Rc::new((self.path.clone(), step))));
        Self { source: self.source, reports: self.reports, path }
    }

    /// Below this key.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// Below this key, several steps at once.
    pub(crate) fn keys(&self, keys: &[&str]) -> Self {
        keys.iter().fold(self.clone(), |at, key| at.key(key))
    }

    /// An element of this list.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// What is written at the key, `Null` when nothing stands behind it.
    pub(crate) fn value(&self) -> Option<&'a Value> {
        self.path.steps().into_iter().try_fold(&self.source.value, |value, step| match step {
            Step::Index(index) => value.get(index),
            Step::Key(key) => value.get(key.as_str()).or_else(|| {
                let same =
                    |name: &Value| name.as_str().is_some_and(|it| it.eq_ignore_ascii_case(key));
                value.as_mapping()?.iter().find(|(name, _)| same(name)).map(|(_, value)| value)
            }),
        })
    }

    /// The value's place for a scalar, else the key's; the nearest key above what is not written.
    fn mark(&self, at_key: bool) -> Mark {
        let (mut node, mut mark) = (&self.source.root, Mark::default());
        for step in self.path.steps() {
            let Some((key_mark, child)) = node.child(step) else { break };
            let is_scalar = matches!(child.kind, NodeKind::Scalar) && child.mark.line > 0;
            mark = if is_scalar && !at_key { child.mark } else { key_mark };
            node = child;
        }
        mark
    }

    fn report(&self, severity: Severity, mark: Mark, message: String, help: String) {
        let place = Place { file: self.source.file.clone(), line: mark.line, column: mark.column };
        let path = self.path.to_string();
        self.reports.push(Diagnostic { severity, place, path, message, help });
    }

    /// Where it is written, or the nearest key above it.
    pub(crate) fn place(&self) -> Place {
        let mark = self.mark(false);
        Place { file: self.source.file.clone(), line: mark.line, column: mark.column }
    }

    /// A mistake that refuses the load.
    pub(crate) fn error(&self, message: impl Into<String>, help: impl Into<String>) {
        self.report(Severity::Error, self.mark(false), message.into(), help.into());
    }

    /// A mistake in the name of the key `key` below this one.
    pub(crate) fn key_error(&self, key: &str, message: String, help: String) {
        let mark = self.key(key).mark(true);
        self.report(Severity::Error, mark, message, help);
    }

    /// A mistake that `--lenient` survives.
    pub(crate) fn wrong(&self, message: impl Into<String>, help: impl Into<String>) {
        let severity = if self.reports.lenient { Severity::Warning } else { Severity::Error };
        self.report(severity, self.mark(false), message.into(), help.into());
    }

    /// Something that Traefik does and sundew does not.
    pub(crate) fn unsupported(&self, help: &str) {
        self.unsupported_what("", help);
    }

    /// As [`At::unsupported`], naming the value.
    pub(crate) fn unsupported_what(&self, what: &str, help: &str) {
        let message = match what {
            "" => "not supported by sundew yet".to_owned(),
            _ => format!("not supported by sundew yet: {what}"),
        };
        let mark = self.mark(what.is_empty());
        if self.reports.lenient {
            self.report(Severity::Warning, mark, message, help.to_owned());
        } else {
            let help = if help.is_empty() { "remove it, or start with --lenient" } else { help };
            self.report(Severity::Error, mark, message, help.to_owned());
        }
    }

    /// Whether the load goes on with what is left.
    pub(crate) fn is_lenient(&self) -> bool {
        self.reports.lenient
    }

    /// What becomes of an object that is wrong by itself; without `--lenient` nothing runs at all,
    /// and there is nothing to say.
    pub(crate) fn left_out(&self, message: &str) {
        if self.reports.lenient {
            self.report(Severity::Warning, self.mark(true), message.to_owned(), String::new());
        }
    }

    /// `did you mean …`, or nothing when no candidate is close (or nobody will read it).
    pub(crate) fn did_you_mean<'c>(
        &self,
        written: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> String {
        if self.reports.inner.borrow().list.len() >= REPORTS_MAX {
            return String::new();
        }
        let lower = written.to_ascii_lowercase();
        let far = 1 + written.len().min(12) / 4;
        let distance = |it: &str| strsim::damerau_levenshtein(&lower, &it.to_ascii_lowercase());
        candidates
            .take(CANDIDATES_MAX)
            .filter(|it| it.len().abs_diff(lower.len()) <= far)
            .map(|it| (distance(it), it))
            .filter(|(distance, _)| *distance <= far)
            .min_by_key(|(distance, _)| *distance)
            .map_or_else(String::new, |(_, it)| format!("did you mean `{it}`?"))
    }

    /// As [`At::did_you_mean`], or what there is to choose from.
    pub(crate) fn one_of<'c>(
        &self,
        written: &str,
        candidates: impl Iterator<Item = &'c str> + Clone,
    ) -> String {
        let close = self.did_you_mean(written, candidates.clone());
        let mut names: Vec<&str> = candidates.take(CANDIDATES_MAX).collect();
        if !close.is_empty() || names.is_empty() {
            return close;
        }
        names.sort_unstable();
        let more = if names.len() > NAMES_LISTED_MAX { " and more" } else { "" };
        names.truncate(NAMES_LISTED_MAX);
        format!("there is `{}`{more}", names.join("`, `"))
    }

    /// Accepted, but probably not meant.
    pub(crate) fn warning(&self, message: impl Into<String>, help: impl Into<String>) {
        self.report(Severity::Warning, self.mark(false), message.into(), help.into());
    }

    /// Accepted without effect.
    pub(crate) fn note(&self, message: impl Into<String>) {
        self.report(Severity::Note, self.mark(true), message.into(), String::new());
    }
}
