//! A file's text in, the exact lines and the model out.

mod admin;
mod balancer;
mod composite;
mod dynamic;
mod mutated;
mod sealed;
mod statics;
mod sticky;

use std::path::Path;

use crate::load::{Initial, Loader, Options, check};
use crate::{Diagnostic, Diagnostics};

const STRICT: Options = Options { lenient: false };
const LENIENT: Options = Options { lenient: true };

/// `name` with `text` in a directory of its own; lines name it without the directory.
fn with_file<T>(name: &str, text: &str, read: impl FnOnce(&Path) -> T) -> (T, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    std::fs::write(&file, text).unwrap();
    (read(&file), format!("{}/", directory.path().display()))
}

fn lines(diagnostics: &[Diagnostic], prefix: &str) -> Vec<String> {
    diagnostics.iter().map(|it| it.to_string().replace(prefix, "")).collect()
}

/// Notes on what nobody uses.
const UNUSED: [&str; 3] = [
    ": no router uses the service",
    ": no router is on this entry point",
    ": no service uses this transport",
];

/// What `check` says of a YAML file `f.yml`, without notes on what nobody uses.
fn said(text: &str, options: Options) -> Vec<String> {
    let (report, prefix) = with_file("f.yml", text, |file| check(file, options));
    let mut lines = lines(&report.diagnostics, &prefix);
    lines.retain(|it| !UNUSED.iter().any(|unused| it.contains(unused)));
    lines
}

/// Loads a YAML file that must be good.
fn loaded(text: &str, options: Options) -> Initial {
    let (result, _) = with_file("f.yml", text, |file| Loader::open(file, options));
    result.map(|it| it.1).map_err(|it| lines(&it, "")).unwrap()
}

/// The problems of a YAML file that must be refused.
fn refused(text: &str) -> Diagnostics {
    let (result, _) = with_file("f.yml", text, |file| Loader::open(file, STRICT));
    result.map(|it| it.1.model).unwrap_err()
}

/// Each: a name, the file, and the exact lines.
type Cases<'c> = &'c [(&'c str, &'c str, &'c [&'c str])];

fn assert_said(cases: Cases<'_>, options: Options) {
    for (name, text, want) in cases {
        assert_eq!(said(text, options), *want, "{name}");
    }
}
