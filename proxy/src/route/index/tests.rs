use proptest::prelude::*;
use sundew_config::rule::{Matcher, Rule};

use super::*;
use crate::observe::access_log::FieldLines;

fn subject<'a>(method: &'a str, host: &'a str, path: &'a str) -> Subject<'a> {
    Subject {
        method: method.as_bytes(),
        host: host.as_bytes(),
        host_dotted: host.as_bytes(),
        path: path.as_bytes(),
        query: b"",
        fields: FieldLines::default(),
        client: std::net::IpAddr::from([10, 1, 2, 3]),
        is_trusted: false,
    }
}

fn compiled(rules: &[Rule]) -> Vec<Compiled> {
    rules.iter().map(Compiled::new).collect()
}

/// The first that matches, each asked in turn: what the index must say.
fn in_turn(rules: &[Compiled], subject: &Subject<'_>) -> Option<u32> {
    (0..).zip(rules).find(|(_, rule)| rule.matches(subject)).map(|(rank, _)| rank)
}

/// What the index says, and how many rules it asked.
fn found(index: &Index, rules: &[Compiled], subject: &Subject<'_>) -> (Option<u32>, usize) {
    let asked = std::cell::Cell::new(0);
    let first = index.find(subject, |rank| {
        asked.set(asked.get() + 1);
        rules[rank as usize].matches(subject)
    });
    (first, asked.get())
}

fn parse(rule: &str) -> Rule {
    sundew_config::rule::parse(rule).unwrap()
}

#[test]
fn of_ten_thousand_routers_one_is_asked() {
    for shape in [
        "Host(`h{}.test`)",
        "Host(`*.h{}.test`)",
        "Path(`/p{}`)",
        "PathPrefix(`/p{}/`)",
        "Host(`one.test`) && PathPrefix(`/p{}/`)",
        "PathPrefix(`/`) && Host(`h{}.test`)",
        "Method(`GET`) && (Host(`h{}.test`) || Path(`/p{}`))",
        "!(!Host(`h{}.test`) || Path(`/never`))",
    ] {
        let rules: Vec<_> =
            (0..10_000).map(|at| parse(&shape.replace("{}", &at.to_string()))).collect();
        let rules = compiled(&rules);
        let index = Index::new(rules.iter());
        let wild = if shape.contains('*') { "x." } else { "" };
        let host = if shape.contains("one.test") { "one.test" } else { "h7777.test" };
        let host = format!("{wild}{host}");
        let path = if shape.contains("Prefix(`/p") { "/p7777/x" } else { "/p7777" };
        let hit = found(&index, &rules, &subject("GET", &host, path));
        assert_eq!(hit, (Some(7777), 1), "{shape}");
        let miss = found(&index, &rules, &subject("GET", "other.test", "/other"));
        assert_eq!(miss, (None, 0), "{shape}");
    }
}

#[test]
fn a_hundred_hosts_with_a_hundred_paths_each_are_told_apart_by_both() {
    let rule = |at| format!("Host(`h{}.test`) && PathPrefix(`/p{}/`)", at / 100, at % 100);
    let rules = compiled(&(0..10_000).map(|at| parse(&rule(at))).collect::<Vec<_>>());
    let index = Index::new(rules.iter());
    let hit = found(&index, &rules, &subject("GET", "h42.test", "/p17/x"));
    assert_eq!(hit, (Some(4217), 1));
}

#[test]
fn alternatives_that_multiply_past_the_bound_still_match() {
    let either = |kind: &str, stem: &str| {
        let each = (0..100).map(|at| format!("{kind}(`{stem}{at}`)"));
        each.collect::<Vec<_>>().join(" || ")
    };
    let rule = format!("({}) && ({})", either("Host", "h"), either("Path", "/p"));
    let rules = compiled(&[parse(&rule)]);
    let index = Index::new(rules.iter());
    assert_eq!(found(&index, &rules, &subject("GET", "h99", "/p99")).0, Some(0));
    assert_eq!(found(&index, &rules, &subject("GET", "h99", "/p100")).0, None);
}

#[test]
fn hosts_longer_than_any_name_are_compared_all_the_same() {
    let long = "a".repeat(300);
    let rules = [format!("Host(`{long}`)"), format!("Host(`*.{long}`)"), "Host(`*.b`)".to_owned()];
    let rules = compiled(&rules.map(|rule| parse(&rule)));
    let index = Index::new(rules.iter());
    let ask = |host: &str| found(&index, &rules, &subject("GET", host, "/")).0;
    assert_eq!(ask(&long), Some(0));
    assert_eq!(ask(&format!("x.{long}")), Some(1));
    assert_eq!(ask(&format!("{long}.b")), Some(2));
    assert_eq!(ask(&format!("{long}b")), None);
}

fn rules() -> impl Strategy<Value = Rule> {
    let host = prop::sample::select(vec!["a", "b.a", "*.a", "*", "c.b.a", "*.b.a", "."]);
    let path = || "/[ab/]{0,3}";
    let leaf = prop_oneof![
        4 => host.prop_map(|it| Matcher::Host(it.to_owned())),
        2 => path().prop_map(Matcher::Path),
        3 => path().prop_map(Matcher::PathPrefix),
        1 => prop::sample::select(vec!["GET", "PUT"])
            .prop_map(|it| Matcher::Method(it.to_owned())),
    ];
    leaf.prop_map(Rule::Is).prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Rule::Not(Box::new(it))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Rule::All),
            prop::collection::vec(inner, 1..4).prop_map(Rule::Any),
        ]
    })
}

fn requests() -> impl Strategy<Value = (String, String, String)> {
    let host = prop::sample::select(vec![
        "", ".", "a", "A", "b.a", "B.A", "x.a", ".a", "c.b.a", "x.b.a", "X.y.b.A", "z",
    ]);
    let method = prop::sample::select(vec!["GET", "PUT", "get"]);
    (method, host, "(/[ab/]{0,5})|\\*")
        .prop_map(|(method, host, path)| (method.to_owned(), host.to_owned(), path))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn the_index_says_what_asking_each_in_turn_says(
        rules in prop::collection::vec(rules(), 0..24),
        requests in prop::collection::vec(requests(), 1..24),
    ) {
        let rules = compiled(&rules);
        let index = Index::new(rules.iter());
        for (method, host, path) in &requests {
            let subject = subject(method, host, path);
            prop_assert_eq!(
                found(&index, &rules, &subject).0,
                in_turn(&rules, &subject),
                "{} {} {}", method, host, path
            );
        }
    }
}
