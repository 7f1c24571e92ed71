//! The command line: one file a verb.

use std::process::ExitCode;

/// Runs the verb that the process's arguments name.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
