use proptest::prelude::*;

use super::*;

fn host(text: &str) -> Rule {
    Rule::Is(Matcher::Host(text.to_owned()))
}

fn prefix(text: &str) -> Rule {
    Rule::Is(Matcher::PathPrefix(text.to_owned()))
}

fn path(text: &str) -> Rule {
    Rule::Is(Matcher::Path(text.to_owned()))
}

fn header(name: &str, value: &str) -> Rule {
    Rule::Is(Matcher::Header { name: name.to_owned(), value: value.to_owned() })
}

fn not(rule: Rule) -> Rule {
    Rule::Not(Box::new(rule))
}

#[test]
fn rules_mean_what_they_mean_under_traefik() {
    let method = |it: &str| Rule::Is(Matcher::Method(it.to_owned()));
    let table = [
        ("Host(`a.example`)", host("a.example")),
        ("Host(\"A.Example.\")", host("a.example")),
        (" \t Host ( `a` ) \n", host("a")),
        ("Host(`*`)", host("*")),
        ("Host(`*.x.y`)", host("*.x.y")),
        ("Path(`/a b`)", path("/a b")),
        ("Path(`/a{id}`)", path("/a{id}")),
        ("PathPrefix(\"/q\\\"\\\\\\x41\\u00e9\\n\")", prefix("/q\"\\Aé\n")),
        ("Method(`get`)", method("GET")),
        ("Header(`X-Api`, `One`)", header("x-api", "One")),
        ("Header(`X-Api`,\"\\t1\")", header("x-api", "\t1")),
        // As Go reads it.
        ("Host(`a`,)", host("a")),
        ("Host(`.`)", host(".")),
        ("Path(\"/\\101\\x42\")", path("/AB")),
        ("Host(`a`) // && Host(`b`)", host("a")),
        ("Host(`//`) /* x */ // y\n", host("//")),
        // Four casings.
        ("pathprefix(`/`)", prefix("/")),
        ("PATHPREFIX(`/`)", prefix("/")),
        ("Pathprefix(`/`)", prefix("/")),
        ("PathPrefix(`/`)", prefix("/")),
        // Precedence.
        (
            "Host(`a`) || Host(`b`) && Host(`c`)",
            Rule::Any(vec![host("a"), Rule::All(vec![host("b"), host("c")])]),
        ),
        (
            "(Host(`a`) || Host(`b`)) && Host(`c`)",
            Rule::All(vec![Rule::Any(vec![host("a"), host("b")]), host("c")]),
        ),
        (
            "!Host(`a`) && Host(`b`) && Host(`c`)",
            Rule::All(vec![not(host("a")), host("b"), host("c")]),
        ),
        ("!(Host(`a`) || !Host(`b`))", not(Rule::Any(vec![host("a"), not(host("b"))]))),
        ("((Host(`a`)))", host("a")),
        ("!!Host(`a`)", not(not(host("a")))),
    ];
    for (text, want) in table {
        assert_eq!(parse(text), Ok(want), "{text}");
    }
}

#[test]
fn a_bad_rule_says_what_and_where() {
    let table = [
        ("", "the rule is empty at column 1; write a rule such as Host(`example.com`)"),
        ("  ", "the rule is empty at column 1; write a rule such as Host(`example.com`)"),
        ("Hots(`a`)", "unknown matcher `Hots` at column 1; did you mean `Host`?"),
        (
            "Nonsense(`a`)",
            "unknown matcher `Nonsense` at column 1; \
             matchers are Host, Path, PathPrefix, Method, Header, HostRegexp, PathRegexp, \
             HeaderRegexp, Query, QueryRegexp, ClientIP",
        ),
        ("hOST(`a`)", "unknown matcher `hOST` at column 1; did you mean `Host`?"),
        (
            "Host(`a`, `b`)",
            "`Host` takes one argument, found 2 at column 1; join several matchers with `||`",
        ),
        (
            "Host()",
            "`Host` takes one argument, found 0 at column 1; join several matchers with `||`",
        ),
        (
            "Header(`a`)",
            "`Header` takes two arguments, found 1 at column 1; write Header(`name`, `value`)",
        ),
        ("Host(``)", "`Host` has an empty argument at column 6"),
        ("Header(`a`, \"\")", "`Header` has an empty argument at column 13"),
        ("Host(`ä`)", "the host `ä` is not ASCII at column 6; write its `xn--` form"),
        (
            "Path(`a`)",
            "the path `a` of `Path` does not start with `/` at column 6; write Path(`/a`)",
        ),
        ("Host(`a`", "expected `)` for the `(` of column 5 at column 9"),
        ("(Host(`a`)", "expected `)` for the `(` of column 1 at column 11"),
        ("Host(`a`))", "a `)` without its `(` at column 10"),
        (
            "Host(`a`) Path(`/`)",
            "something follows a complete rule at column 11; join matchers with `&&` or `||`",
        ),
        ("Host(`a`) &&", "the rule ends where a matcher is expected at column 13"),
        ("Host(`a`) & Host(`b`)", "a single `&` at column 11; write `&&`"),
        ("|| Host(`a`)", "a matcher is expected at column 1"),
        ("Host", "`Host` without arguments at column 5; write Host(`…`)"),
        ("Host(a)", "an argument of `Host` without quotes at column 6; put it in backquotes"),
        ("Host(`a`,,)", "`Host` needs a text in quotes here at column 10"),
        ("Host(`a`) /* b", "a comment that is never closed at column 11"),
        ("Path(\"/\\xe9\")", "an escape beyond ASCII at column 8; write the character itself"),
        ("Path(\"/\\18\")", "an escape with too few digits at column 8"),
        ("Host(`a)", "a backquote that is never closed at column 6"),
        ("Host(\"a)", "a double quote that is never closed at column 6"),
        ("Host('a')", "single quotes at column 6; put the text in backquotes or double quotes"),
        (
            "Path(\"/\\d\")",
            "unknown escape in a double-quoted text at column 8; write `\\\\` for a backslash, or use backquotes",
        ),
        ("Path(\"/\\ud800\")", "an escape that is not a character at column 8"),
        ("Host(`a`) ; x", "unexpected character `;` at column 11"),
        (
            "PathRegexp(`a**`)",
            "the regular expression `a**` cannot be used: `*` repeats a repetition at column 12",
        ),
        (
            "HeaderRegexp(`a`, `(`)",
            "the regular expression `(` cannot be used: unclosed group at column 19",
        ),
        (
            "HostRegexp(`ä`)",
            "the expression `ä` is not ASCII at column 12; hosts are compared in their `xn--` form",
        ),
        (
            "ClientIP(`10.0.0.0/33`)",
            "`10.0.0.0/33` is not an IP address or network at column 10; \
             write an address or a network such as 10.0.0.0/8",
        ),
        (
            "Query(`a`, `b`, `c`)",
            "`Query` takes one or two arguments, found 3 at column 1; write Query(`key`, `value`)",
        ),
    ];
    for (text, want) in table {
        let error = parse(text).unwrap_err();
        let help = if error.help.is_empty() { String::new() } else { format!("; {}", error.help) };
        assert_eq!(format!("{} at column {}{help}", error.message, error.column), want, "{text}");
    }
}

#[test]
fn matchers_of_every_kind_are_read_in_four_casings() {
    let pattern = |text: &str| Pattern::new(text).unwrap();
    let net = |text: &str| Matcher::ClientIp(text.parse().unwrap());
    let (key, value) = ("k".to_owned(), "v".to_owned());
    let table = [
        ("HostRegexp(`^a`)", Matcher::HostRegexp(pattern("^a"))),
        ("PATHREGEXP(`^/a`)", Matcher::PathRegexp(pattern("^/a"))),
        (
            "headerregexp(`X-A`, `b`)",
            Matcher::HeaderRegexp { name: "x-a".to_owned(), value: pattern("b") },
        ),
        ("Query(`k`)", Matcher::Query { key: key.clone(), value: String::new() }),
        ("query(`k`, `v`)", Matcher::Query { key: key.clone(), value }),
        ("Queryregexp(`k`)", Matcher::Query { key: key.clone(), value: String::new() }),
        ("QueryRegexp(`k`, `v`)", Matcher::QueryRegexp { key, value: pattern("v") }),
        ("ClientIP(`10.1.2.3/8`)", net("10.1.2.3/8")),
        ("clientip(`10.1.2.3`)", net("10.1.2.3/32")),
        ("CLIENTIP(`::1`)", net("::1/128")),
        ("Clientip(`::ffff:10.0.0.0/104`)", net("10.0.0.0/8")),
        ("ClientIP(`::ffff:10.0.0.1`)", net("10.0.0.1/32")),
    ];
    for (text, want) in table {
        assert_eq!(parse(text), Ok(Rule::Is(want)), "{text}");
    }
}

#[test]
fn a_matcher_that_belongs_elsewhere_is_named() {
    for (text, want) in [
        ("HostSNI(`*`)", "it belongs to TCP routers, which sundew does not have; write Host"),
        ("Headers(`a`, `b`)", "it is v2's; write Header"),
        ("hostheader(`a`)", "it is v2's; write Host"),
    ] {
        assert_eq!(parse(text).unwrap_err().help, want, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| format!("{}Host(`a`){}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&deep(60)).is_ok());
    assert!(parse(&deep(100_000)).unwrap_err().message.contains("nested deeper"));
    assert!(parse(&"!".repeat(100_000)).unwrap_err().message.contains("nested deeper"));
}

/// A rule as text with every parenthesis written, and what it must parse to.
fn rule_and_text() -> impl Strategy<Value = (Rule, String)> {
    let leaf = prop_oneof![
        "[a-z]{1,6}".prop_map(|it| (host(&it), format!("Host(`{it}`)"))),
        "/[a-z{} ]{0,6}".prop_map(|it| (prefix(&it), format!("PathPrefix(\"{it}\")"))),
        ("[a-z-]{1,4}", "[a-z =]{1,4}")
            .prop_map(|(n, v)| (header(&n, &v), format!("header(`{n}`, `{v}`)"))),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        let join = |parts: &[(Rule, String)], word: &str| {
            let texts: Vec<String> = parts.iter().map(|it| format!("({})", it.1)).collect();
            (parts.iter().map(|it| it.0.clone()).collect::<Vec<_>>(), texts.join(word))
        };
        prop_oneof![
            inner.prop_map(|(rule, text)| (not(rule), format!("!({text})"))),
            several.clone().prop_map(move |parts| {
                let (rules, text) = join(&parts, " && ");
                (Rule::All(rules), text)
            }),
            several.prop_map(move |parts| {
                let (rules, text) = join(&parts, "||");
                (Rule::Any(rules), text)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_written_rule_is_read_back((rule, text) in rule_and_text()) {
        prop_assert_eq!(parse(&text), Ok(rule));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mix_of_tokens_panics(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "Host", "Path", "(", ")", "!", "&&", "||", "`a`", "\"", "`", ",", " ", "\\x", "é",
            ]),
            0..30,
        ),
    ) {
        let text = parts.concat();
        if let Err(error) = parse(&text) {
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1);
        }
    }
}
