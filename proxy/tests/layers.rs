//! Style that a compiler does not check: who may import whom, where `unsafe` may stand, how long a
//! file may be, and which names are taken. Each failure names what to do instead.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Each module of the proxy with those that it may import (docs/architecture.md). Arrows point
/// down only; `conn` is the one conductor.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    // Besides what it starts, it says what cookies mean and which router takes a request.
    ("cli", &["control", "sticky", "route", "http1", "observe", "sys"]),
    ("control", &["worker", "observe", "sys"]),
    (
        "worker",
        &[
            "conn", "upstream", "cluster", "sticky", "balance", "route", "http1", "observe", "io",
            "sys",
        ],
    ),
    (
        "conn",
        &["upstream", "cluster", "sticky", "balance", "route", "http1", "observe", "io", "sys"],
    ),
    ("upstream", &["cluster", "sticky", "balance", "route", "http1", "observe", "io", "sys"]),
    ("cluster", &["sticky", "balance", "route", "http1", "observe", "io", "sys"]),
    ("route", &["http1", "observe"]),
    ("sticky", &["http1", "observe"]),
    ("balance", &["observe"]),
    ("http1", &["observe"]),
    ("observe", &["sys"]),
    ("io", &["sys"]),
    ("sys", &[]),
];

/// Longest file, tests included; a longer one wants a second file beside it.
const LINES_MAX: usize = 500;

/// Files that were longer when the rule came, with the length that they may not pass. Shorten the
/// number with the file; add no line.
const LONGER: &[(&str, usize)] = &[];

/// Words too vague for the name of a type or a file, and what to say instead.
const BANNED: &[(&str, &str)] = &[
    ("Handler", "say what it does: answer, serve, route"),
    ("Manager", "say what it owns: pool, table, sweeper"),
    ("Context", "say what is in it, or pass the parts"),
    ("Data", "say what it is: body, record, bytes"),
    ("Util", "put it beside its only caller, or name the subject"),
    ("Utils", "put it beside its only caller, or name the subject"),
    ("Common", "name the subject"),
    ("Helper", "name what it does"),
    ("Session", "exchange, connection, pin or tunnel"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Every Rust file below `folder` with its text, sorted.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources below {}", folder.display());
    found
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let folders = ["config/src", "proxy/src", "proxy/tests", "loadtest/src"];
    folders.iter().flat_map(|folder| sources(&root().join(folder))).collect()
}

/// Code without comments; a `//` inside a string ends the line early, which hides nothing here.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("")))
}

/// The words after `prefix`, up to what cannot be part of a name.
fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn modules_import_only_what_stands_below_them() {
    let folder = root().join("proxy/src");
    let mut wrong = Vec::new();
    for (path, text) in sources(&folder) {
        let inner = path.strip_prefix(&folder).expect("below src");
        let first = inner.iter().next().expect("a name").to_string_lossy();
        let module = first.trim_end_matches(".rs");
        if module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{module}: not in the layer table; give it a place there"));
            continue;
        };
        for (line, code) in code(&text) {
            let names = names_after(code, "crate::").chain(names_after(code, "sundew::"));
            for name in names.filter(|name| LAYERS.iter().any(|(known, _)| known == name)) {
                if name != module && !below.contains(&name) {
                    let path = inner.display();
                    wrong.push(format!(
                        "{path}:{line}: {module} imports {name}, which is not below it; \
                         pass the value in, or move it down"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_io_and_the_worker_runtime_name_monoio() {
    let folder = root().join("proxy/src");
    for (path, text) in sources(&folder) {
        let inner = path.strip_prefix(&folder).expect("below src");
        let is_engine = inner.starts_with("io") || inner == Path::new("io.rs");
        if is_engine || inner.starts_with("worker") {
            continue;
        }
        for (line, code) in code(&text) {
            let path = inner.display();
            assert!(
                !code.contains("monoio::"),
                "{path}:{line}: names monoio; go through crate::io"
            );
        }
    }
}

#[test]
fn unsafe_stands_in_one_file() {
    // The words are put together here so that this file does not find itself.
    let words =
        [["unsafe", " {"].concat(), ["unsafe", " fn"].concat(), ["unsafe", " impl"].concat()];
    for (path, text) in all_sources() {
        // An allocator that counts cannot be written without it, and is no part of the product.
        if path.ends_with("proxy/src/sys.rs") || path.ends_with("proxy/tests/allocations.rs") {
            continue;
        }
        for (line, code) in code(&text) {
            let is_clean = words.iter().all(|word| !code.contains(word.as_str()));
            assert!(is_clean, "{}:{line}: move it into proxy/src/sys.rs", path.display());
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        let longer = LONGER.iter().find(|(name, _)| path.ends_with(name));
        if lines > longer.map_or(LINES_MAX, |(_, max)| *max) {
            wrong.push(format!("{}: {lines} lines; split it by subject", path.display()));
        }
        if !path.ends_with("tests.rs") && !text.starts_with("//!") && !text.starts_with("#![") {
            wrong.push(format!("{}: begin with //!: what it owns, who calls it", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_say_what_they_mean() {
    let mut wrong = Vec::new();
    for (path, text) in all_sources() {
        let stem = path.file_stem().expect("a name").to_string_lossy().to_lowercase();
        for (word, instead) in BANNED {
            if stem == word.to_lowercase() {
                wrong.push(format!("{}: {instead}", path.display()));
            }
        }
        for (line, code) in code(&text) {
            for kind in ["struct ", "enum ", "trait "] {
                for name in names_after(code, kind) {
                    for (word, instead) in BANNED {
                        if name.ends_with(word) {
                            wrong.push(format!("{}:{line}: {name}: {instead}", path.display()));
                        }
                    }
                }
            }
            if code.trim_start().starts_with("pub") && code.contains(concat!("fn ", "get_")) {
                wrong.push(format!("{}:{line}: leave `get_` out", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
