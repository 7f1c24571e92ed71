use proptest::prelude::*;

use super::*;

fn scan<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let found = cookie_value(lines.iter().map(|line| line.as_bytes()), b"sid")?;
    Some(std::str::from_utf8(found).unwrap())
}

#[test]
fn every_clause_of_the_cookie_syntax_is_go_s() {
    for (what, lines, want) in [
        ("no lines", &[][..], None),
        ("empty line", &[""], None),
        ("alone", &["sid=v"], Some("v")),
        ("name case", &["SID=v"], None),
        ("value case is kept", &["sid=vV"], Some("vV")),
        ("among others", &["a=1; sid=v; b=2"], Some("v")),
        ("no blank after ;", &["a=1;sid=v;b=2"], Some("v")),
        ("blanks and tabs around", &["a=1; \t sid=v \t ;b=2"], Some("v")),
        ("trailing ;", &["sid=v;"], Some("v")),
        ("empty pairs", &[";; ;sid=v"], Some("v")),
        ("second line", &["a=1", "sid=v"], Some("v")),
        ("first wins", &["sid=1; sid=2"], Some("1")),
        ("first wins over lines", &["sid=1", "sid=2"], Some("1")),
        ("= in value", &["sid=a=b"], Some("a=b")),
        ("quoted", &["sid=\"v\""], Some("v")),
        ("quoted empty", &["sid=\"\""], Some("")),
        ("quoted with blanks", &["sid=\" v \""], Some(" v ")),
        ("lone quote is skipped", &["sid=\"; sid=2"], Some("2")),
        ("doubled quotes are skipped", &["sid=\"\"v\"\"; sid=2"], Some("2")),
        ("half quoted is skipped", &["sid=\"v; sid=2"], Some("2")),
        ("inner quote is skipped", &["sid=a\"b; sid=2"], Some("2")),
        ("backslash is skipped", &["sid=a\\b; sid=2"], Some("2")),
        ("non-ASCII is skipped", &["sid=ä; sid=2"], Some("2")),
        ("DEL is skipped", &["sid=\x7f; sid=2"], Some("2")),
        ("inner tab is skipped", &["sid=a\tb; sid=2"], Some("2")),
        ("inner blank is kept", &["sid=a b"], Some("a b")),
        ("comma does not separate", &["a=1, sid=v"], None),
        ("comma belongs to the value", &["sid=v, b=1"], Some("v, b=1")),
        ("bare name is empty", &["sid; sid=2"], Some("")),
        ("empty value", &["sid=; sid=2"], Some("")),
        ("blank before =", &["sid =v"], Some("v")),
        ("blank after = belongs to the value", &["sid= v; sid=v"], Some(" v")),
        ("blanks around =", &["sid \t= v"], Some(" v")),
        ("blank and more", &["sid x=v"], None),
        ("longer name", &["sidx=v"], None),
        ("shorter name", &["si=v"], None),
        ("name inside a value", &["a=sid=v"], None),
        ("name after a non-token", &["(sid=v"], None),
        ("quotes do not hide ;", &["a=\"x; sid=v\""], None),
        ("quotes around ; split", &["a=\"; sid=v; \""], Some("v")),
    ] {
        assert_eq!(scan(lines), want, "{what}");
    }
}

#[test]
fn more_than_3000_cookies_are_all_ignored() {
    let others = |count: usize| "a=1;".repeat(count);
    assert_eq!(scan(&[&format!("{}sid=v", others(2999))]), Some("v"));
    assert_eq!(scan(&[&format!("{}sid=v", others(3000))]), None);
    assert_eq!(scan(&[&format!("sid=v;{}a=1", others(2998))]), Some("v"));
    assert_eq!(scan(&[&format!("sid=v;{}a=1", others(2999))]), None);
    // A trailing semicolon counts, and so does each line.
    assert_eq!(scan(&[&format!("sid=v;{}", others(2999))]), None);
    assert_eq!(scan(&["sid=v", &format!("{}a=1", others(2998))]), Some("v"));
    assert_eq!(scan(&["sid=v", &format!("{}a=1", others(2999))]), None);
    assert_eq!(scan(&[&";".repeat(3000), "sid=v"]), None);
}

#[test]
fn a_line_of_any_length_is_read_once() {
    // Each pair starts like the name and none is it: the work per byte stays constant, so 64
    // times the bytes take about 64 times as long, not 4096 times.
    let time = |pairs: usize| {
        let line = "si=sid=sid=sid=;".repeat(pairs);
        (0..5)
            .map(|_| {
                let start = std::time::Instant::now();
                assert_eq!(scan(&[std::hint::black_box(&line)]), None);
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    let few = time(1000).max(std::time::Duration::from_micros(1));
    assert!(time(64_000) < few * 64 * 16);
}

proptest! {
    #[test]
    fn well_formed_lines_read_as_the_cookie_crate_reads_them(
        pairs in prop::collection::vec(
            ("(sid|a|sidx|[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8})", "[!#-+--:<-\\[\\]-~]{0,24}"),
            1..20,
        ),
    ) {
        let line = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let line = line.join("; ");
        let want = cookie::Cookie::split_parse(line.as_str())
            .map(|it| it.unwrap())
            .find(|it| it.name() == "sid")
            .map(|it| it.value().to_owned());
        prop_assert_eq!(scan(&[&line]), want.as_deref());
    }

    #[test]
    fn no_bytes_can_break_the_scan(
        lines in prop::collection::vec(prop::collection::vec(prop_oneof![
            Just(b';'), Just(b'='), Just(b'"'), Just(b' '), Just(b's'), Just(b'i'), Just(b'd'),
            any::<u8>(),
        ], 0..40), 0..4),
    ) {
        let found = cookie_value(lines.iter().map(Vec::as_slice), b"sid");
        if let Some(value) = found {
            prop_assert!(value.iter().all(|&byte| is_value_byte(byte)));
            let is_named = lines.iter().any(|line| line.windows(3).any(|it| it == b"sid"));
            prop_assert!(is_named);
        }
    }
}
