//! One problem of a configuration, with its place: `file:line:column: path: what; fix`.

use std::fmt;
use std::path::PathBuf;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Accepted, worth a line at start.
    Note,
    /// Accepted, probably not what was meant.
    Warning,
    /// Refused.
    Error,
}

/// Where in a file; line and column start at 1, 0 means "the whole file".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// As it was given on the command line or in the static file.
    pub file: PathBuf,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// Dotted path of the key, such as `http.services.app`; may be empty.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.file.display())?;
        if self.place.line > 0 {
            write!(f, ":{}:{}", self.place.line, self.place.column)?;
        }
        match self.severity {
            Severity::Error => f.write_str(": ")?,
            Severity::Warning => f.write_str(": warning: ")?,
            Severity::Note => f.write_str(": note: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

/// All problems of one load, sorted by place when printed.
pub type Diagnostics = Vec<Diagnostic>;
