//! The rule of the instruction guard, tested here because a bench without a harness has no tests.

#[path = "../benches/instructions/rule.rs"]
mod rule;

use rule::{Counts, compare, parse, render, total};

fn counts(of: &[(&str, f64)]) -> Counts {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn five_percent_more_fail_and_less_does_not() {
    let baseline = counts(&[("parse", 1000.0), ("sticky", 200.0)]);
    for (parse, sticky, is_good) in [
        (1000.0, 200.0, true),
        (1049.0, 209.0, true),
        (1051.0, 200.0, false),
        (1000.0, 211.0, false),
        (500.0, 100.0, true),
    ] {
        let (text, got) = compare(&baseline, &counts(&[("parse", parse), ("sticky", sticky)]));
        assert_eq!(got, is_good, "{text}");
        assert_eq!(text.contains("TOO MANY"), !is_good, "{text}");
    }
    let (text, _) = compare(&baseline, &counts(&[("parse", 500.0)]));
    assert!(text.contains("fewer: update the baseline"), "{text}");
}

#[test]
fn a_subject_without_a_baseline_fails() {
    let (text, is_good) = compare(&counts(&[("parse", 1.0)]), &counts(&[("new", 1.0)]));
    assert!(!is_good && text.contains("not in the baseline"), "{text}");
}

#[test]
fn a_baseline_is_read_back_as_it_was_written() {
    let written = counts(&[("parse", 1234.5), ("sticky", 6.0)]);
    let text = render(&written, "rustc 1.90.0");
    assert!(text.contains("rustc 1.90.0"), "{text}");
    assert_eq!(parse(&text), Ok(written));
    assert!(parse("parse many").is_err() && parse("parse").is_err());
}

#[test]
fn the_total_stands_in_callgrind_s_last_words() {
    let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
    assert_eq!(total(said), Some(123_456));
    assert_eq!(total("==7== Terminated"), None);
}
