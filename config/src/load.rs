//! The doors of this crate: load, reload, check, and a model from flags.
//!
//! Owns what survives between two loads: the static part that runs, and the last good content of
//! each file. Never changes anything when a load fails. Called by the control thread and the
//! command line.

mod flags;
mod show;
mod sources;
#[cfg(test)]
mod tests;
mod written;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_yaml::Value;

pub use flags::{FlagOptions, from_flags};
pub use show::effective;
pub use sources::StaticSource;
pub use written::{StaticFlag, take_static_flags};

use crate::audit::{self, Audit};
use crate::check::{self, DynamicFile, EntryPoints, Statics};
use crate::key_file::KeyFiles;
use crate::model::{FileSource, Model, StaticModel, Transport};
use crate::provider::file::{self, Parsed};
use crate::raw::{self, Role};
use crate::source::{At, Reports};
use crate::{Diagnostic, Diagnostics, Place, Severity};

/// How strict a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What is not supported becomes a warning, and a dynamic object that is wrong by itself is
    /// left out.
    pub lenient: bool,
}

/// What a start runs with.
#[derive(Debug)]
pub struct Initial {
    /// The static part.
    pub statics: StaticModel,
    /// The dynamic part.
    pub model: Model,
    /// Warnings and notes.
    pub diagnostics: Diagnostics,
}

/// What a reload replaces.
#[derive(Debug)]
pub struct Reload {
    /// The new dynamic part.
    pub model: Model,
    /// Warnings; errors too, of files of a directory that keep their last good content.
    pub diagnostics: Diagnostics,
    /// Dotted static keys that changed since the start.
    pub restart_needed: Vec<String>,
}

/// Remembers where the static part comes from, and the last good content of each dynamic one.
#[derive(Debug)]
pub struct Loader {
    static_source: StaticSource,
    options: Options,
    statics: Statics,
    /// The static part as written at the start.
    static_value: Value,
    /// Last good content by file.
    good: BTreeMap<PathBuf, Arc<Parsed>>,
    /// Last good key of each key file.
    keys: KeyFiles,
}

impl Loader {
    /// Loads the static file and everything that it refers to.
    ///
    /// # Errors
    /// Every problem of all files, when one of them is an error.
    pub fn open(static_file: &Path, options: Options) -> Result<(Self, Initial), Diagnostics> {
        Self::open_source(StaticSource::File(static_file.to_owned()), options)
    }

    /// As [`Loader::open`], from wherever the static part is.
    ///
    /// # Errors
    /// As [`Loader::open`].
    pub fn open_source(
        static_source: StaticSource,
        options: Options,
    ) -> Result<(Self, Initial), Diagnostics> {
        let root = static_source.parse(options.lenient).map_err(|it| vec![it])?;
        let whole = Whole::load(root, options);
        let (model, diagnostics) = whole.model(options, false);
        if has_error(&diagnostics) {
            return Err(diagnostics);
        }
        let Whole { root, statics, files, keys, .. } = whole;
        let initial = Initial { statics: statics.model.clone(), model, diagnostics };
        let good = files.into_iter().map(|it| (it.source.file.clone(), it)).collect();
        let static_value = root.source.value.clone();
        Ok((Self { static_source, options, statics, static_value, good, keys }, initial))
    }

    /// Reads everything again. In directory mode a bad file keeps its own last good content.
    ///
    /// # Errors
    /// Every problem; nothing changes then.
    pub fn reload(&mut self) -> Result<Reload, Diagnostics> {
        let lenient = self.options.lenient;
        let root = self.static_source.parse(lenient).map_err(|it| vec![it])?;
        let reports = Reports::new(lenient);
        root.diagnostics.iter().cloned().for_each(|it| reports.push(it));
        let fresh = check::statics(&root.root, &At::root(&root.source, &reports));
        let diagnostics = reports.into_diagnostics();
        if has_error(&diagnostics) {
            return Err(diagnostics);
        }
        let restart_needed = if fresh.model == self.statics.model {
            Vec::new()
        } else {
            changed_keys(&self.static_value, &root.source.value)
        };
        let (files, broken) =
            dynamic_files(&root, &self.statics.model, lenient).map_err(|it| vec![it])?;
        let Settled { files, keys, model, mut diagnostics } = self.settle(&root, files, broken)?;
        diagnostics.retain(|it| it.severity != Severity::Note);
        self.good = files.into_iter().map(|it| (it.source.file.clone(), it)).collect();
        self.keys = keys;
        Ok(Reload { model, diagnostics, restart_needed })
    }

    /// Replaces bad files of a directory by their last good content until everything fits.
    fn settle(
        &self,
        root: &Parsed,
        mut files: Vec<Arc<Parsed>>,
        broken: Diagnostics,
    ) -> Result<Settled, Diagnostics> {
        let is_directory = self.statics.model.file_provider.as_ref();
        let is_directory =
            is_directory.is_some_and(|it| matches!(it.source, FileSource::Directory(_)));
        let mut kept: Diagnostics = Vec::new();
        let mut replaced: HashSet<PathBuf> = HashSet::new();
        let mut errors = broken;
        loop {
            if errors.is_empty() {
                let keys = KeyFiles::read(key_files(root, &files), &self.keys);
                let (model, mut diagnostics) =
                    check_dynamic(root, &files, &keys, &self.statics, self.options, false);
                errors = diagnostics.extract_if(.., |it| it.severity == Severity::Error).collect();
                if errors.is_empty() {
                    diagnostics.extend(kept);
                    diagnostics.sort_by(|a, b| a.place.cmp(&b.place));
                    return Ok(Settled { files, keys, model, diagnostics });
                }
            }
            let bad: BTreeSet<PathBuf> = errors.iter().map(|it| it.place.file.clone()).collect();
            let is_final = |it: &PathBuf| replaced.contains(it) || it == &root.source.file;
            if !is_directory || bad.iter().any(is_final) {
                errors.extend(kept);
                return Err(errors);
            }
            kept.append(&mut errors);
            for path in bad {
                let last = self.good.get(&path);
                files.retain(|it| it.source.file != path);
                kept.push(kept_line(&path, last.is_some()));
                files.extend(last.cloned());
                replaced.insert(path);
            }
            files.sort_by(|a, b| a.source.file.cmp(&b.source.file));
        }
    }

    /// Directories whose changes mean a reload: parents rather than files, since editors and
    /// volume mounts rename; every directory of a tree in directory mode.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        let mut directories = BTreeSet::new();
        let mut add_parent = |file: &Path| {
            let parent = file.parent().filter(|it| !it.as_os_str().is_empty());
            directories.insert(parent.unwrap_or(Path::new(".")).to_owned());
            // Behind a link, the file itself changes somewhere else.
            let target = file.canonicalize().ok();
            directories.extend(
                target.filter(|_| file.is_symlink()).and_then(|it| it.parent().map(Path::to_owned)),
            );
        };
        self.static_source.as_file().into_iter().for_each(&mut add_parent);
        self.keys.paths().for_each(&mut add_parent);
        match self.statics.model.file_provider.as_ref().map(|it| &it.source) {
            Some(FileSource::File(file)) => add_parent(file),
            Some(FileSource::Directory(directory)) => {
                directories.insert(directory.clone());
                directories.extend(file::walk(directory).unwrap_or_default().directories);
            }
            None => {}
        }
        directories.into_iter().collect()
    }
}

/// What a reload came to.
struct Settled {
    files: Vec<Arc<Parsed>>,
    keys: KeyFiles,
    model: Model,
    diagnostics: Diagnostics,
}

fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|it| it.severity == Severity::Error)
}

fn kept_line(file: &Path, has_last: bool) -> Diagnostic {
    let message = if has_last { "its last good content stays" } else { "left out" };
    Diagnostic {
        severity: Severity::Warning,
        place: Place { file: file.to_owned(), line: 0, column: 0 },
        path: String::new(),
        message: message.to_owned(),
        help: String::new(),
    }
}

/// A static file and everything that it refers to.
struct Whole {
    root: Parsed,
    statics: Statics,
    files: Vec<Arc<Parsed>>,
    keys: KeyFiles,
    /// Problems of the static part, and of files that could not be read.
    found: Diagnostics,
}

impl Whole {
    fn load(root: Parsed, options: Options) -> Self {
        let reports = Reports::new(options.lenient);
        root.diagnostics.iter().cloned().for_each(|it| reports.push(it));
        let statics = check::statics(&root.root, &At::root(&root.source, &reports));
        let (files, broken) = dynamic_files(&root, &statics.model, options.lenient)
            .unwrap_or_else(|walk_failed| (Vec::new(), vec![walk_failed]));
        broken.into_iter().for_each(|it| reports.push(it));
        let keys = KeyFiles::read(key_files(&root, &files), &KeyFiles::default());
        let found = reports.into_diagnostics();
        Self { root, statics, files, keys, found }
    }

    fn model(&self, options: Options, is_check: bool) -> (Model, Diagnostics) {
        let reports = Reports::new(options.lenient);
        self.found.iter().cloned().for_each(|it| reports.push(it));
        let (model, found) =
            check_dynamic(&self.root, &self.files, &self.keys, &self.statics, options, is_check);
        found.into_iter().for_each(|it| reports.push(it));
        (model, reports.into_diagnostics())
    }
}

/// The files of the file provider, and one problem for each that could not be read. The static
/// file itself is left out: its dynamic part counts once. `Err`: the directory cannot be read.
fn dynamic_files(
    root: &Parsed,
    statics: &StaticModel,
    lenient: bool,
) -> Result<(Vec<Arc<Parsed>>, Diagnostics), Diagnostic> {
    let paths = match statics.file_provider.as_ref().map(|it| &it.source) {
        None => Vec::new(),
        Some(FileSource::File(file)) => vec![file.clone()],
        Some(FileSource::Directory(directory)) => {
            file::walk(directory).map_err(|it| named_by(it, directory, "directory", root))?.files
        }
    };
    let own = root.source.file.canonicalize().ok();
    let is_own = |path: &Path| own.is_some() && path.canonicalize().ok() == own;
    let (mut files, mut broken) = (Vec::new(), Vec::new());
    for path in paths.iter().filter(|it| !is_own(it)) {
        match file::parse(path, Role::Dynamic, lenient) {
            Ok(parsed) => files.push(Arc::new(parsed)),
            Err(problem) => broken.push(named_by(problem, path, "filename", root)),
        }
    }
    Ok((files, broken))
}

/// The problem of a whole file or directory, with the place that names it in the static part.
fn named_by(problem: Diagnostic, path: &Path, key: &str, root: &Parsed) -> Diagnostic {
    let reports = Reports::new(false);
    let at = At::root(&root.source, &reports).keys(&["providers", "file", key]);
    let is_whole = problem.place.line == 0 && problem.help.is_empty();
    if !is_whole || problem.place.file != path || at.value().is_none() {
        return problem;
    }
    let place = at.place();
    let mut help = format!("`{key}` names it at {}", place.file.display());
    if place.line > 0 {
        help.push_str(&format!(":{}:{}", place.line, place.column));
    }
    if path.is_relative() {
        help.push_str("; it is looked for in the working directory");
    }
    Diagnostic { help, ..problem }
}

/// The key files that the dynamic parts name.
fn key_files<'f>(root: &'f Parsed, files: &'f [Arc<Parsed>]) -> impl Iterator<Item = &'f str> {
    let parts = std::iter::once(root).chain(files.iter().map(AsRef::as_ref));
    parts.flat_map(|it| it.root.http.key_files())
}

/// The model of all dynamic parts, and every problem of reading and checking them.
fn check_dynamic(
    root: &Parsed,
    files: &[Arc<Parsed>],
    keys: &KeyFiles,
    statics: &Statics,
    options: Options,
    is_check: bool,
) -> (Model, Diagnostics) {
    let reports = Reports::new(options.lenient);
    for problem in files.iter().flat_map(|it| &it.diagnostics) {
        reports.push(problem.clone());
    }
    let parts: Vec<DynamicFile<'_>> = std::iter::once(root)
        .chain(files.iter().map(AsRef::as_ref))
        .map(|it| DynamicFile { source: &it.source, http: &it.root.http })
        .collect();
    let known = EntryPoints::Known { statics: &statics.model, defaults: &statics.defaults };
    let transport: Transport = statics.model.transport.clone();
    let model = check::dynamic(&parts, transport, known, keys, is_check, &reports);
    (model, reports.into_diagnostics())
}

/// Dotted keys of the static part whose values differ.
fn changed_keys(old: &Value, new: &Value) -> Vec<String> {
    let mut changed = BTreeSet::new();
    let is_static = |key: &str| raw::is_static_key(key);
    let (Value::Mapping(old), Value::Mapping(new)) = (old, new) else {
        return vec!["the whole file".to_owned()];
    };
    for key in old.keys().chain(new.keys()).filter_map(Value::as_str).filter(|it| is_static(it)) {
        let null = Value::Null;
        let (old, new) = (old.get(key).unwrap_or(&null), new.get(key).unwrap_or(&null));
        add_changes(key, old, new, &mut changed);
    }
    changed.into_iter().collect()
}

fn add_changes(path: &str, old: &Value, new: &Value, changed: &mut BTreeSet<String>) {
    let (Value::Mapping(old_map), Value::Mapping(new_map)) = (old, new) else {
        if old != new {
            changed.insert(path.to_owned());
        }
        return;
    };
    for key in old_map.keys().chain(new_map.keys()).filter_map(Value::as_str) {
        let null = Value::Null;
        let (old, new) = (old_map.get(key).unwrap_or(&null), new_map.get(key).unwrap_or(&null));
        add_changes(&format!("{path}.{key}"), old, new, changed);
    }
}

/// What `sundew check` says.
#[derive(Debug)]
pub struct CheckReport {
    /// Every problem.
    pub diagnostics: Diagnostics,
    /// Routers that would run.
    pub routers: usize,
    /// Services that would run.
    pub services: usize,
}

/// Checks a static file with all that it refers to, a dynamic file alone, or both in one.
#[must_use]
pub fn check(file: &Path, options: Options) -> CheckReport {
    check_source(&StaticSource::File(file.to_owned()), options)
}

/// As [`check`], from wherever the static part is.
#[must_use]
pub fn check_source(source: &StaticSource, options: Options) -> CheckReport {
    let (model, diagnostics) = read(source, options, true);
    CheckReport { diagnostics, routers: model.routers.len(), services: model.services.len() }
}

/// The dynamic configuration of what [`check`] takes.
///
/// # Errors
/// Every problem, when one of them is an error.
pub fn model(file: &Path, options: Options) -> Result<Model, Diagnostics> {
    let source = StaticSource::File(file.to_owned());
    let (model, diagnostics) = read(&source, options, false);
    if has_error(&diagnostics) { Err(diagnostics) } else { Ok(model) }
}

fn read(source: &StaticSource, options: Options, is_check: bool) -> (Model, Diagnostics) {
    let root = match source.parse(options.lenient) {
        Ok(root) => root,
        Err(problem) => return (Model::default(), vec![problem]),
    };
    if root.source.root_keys().any(raw::is_static_key) {
        return Whole::load(root, options).model(options, is_check);
    }
    let reports = Reports::new(options.lenient);
    root.diagnostics.iter().cloned().for_each(|it| reports.push(it));
    let part = DynamicFile { source: &root.source, http: &root.root.http };
    let keys = KeyFiles::read(key_files(&root, &[]), &KeyFiles::default());
    let transport = check::default_transport();
    let model = check::dynamic(&[part], transport, EntryPoints::Any, &keys, is_check, &reports);
    (model, reports.into_diagnostics())
}

/// Audits the stickiness of a static file with all that it refers to, or of a dynamic file alone.
///
/// # Errors
/// What cannot be read; what sundew cannot serve is no problem here.
pub fn audit(file: &Path) -> Result<Audit, Diagnostics> {
    let root = file::parse(file, Role::Static, true).map_err(|it| vec![it])?;
    let reports = Reports::new(true);
    if !root.source.root_keys().any(raw::is_static_key) {
        return Ok(audit::audit(&[&root.source], None, &reports));
    }
    let whole = Whole::load(root, Options { lenient: true });
    // What `sundew check` says of the static part is its own business.
    let is_of_root = |it: &Diagnostic| it.place.file == whole.root.source.file;
    let broken = whole.found.iter().filter(|it| it.severity == Severity::Error && !is_of_root(it));
    let broken: Diagnostics = broken.cloned().collect();
    if !broken.is_empty() {
        return Err(broken);
    }
    let files: Vec<_> = std::iter::once(&whole.root.source)
        .chain(whole.files.iter().map(|it| &it.source))
        .collect();
    Ok(audit::audit(&files, Some(&whole.root.source), &reports))
}
