//! The router rule language: text → [`Rule`].
//!
//! Syntax as Traefik v3: functions with backquoted or double-quoted arguments, `&&`, `||`, `!`,
//! parentheses. What a matcher means for a request is the proxy's `route` module.

mod lexer;
mod parser;
mod pattern;
#[cfg(test)]
mod tests;

pub use parser::{RuleError, parse};
pub use pattern::{PATTERN_BYTES_MAX, Pattern};

use ipnet::IpNet;

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
    /// `HostRegexp`: on the lower-cased host, with a trailing dot where there is one.
    HostRegexp(Pattern),
    /// `Path`: exact, starts with `/`.
    Path(String),
    /// `PathPrefix`: plain string prefix, starts with `/`.
    PathPrefix(String),
    /// `PathRegexp`.
    PathRegexp(Pattern),
    /// `Method`: upper-case.
    Method(String),
    /// `Header`: name (any case) and exact value of one of its lines.
    Header {
        /// Field name, lower-cased.
        name: String,
        /// Whole value.
        value: String,
    },
    /// `HeaderRegexp`: one of the lines of that name matches.
    HeaderRegexp {
        /// Field name, lower-cased.
        name: String,
        /// Expression for its value.
        value: Pattern,
    },
    /// `Query`: one of the parameters of that name has that value.
    Query {
        /// Name, decoded.
        key: String,
        /// Value, decoded; empty when the rule writes none, as under Traefik.
        value: String,
    },
    /// `QueryRegexp`: one of the parameters of that name matches.
    QueryRegexp {
        /// Name, decoded.
        key: String,
        /// Expression for its decoded value.
        value: Pattern,
    },
    /// `ClientIP`: the address that the connection comes from, whatever `X-Forwarded-For` says. A
    /// single address is a network of one; IPv4 inside IPv6 is written as IPv4.
    ClientIp(IpNet),
}
