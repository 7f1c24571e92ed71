//! Where the static part comes from: a file, the command line or the environment. As in Traefik
//! they exclude each other, and the first of them that says anything counts.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::written::{self, StaticFlag};
use crate::effective::Names;
use crate::provider::file::{self, Parsed};
use crate::raw::{self, Role};
use crate::source::{At, Reports, Source};
use crate::{Diagnostic, Diagnostics};

/// Where the static part of a start, and of its reloads, comes from.
#[derive(Clone, Debug)]
pub enum StaticSource {
    /// A file, read again on each reload.
    File(PathBuf),
    /// Keys of the command line.
    Flags(Vec<StaticFlag>),
    /// Variables of the environment, with their prefix.
    Environment(&'static str, Value),
}

/// The way that a flag's values are named where a file has its name.
pub(crate) const COMMAND_LINE: &str = "command line";

impl fmt::Display for StaticSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Flags(_) => f.write_str(COMMAND_LINE),
            Self::Environment(prefix, _) => write!(f, "environment ({prefix}…)"),
        }
    }
}

impl StaticSource {
    /// Chooses: the file that is named, or one at a usual place, before flags before variables.
    /// The diagnostics are warnings about what is not read. `None`: nobody says anything.
    ///
    /// # Errors
    /// Variables of both prefixes.
    pub fn choose(
        file: Option<PathBuf>,
        flags: Vec<StaticFlag>,
        variables: &[(String, String)],
    ) -> Result<Option<(Self, Diagnostics)>, Diagnostics> {
        let reports = Reports::new(false);
        let variable = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        let usual = || written::usual_files(variable).into_iter().find(|it| it.is_file());
        let environment = written::of_environment(variables.iter().cloned());
        let is_set = !matches!(environment, Ok(None));
        let (chosen, why) = match file.or_else(usual) {
            Some(file) => {
                let why = format!("the file {} counts", file.display());
                if !flags.is_empty() {
                    unread(COMMAND_LINE, &why, &reports);
                }
                (Self::File(file), why)
            }
            None if !flags.is_empty() => {
                (Self::Flags(flags), "those of the command line count".into())
            }
            None => {
                let found = environment.map_err(|it| vec![it])?;
                return Ok(found.map(|it| (Self::Environment(it.prefix, it.values), Vec::new())));
            }
        };
        if is_set {
            unread("environment", &why, &reports);
        }
        Ok(Some((chosen, reports.into_diagnostics())))
    }

    /// The file, when it is one.
    pub(super) fn as_file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            _ => None,
        }
    }

    /// How its values name where they come from.
    pub(super) fn names(&self) -> Names {
        match self {
            Self::File(_) => Names::Places,
            Self::Flags(_) => Names::Flags,
            Self::Environment(prefix, _) => Names::Variables(prefix),
        }
    }

    /// Reads it as a static file is read.
    pub(super) fn parse(&self, lenient: bool) -> Result<Parsed, Diagnostic> {
        match self {
            Self::File(file) => file::parse(file, Role::Static, lenient),
            Self::Flags(flags) => {
                let reports = Reports::new(lenient);
                let name = Source::flag(COMMAND_LINE);
                let values = written::of_flags(flags, &At::root(&name, &reports));
                Ok(assembled(COMMAND_LINE, values, reports, lenient))
            }
            Self::Environment(_, values) => {
                Ok(assembled(&self.to_string(), values.clone(), Reports::new(lenient), lenient))
            }
        }
    }
}

fn unread(name: &str, why: &str, reports: &Reports) {
    let source = Source::flag(name);
    let help = format!("{why}; put everything into one of them");
    At::root(&source, reports).warning("static keys are not read", help);
}

fn assembled(name: &str, values: Value, found: Reports, lenient: bool) -> Parsed {
    let mut source = Source::flag(name);
    source.value = values;
    let reports = Reports::new(lenient);
    found.into_diagnostics().into_iter().for_each(|it| reports.push(it));
    let at = At::root(&source, &reports);
    written::refuse_dynamic(&source.value, &at);
    let root = raw::read(&source.value, &at, Role::Static);
    Parsed { source, root, diagnostics: reports.into_diagnostics() }
}
