//! Problems with the lines that they are about: what, where, a caret, and what to write instead.
//!
//! Reads the files again, since nobody else needs their text once they are parsed. Called by
//! `check`.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use sundew_config::{Diagnostic, Diagnostics, Severity};

use crate::control::run::in_order;

/// What the loader takes; a file that grew since is not worth a snippet.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A longer line is shown up to here: a minified file is one line.
const LINE_BYTES_MAX: usize = 4096;

/// Every problem in the order of places, an empty line behind each.
pub(super) fn text(diagnostics: &Diagnostics, is_coloured: bool) -> String {
    let renderer = if is_coloured { Renderer::styled() } else { Renderer::plain() };
    let mut files: HashMap<PathBuf, Lines> = HashMap::new();
    let mut out = String::new();
    for diagnostic in in_order(diagnostics) {
        let file = &diagnostic.place.file;
        let lines = files.entry(file.clone()).or_insert_with(|| Lines::read(file));
        out.push_str(&renderer.render(&[group(diagnostic, lines)]));
        out.push_str("\n\n");
    }
    out
}

/// The text of a file, and where its lines begin.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    /// Nothing, when the file cannot be read (any more).
    fn read(file: &Path) -> Self {
        let mut text = String::new();
        let is_file = file.metadata().is_ok_and(|it| it.is_file());
        let opened = fs::File::open(file).ok().filter(|_| is_file);
        let read = opened.and_then(|it| it.take(FILE_BYTES_MAX).read_to_string(&mut text).ok());
        if read.is_none() {
            return Self::default();
        }
        // A mark at the beginning is no character of the first line.
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// A line, counted from 1, without its end.
    fn line(&self, number: u32) -> Option<&str> {
        let start = *self.starts.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let line = self.text.get(start..)?.lines().next().unwrap_or_default();
        let mut end = line.len().min(LINE_BYTES_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.get(..end)
    }
}

fn group<'t>(diagnostic: &'t Diagnostic, lines: &'t Lines) -> Group<'t> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let place = &diagnostic.place;
    let file = place.file.display().to_string();
    let title = level.primary_title(diagnostic.message.as_str());
    let group = match lines.line(place.line) {
        Some(line) => {
            let is_header = line.trim_start().starts_with('[') && file.ends_with(".toml");
            let span = span(line, place.column, if is_header { &["."] } else { &[] });
            let annotation = AnnotationKind::Primary.span(span).label(diagnostic.path.as_str());
            let number = usize::try_from(place.line).unwrap_or(usize::MAX);
            title
                .element(Snippet::source(line).path(file).line_start(number).annotation(annotation))
        }
        None => {
            let origin = title.element(Origin::path(file));
            match diagnostic.path.as_str() {
                "" => origin,
                path => origin.element(Level::NOTE.no_name().message(path)),
            }
        }
    };
    match diagnostic.help.as_str() {
        "" => group,
        help => group.element(Level::HELP.message(help)),
    }
}

/// The bytes of the key or scalar that begins at the column, counted in characters from 1; `ends`
/// are what ends an unquoted one besides what always does.
pub(super) fn span(line: &str, column: u32, ends: &[&str]) -> Range<usize> {
    let skipped = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
    let start = line.char_indices().nth(skipped).map_or(line.len(), |(at, _)| at);
    let rest = line.get(start..).unwrap_or_default();
    let length = match rest.chars().next() {
        None => 0,
        Some(quote @ ('"' | '\'')) => {
            let inner = rest.get(1..).unwrap_or_default();
            inner.find(quote).map_or(rest.trim_end().len(), |at| at + 2)
        }
        Some(open @ ('[' | '{' | '|' | '>')) => open.len_utf8(),
        Some(_) => plain(rest, ends),
    };
    start..start + length
}

/// The length of an unquoted key or scalar: up to what ends it in YAML or TOML.
fn plain(rest: &str, more: &[&str]) -> usize {
    let ends = [": ", ", ", " #", " =", "]", "}"];
    let end = ends.iter().chain(more).filter_map(|it| rest.find(it)).min().unwrap_or(rest.len());
    let word = rest.get(..end).unwrap_or_default().trim_end();
    word.strip_suffix(':').unwrap_or(word).len()
}
