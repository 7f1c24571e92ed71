//! The router rule language: text → [`Rule`].
//!
//! Syntax as Traefik v3: functions with backquoted or double-quoted arguments, `&&`, `||`, `!`,
//! parentheses. What a matcher means for a request is the proxy's `route` module.

mod lexer;
mod parser;
#[cfg(test)]
mod tests;

pub use parser::{RuleError, parse};

/// A checked rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Every part matches.
    All(Vec<Rule>),
    /// At least one part matches.
    Any(Vec<Rule>),
    /// The part does not match.
    Not(Box<Rule>),
    /// One matcher.
    Is(Matcher),
}

/// The matchers that sundew knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// `Host`: lower-cased ASCII, without a trailing dot; `*` alone, or `*.` for one label.
    Host(String),
    /// `Path`: exact, starts with `/`.
    Path(String),
    /// `PathPrefix`: plain string prefix, starts with `/`.
    PathPrefix(String),
    /// `Method`: upper-case.
    Method(String),
    /// `Header`: name (any case) and exact value of one of its lines.
    Header {
        /// Field name, lower-cased.
        name: String,
        /// Whole value.
        value: String,
    },
}
