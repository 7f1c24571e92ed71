//! Tokens → [`Rule`]: precedence `!`, `&&`, `||`; matcher names in Traefik's four casings.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net};

use super::lexer::{Spanned, Token, tokens};
use super::{Matcher, Pattern, Rule};

/// Parentheses and `!` that may stand inside each other.
const DEPTH_MAX: usize = 64;

/// Why a rule was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Where in the rule, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
}

impl RuleError {
    pub(super) fn new(column: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { column, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at column {} of the rule", self.message, self.column)
    }
}

/// Parses the rule of a router (Traefik's v3 syntax).
///
/// # Errors
/// The first mistake, with its column.
pub fn parse(rule: &str) -> Result<Rule, RuleError> {
    let tokens = tokens(rule)?;
    if tokens.is_empty() {
        let help = "write a rule such as Host(`example.com`)";
        return Err(RuleError::new(1, "the rule is empty", help));
    }
    let end = rule.chars().count() + 1;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, depth: 0 };
    let parsed = parser.any()?;
    match parser.tokens.next() {
        None => Ok(parsed),
        Some(extra) if extra.token == Token::Close => {
            Err(RuleError::new(extra.column, "a `)` without its `(`", ""))
        }
        Some(extra) => {
            let help = "join matchers with `&&` or `||`";
            Err(RuleError::new(extra.column, "something follows a complete rule", help))
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Spanned>>,
    /// Column behind the last character.
    end: usize,
    depth: usize,
}

impl Parser {
    fn takes(&mut self, wanted: &Token) -> bool {
        self.tokens.next_if(|it| it.token == *wanted).is_some()
    }

    fn column(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |it| it.column)
    }

    fn any(&mut self) -> Result<Rule, RuleError> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.takes(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Rule::Any))
    }

    fn all(&mut self) -> Result<Rule, RuleError> {
        let first = self.unary()?;
        let mut parts = vec![first];
        while self.takes(&Token::And) {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Rule::All))
    }

    fn unary(&mut self) -> Result<Rule, RuleError> {
        let column = self.column();
        if self.depth >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(RuleError::new(column, message, ""));
        }
        self.depth += 1;
        let rule = self.operand(column);
        self.depth -= 1;
        rule
    }

    fn operand(&mut self, column: usize) -> Result<Rule, RuleError> {
        match self.tokens.next().map(|it| it.token) {
            Some(Token::Not) => Ok(Rule::Not(Box::new(self.unary()?))),
            Some(Token::Open) => {
                let inner = self.any()?;
                self.close(column)?;
                Ok(inner)
            }
            Some(Token::Name(name)) => self.matcher(&name, column).map(Rule::Is),
            None => Err(RuleError::new(column, "the rule ends where a matcher is expected", "")),
            Some(_) => Err(RuleError::new(column, "a matcher is expected", "")),
        }
    }

    fn close(&mut self, opened: usize) -> Result<(), RuleError> {
        if self.takes(&Token::Close) {
            return Ok(());
        }
        let column = self.column();
        let message = format!("expected `)` for the `(` of column {opened}");
        Err(RuleError::new(column, message, ""))
    }

    fn matcher(&mut self, name: &str, column: usize) -> Result<Matcher, RuleError> {
        let kind = MatcherKind::find(name, column)?;
        let opened = self.column();
        if !self.takes(&Token::Open) {
            let help = format!("write {name}(`…`)");
            return Err(RuleError::new(opened, format!("`{name}` without arguments"), help));
        }
        let arguments = self.arguments(name, opened)?;
        if !kind.arguments.contains(&arguments.len()) {
            let message =
                format!("`{name}` takes {}, found {}", count(&kind.arguments), arguments.len());
            let help = match kind.name {
                "Header" | "HeaderRegexp" => format!("write {}(`name`, `value`)", kind.name),
                "Query" | "QueryRegexp" => format!("write {}(`key`, `value`)", kind.name),
                _ => "join several matchers with `||`".to_owned(),
            };
            return Err(RuleError::new(column, message, help));
        }
        if let Some((_, at)) = arguments.iter().find(|(text, _)| text.is_empty()) {
            return Err(RuleError::new(*at, format!("`{name}` has an empty argument"), ""));
        }
        // Only the last can be wrong by itself.
        let at = arguments.last().map_or(column, |(_, at)| *at);
        let mut texts = arguments.into_iter().map(|(text, _)| text);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next());
        build(kind.name, &first, second)
            .map_err(|(message, help)| RuleError::new(at, message, help))
    }

    /// The texts up to the closing parenthesis, each with its column.
    fn arguments(&mut self, name: &str, opened: usize) -> Result<Vec<(String, usize)>, RuleError> {
        let mut arguments = Vec::new();
        loop {
            // Also behind a comma, as in Go.
            if self.takes(&Token::Close) {
                return Ok(arguments);
            }
            let column = self.column();
            match self.tokens.next().map(|it| it.token) {
                Some(Token::Text(text)) => arguments.push((text, column)),
                Some(Token::Name(_)) => {
                    let message = format!("an argument of `{name}` without quotes");
                    return Err(RuleError::new(column, message, "put it in backquotes"));
                }
                _ => {
                    let message = format!("`{name}` needs a text in quotes here");
                    return Err(RuleError::new(column, message, ""));
                }
            }
            if !self.takes(&Token::Comma) {
                self.close(opened)?;
                return Ok(arguments);
            }
        }
    }
}

fn one_or(mut parts: Vec<Rule>, join: fn(Vec<Rule>) -> Rule) -> Rule {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

fn count(arguments: &RangeInclusive<usize>) -> &'static str {
    match (arguments.start(), arguments.end()) {
        (1, 1) => "one argument",
        (2, 2) => "two arguments",
        _ => "one or two arguments",
    }
}

/// A matcher that Traefik knows.
struct MatcherKind {
    name: &'static str,
    arguments: RangeInclusive<usize>,
}

const fn known(name: &'static str, arguments: RangeInclusive<usize>) -> MatcherKind {
    MatcherKind { name, arguments }
}

const MATCHERS: [MatcherKind; 11] = [
    known("Host", 1..=1),
    known("Path", 1..=1),
    known("PathPrefix", 1..=1),
    known("Method", 1..=1),
    known("Header", 2..=2),
    known("HostRegexp", 1..=1),
    known("PathRegexp", 1..=1),
    known("HeaderRegexp", 2..=2),
    known("Query", 1..=2),
    known("QueryRegexp", 1..=2),
    known("ClientIP", 1..=1),
];

/// Matchers that Traefik has elsewhere, and what to write instead.
const ELSEWHERE: [(&str, &str); 6] = [
    ("HostSNI", "it belongs to TCP routers, which sundew does not have; write Host"),
    ("HostSNIRegexp", "it belongs to TCP routers, which sundew does not have; write HostRegexp"),
    ("ALPN", "it belongs to TCP routers, which sundew does not have"),
    ("Headers", "it is v2's; write Header"),
    ("HeadersRegexp", "it is v2's; write HeaderRegexp"),
    ("HostHeader", "it is v2's; write Host"),
];

impl MatcherKind {
    fn find(name: &str, column: usize) -> Result<&'static Self, RuleError> {
        MATCHERS.iter().find(|it| it.is_named(name)).ok_or_else(|| {
            let elsewhere = ELSEWHERE.iter().find(|it| it.0.eq_ignore_ascii_case(name));
            if let Some((_, help)) = elsewhere {
                return RuleError::new(column, format!("no matcher `{name}` here"), *help);
            }
            let close = |it: &&MatcherKind| {
                strsim::damerau_levenshtein(&it.name.to_ascii_lowercase(), &name.to_lowercase()) < 3
            };
            let help = MATCHERS.iter().find(close).map_or_else(
                || {
                    let names: Vec<&str> = MATCHERS.iter().map(|it| it.name).collect();
                    format!("matchers are {}", names.join(", "))
                },
                |it| format!("did you mean `{}`?", it.name),
            );
            RuleError::new(column, format!("unknown matcher `{name}`"), help)
        })
    }

    /// As it is, lower, UPPER and Title case: Traefik's four.
    fn is_named(&self, name: &str) -> bool {
        let lower = self.name.to_ascii_lowercase();
        let title = || {
            let (first, rest) = name.split_at_checked(1).unwrap_or_default();
            Some(first) == self.name.get(..1) && Some(rest) == lower.get(1..)
        };
        name == self.name || name == lower || name == self.name.to_ascii_uppercase() || title()
    }
}

/// The matcher `name` of its arguments; why it cannot be, and what to write instead.
fn build(name: &str, text: &str, second: Option<String>) -> Result<Matcher, (String, String)> {
    match (name, second) {
        ("Host", _) => host(text),
        ("HostRegexp", _) if !text.is_ascii() => {
            let help = "hosts are compared in their `xn--` form".to_owned();
            Err((format!("the expression `{text}` is not ASCII"), help))
        }
        ("HostRegexp", _) => pattern(text).map(Matcher::HostRegexp),
        ("Path", _) => absolute(text, name).map(Matcher::Path),
        ("PathPrefix", _) => absolute(text, name).map(Matcher::PathPrefix),
        ("PathRegexp", _) => pattern(text).map(Matcher::PathRegexp),
        ("Method", _) => Ok(Matcher::Method(text.to_uppercase())),
        ("ClientIP", _) => network(text).map(Matcher::ClientIp),
        ("HeaderRegexp", second) => {
            let value = pattern(&second.unwrap_or_default())?;
            Ok(Matcher::HeaderRegexp { name: text.to_ascii_lowercase(), value })
        }
        ("QueryRegexp", Some(second)) => {
            Ok(Matcher::QueryRegexp { key: text.to_owned(), value: pattern(&second)? })
        }
        ("Query" | "QueryRegexp", second) => {
            Ok(Matcher::Query { key: text.to_owned(), value: second.unwrap_or_default() })
        }
        (_, second) => Ok(Matcher::Header {
            name: text.to_ascii_lowercase(),
            value: second.unwrap_or_default(),
        }),
    }
}

fn pattern(text: &str) -> Result<Pattern, (String, String)> {
    Pattern::new(text).map_err(|why| {
        (format!("the regular expression `{text}` cannot be used: {why}"), String::new())
    })
}

fn network(text: &str) -> Result<IpNet, (String, String)> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let Ok(network) = network else {
        let help = "write an address or a network such as 10.0.0.0/8".to_owned();
        return Err((format!("`{text}` is not an IP address or network"), help));
    };
    // As Go: `::ffff:10.0.0.0/104` is 10.0.0.0/8.
    let inner = match (network.addr(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V6(address), Some(bits)) => {
            address.to_ipv4_mapped().and_then(|it| Ipv4Net::new(it, bits).ok())
        }
        _ => None,
    };
    Ok(inner.map_or(network, IpNet::V4))
}

fn host(text: &str) -> Result<Matcher, (String, String)> {
    if !text.is_ascii() {
        let help = "write its `xn--` form".to_owned();
        return Err((format!("the host `{text}` is not ASCII"), help));
    }
    let lower = text.to_ascii_lowercase();
    let trimmed = lower.strip_suffix('.').filter(|it| !it.is_empty());
    Ok(Matcher::Host(trimmed.map_or(lower.clone(), str::to_owned)))
}

fn absolute(text: &str, matcher: &str) -> Result<String, (String, String)> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let message = format!("the path `{text}` of `{matcher}` does not start with `/`");
    Err((message, format!("write {matcher}(`/{text}`)")))
}
