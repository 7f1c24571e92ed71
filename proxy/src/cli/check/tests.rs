use std::path::Path;

use sundew_config::load::{Options, check};

use super::*;
use crate::cli::generated;

/// Broken files, each with what is said about it; `just generate` writes the latter anew, to be
/// read before it is committed.
const BROKEN: &[&str] = &[
    "alias.yml",
    "case.yml",
    "cookie.yml",
    "duplicate-key.yml",
    "durations.yml",
    "dynamic.toml",
    "entry-points.yml",
    "indent.yml",
    "missing-file.yml",
    "names.yml",
    "references.yml",
    "rules.yml",
    "servers.yml",
    "shapes.yml",
    "syntax.toml",
    "template.yml",
    "unsupported.yml",
    "unused.yml",
    "wide.yml",
];

fn said(name: &str, is_coloured: bool) -> String {
    let file = format!("src/cli/check/golden/{name}");
    let report = check(Path::new(&file), Options::default());
    format!("{}{}\n", snippet::text(&report.diagnostics, is_coloured), summary(&file, &report))
}

#[test]
fn what_is_said_of_each_broken_file_is_up_to_date() {
    for name in BROKEN {
        let want = said(name, false);
        generated::assert_stored(&format!("src/cli/check/golden/{name}.txt"), &want);
    }
}

#[test]
fn every_broken_file_is_in_the_table() {
    let files = std::fs::read_dir("src/cli/check/golden").unwrap().flatten();
    let names = files.map(|it| it.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|it| !it.ends_with(".txt")).collect();
    names.sort();
    assert_eq!(names, BROKEN);
}

#[test]
fn colours_are_only_there_when_they_are_wanted() {
    assert!(said("shapes.yml", true).contains("\u{1b}["));
    assert!(!said("shapes.yml", false).contains('\u{1b}'));
    assert!(!is_coloured(false));
}

#[test]
fn the_json_form_has_every_field_that_is_promised() {
    let file = Path::new("src/cli/check/golden/cookie.yml");
    let json = as_json("f", &check(file, Options::default()));
    assert_eq!((&json["file"], &json["accepted"]), (&json!("f"), &json!(false)));
    assert_eq!((&json["errors"], &json["warnings"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&json["notes"], &json["routers"], &json["services"]),
        (&json!(0), &json!(1), &json!(1))
    );
    let path = "http.services.app.loadBalancer.sticky.cookie";
    assert_eq!(
        json["problems"],
        json!([{
            "severity": "error",
            "file": "src/cli/check/golden/cookie.yml",
            "line": 9,
            "column": 11,
            "path": path,
            "message": "unknown key `htpOnly`",
            "help": "did you mean `httpOnly`?",
        }])
    );
    let missing = as_json("f", &check(Path::new("nowhere.yml"), Options::default()));
    let problem = &missing["problems"][0];
    assert_eq!((&problem["line"], &problem["path"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_caret_stands_under_the_whole_word() {
    for (line, column, want) in [
        ("  address: ':80'  # x", 3, "address"),
        ("  address: ':80'  # x", 12, "':80'"),
        ("  url: http://a:80", 8, "http://a:80"),
        ("  url: http://a:80 # x", 8, "http://a:80"),
        ("a: {b: c, d: e}", 8, "c"),
        ("a: {b: c, d: e}", 14, "e"),
        ("a: [x, y]", 4, "["),
        ("key:", 1, "key"),
        ("adress = \":80\"", 1, "adress"),
        ("adress = \":80\"", 10, "\":80\""),
        ("ä: 'ö' # ü", 4, "'ö'"),
        ("a: \"open", 4, "\"open"),
        ("short", 40, ""),
    ] {
        assert_eq!(line.get(span_of(line, column)), Some(want), "{line} at {column}");
    }
}

fn span_of(line: &str, column: u32) -> std::ops::Range<usize> {
    snippet::span(line, column, &[])
}
