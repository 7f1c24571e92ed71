//! The file provider: files and directories → parsed files.
//!
//! Owns reading within limits and the order of a directory. Decides nothing about what is in a
//! file. Called by `load`.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::raw::{self, Role};
use crate::source::{At, Broken, FILE_BYTES_MAX, Mark, Reports, Source};
use crate::{Diagnostic, Diagnostics, Place, Severity};

/// Directories inside each other.
const DIRECTORY_DEPTH_MAX: usize = 32;
/// Files of one directory tree.
const FILES_MAX: usize = 10_000;

/// A file that was read; what is wrong with its keys is in `diagnostics`.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) source: Source,
    pub(crate) root: raw::Root,
    pub(crate) diagnostics: Diagnostics,
}

/// Reads and parses one file.
pub(crate) fn parse(file: &Path, role: Role, lenient: bool) -> Result<Parsed, Diagnostic> {
    read(file, role, lenient).map_err(|broken| {
        let Broken { mark, message, help } = broken;
        let place = Place { file: file.to_owned(), line: mark.line, column: mark.column };
        Diagnostic { severity: Severity::Error, place, path: String::new(), message, help }
    })
}

fn read(file: &Path, role: Role, lenient: bool) -> Result<Parsed, Broken> {
    let text = read_text(file)?;
    if role == Role::Dynamic {
        refuse_template(&text)?;
    }
    let source = Source::parse(file, &text).map_err(|broken| {
        // A template is seldom valid YAML, and what the parser says of it helps nobody.
        let template = refuse_template(&text).err();
        template.filter(|it| it.mark.line <= broken.mark.line).unwrap_or(broken)
    })?;
    if source.root_keys().any(raw::is_dynamic_key) {
        refuse_template(&text)?;
    }
    let reports = Reports::new(lenient);
    let root = raw::read(&source.value, &At::root(&source, &reports), role);
    Ok(Parsed { source, root, diagnostics: reports.into_diagnostics() })
}

/// Everything that reading a text as a static file finds, before any check of its meaning.
#[cfg(test)]
pub(crate) fn of_text(file: &Path, text: &str) -> Diagnostics {
    let source = Source::parse(file, text).unwrap();
    let reports = Reports::new(false);
    raw::read(&source.value, &At::root(&source, &reports), Role::Static);
    reports.into_diagnostics()
}

fn whole_file(message: impl Into<String>, help: &str) -> Broken {
    Broken::new(Mark::default(), message, help)
}

fn read_text(file: &Path) -> Result<String, Broken> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => whole_file("no such file", ""),
        ErrorKind::PermissionDenied => {
            whole_file("no permission to read it", "let the user that runs sundew read it")
        }
        ErrorKind::IsADirectory => whole_file("a directory where a file is expected", ""),
        _ => whole_file(format!("cannot be read: {error}"), ""),
    };
    let too_large = || {
        let message = format!("larger than {} MiB", FILE_BYTES_MAX >> 20);
        whole_file(message, "split it into the files of a directory")
    };
    let opened = File::open(file).map_err(failed)?;
    let about = opened.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // The length above is a claim: a pipe has none, and a file may grow while it is read.
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        Broken::new(mark_behind(&before), "not UTF-8", "save it as UTF-8")
    })
}

/// Place of the character behind `before`.
fn mark_behind(before: &str) -> Mark {
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    let number = |it: usize| u32::try_from(it + 1).unwrap_or(u32::MAX);
    Mark { line: number(before.matches('\n').count()), column: number(last_line.chars().count()) }
}

/// Traefik runs dynamic files through Go's templates; taken literally they would mean something
/// else.
fn refuse_template(text: &str) -> Result<(), Broken> {
    let Some(at) = text.find("{{") else { return Ok(()) };
    Err(Broken::new(
        mark_behind(text.get(..at).unwrap_or_default()),
        "`{{` starts a Go template, which sundew does not run",
        "write the result of the template into the file",
    ))
}

/// The file's kind is one that Traefik reads.
fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    matches!(extension, "yml" | "yaml" | "toml")
}

/// Not a pipe, which would be waited for, nor a link to a directory. A link to nothing stays, to be
/// named when it is read.
fn is_readable(path: &Path) -> bool {
    path.metadata().map_or(true, |about| about.is_file())
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Configuration files, in the order that decides between two definitions of a name.
    pub(crate) files: Vec<PathBuf>,
    /// The directory and everything below it.
    pub(crate) directories: Vec<PathBuf>,
}

/// The tree below `directory`, sorted.
pub(crate) fn walk(directory: &Path) -> Result<Tree, Diagnostic> {
    let mut tree = Tree::default();
    walk_into(directory, 0, &mut tree).map_err(|(file, message)| Diagnostic {
        severity: Severity::Error,
        place: Place { file, line: 0, column: 0 },
        path: String::new(),
        message,
        help: String::new(),
    })?;
    Ok(tree)
}

fn walk_into(directory: &Path, depth: usize, tree: &mut Tree) -> Result<(), (PathBuf, String)> {
    let failed = |error: std::io::Error| {
        let what = match error.kind() {
            ErrorKind::NotFound => "no such directory".to_owned(),
            ErrorKind::NotADirectory => "a file where a directory is expected".to_owned(),
            ErrorKind::PermissionDenied => "no permission to read the directory".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        (directory.to_owned(), what)
    };
    if depth > DIRECTORY_DEPTH_MAX {
        let message = format!("directories nested deeper than {DIRECTORY_DEPTH_MAX}");
        return Err((directory.to_owned(), message));
    }
    let mut entries = std::fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    tree.directories.push(directory.to_owned());
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        // Kubernetes keeps the generations of a mounted volume in `..…` directories, and links to
        // the files of the current one: walking them would find everything twice.
        let is_generation = entry.file_name().as_encoded_bytes().starts_with(b"..");
        if kind.is_dir() {
            if !is_generation {
                walk_into(&path, depth + 1, tree)?;
            }
        } else if is_configuration(&path) && is_readable(&path) {
            tree.files.push(path);
        }
        if tree.files.len() > FILES_MAX {
            return Err((directory.to_owned(), format!("more than {FILES_MAX} files")));
        }
    }
    Ok(())
}
