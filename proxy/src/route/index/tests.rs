use proptest::prelude::*;
use sundew_config::rule::{Matcher, Rule};

use super::super::rule::Subject;
use super::*;
use crate::observe::access_log::FieldLines;

fn subject<'a>(host: &'a str, path: &'a str, method: &'a str) -> Subject<'a> {
    Subject {
        method: method.as_bytes(),
        host: host.as_bytes(),
        path: path.as_bytes(),
        fields: FieldLines::default(),
    }
}

fn all_in_order(rules: &[Compiled], subject: &Subject<'_>) -> Option<Rank> {
    rules.iter().position(|rule| rule.matches(subject)).map(|at| u32::try_from(at).expect("few"))
}

/// The winner, and how many rules were asked for it.
fn by_index(index: &Index, rules: &[Compiled], subject: &Subject<'_>) -> (Option<Rank>, usize) {
    let mut asked = 0;
    let found = index.first(subject.host, subject.path, |rank| {
        asked += 1;
        rules[rank as usize].matches(subject)
    });
    (found, asked)
}

fn arb_host() -> impl Strategy<Value = String> {
    "[ab]{1,2}(\\.[ab]){0,2}"
}

fn arb_path() -> impl Strategy<Value = String> {
    "/[ab/]{0,4}"
}

fn arb_matcher() -> impl Strategy<Value = Rule> {
    prop_oneof![
        4 => arb_host().prop_map(Matcher::Host),
        2 => arb_host().prop_map(|host| Matcher::Host(format!("*.{host}"))),
        1 => Just(Matcher::Host("*".to_owned())),
        2 => arb_path().prop_map(Matcher::Path),
        4 => arb_path().prop_map(Matcher::PathPrefix),
        1 => prop_oneof!["GET", "PUT"].prop_map(Matcher::Method),
    ]
    .prop_map(Rule::Is)
}

fn arb_rule() -> impl Strategy<Value = Rule> {
    arb_matcher().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Rule::All),
            2 => prop::collection::vec(inner.clone(), 1..4).prop_map(Rule::Any),
            1 => inner.prop_map(|rule| Rule::Not(Box::new(rule))),
        ]
    })
}

proptest! {
    #[test]
    fn the_winner_is_that_of_asking_everybody_in_order(
        rules in prop::collection::vec(arb_rule(), 0..40),
        requests in prop::collection::vec((arb_host(), arb_path(), "GET|PUT"), 1..30),
    ) {
        let rules: Vec<Compiled> = rules.iter().map(Compiled::new).collect();
        let index = Index::new(rules.iter());
        for (host, path, method) in &requests {
            for host in [host.clone(), host.to_ascii_uppercase()] {
                let subject = subject(&host, path, method);
                prop_assert_eq!(
                    by_index(&index, &rules, &subject).0,
                    all_in_order(&rules, &subject),
                    "{:?} of {:?}", subject.host, rules
                );
            }
        }
    }
}

fn host(host: String) -> Rule {
    Rule::Is(Matcher::Host(host))
}

fn prefix(prefix: String) -> Rule {
    Rule::Is(Matcher::PathPrefix(prefix))
}

fn asked(rule: impl Fn(u32) -> Rule, host: &str, path: &str) -> usize {
    let rules: Vec<Compiled> = (0..10_000).map(|at| Compiled::new(&rule(at))).collect();
    let index = Index::new(rules.iter());
    let subject = subject(host, path, "GET");
    let (found, asked) = by_index(&index, &rules, &subject);
    assert_eq!(found, all_in_order(&rules, &subject));
    asked
}

#[test]
fn of_ten_thousand_routers_few_are_asked() {
    let by_host = |at| host(format!("h{at}.test"));
    let below = |at| host(format!("*.h{at}.test"));
    let by_path = |at| Rule::Is(Matcher::Path(format!("/{at}")));
    let by_prefix = |at| Rule::All(vec![host("h.test".into()), prefix(format!("/{at}/"))]);
    let grid = |at: u32| {
        let host = host(format!("h{}.test", at / 100));
        Rule::All(vec![host, prefix(format!("/{}/", at % 100))])
    };
    let either = |at| Rule::Any(vec![by_host(at), below(at)]);
    for (what, asked) in [
        ("hosts", asked(by_host, "h7000.test", "/")),
        ("hosts, none", asked(by_host, "g.test", "/")),
        ("wildcards", asked(below, "a.h7000.test", "/")),
        ("paths", asked(by_path, "h.test", "/7000")),
        ("prefixes of one host", asked(by_prefix, "h.test", "/7000/x")),
        ("prefixes of one host, none", asked(by_prefix, "h.test", "/x")),
        ("hosts by prefixes", asked(grid, "h70.test", "/50/x")),
        ("alternatives", asked(either, "a.h7000.test", "/")),
    ] {
        assert!(asked <= 1, "{what}: {asked} rules asked");
    }
}

#[test]
fn prefixes_of_prefixes_are_all_found_the_longest_first() {
    let mut prefixes = Prefixes::default();
    for (text, rank) in ["/a", "/a/b", "/b", "/a/b/c", "/a/c", "/ab"].into_iter().zip(0..) {
        prefixes.of(text.as_bytes().into()).push(rank);
    }
    prefixes.link();
    for (path, want) in [
        ("/a/b/c/d", &[3, 1, 0][..]),
        ("/a/b/x", &[1, 0]),
        ("/a/bz", &[1, 0]),
        ("/abc", &[5, 0]),
        ("/a/c", &[4, 0]),
        ("/b", &[2]),
        ("/", &[]),
        ("/c", &[]),
    ] {
        let mut seen = Vec::new();
        prefixes.each(path.as_bytes(), |ranks| seen.extend_from_slice(ranks));
        assert_eq!(seen, want, "{path}");
    }
}
