use proptest::prelude::*;

use super::*;

#[test]
fn expressions_mean_what_go_means() {
    for (pattern, subject, want) in [
        ("b", "abc", true),
        ("^b", "abc", false),
        ("c$", "abc\n", false),
        ("^a.c$", "a\nc", false),
        ("(?s)^a.c$", "a\nc", true),
        ("(?i)ABC", "xabcx", true),
        ("(?i:A)b", "ab", true),
        ("(?P<x>a)(?<y>b)", "ab", true),
        ("(?U)a+$", "aa", true),
        // ASCII, unlike `regex` on its own.
        (r"^\w$", "é", false),
        (r"^\W$", "é", true),
        (r"^\d$", "٣", false),
        (r"^\s$", "\u{a0}", false),
        (r"^\s$", "\u{b}", false),
        (r"^[\w-]+$", "a-_9", true),
        (r"^[^\d]$", "٣", true),
        (r"é\b", "éa", true),
        (r"a\Bb", "ab", true),
        (r"^\pL\p{Greek}\p{^Greek}\PL$", "éαa1", true),
        // Braces that begin no repetition.
        ("^/{id}$", "/{id}", true),
        ("^a{,5}$", "a{,5}", true),
        ("^a{01}$", "a{01}", true),
        ("^a{2,3}?$", "aaa", true),
        ("^a{2,}$", "a", false),
        ("^a{2}$", "aa", true),
        // Classes.
        ("^[[a]$", "[", true),
        ("^[]a]$", "]", true),
        ("^[^]a]$", "]", false),
        ("^[a&&b]+$", "&ab", true),
        ("^[+--b]+$", "-,b", true),
        ("^[-a]+$", "-a", true),
        ("^[a-]+$", "-a", true),
        ("^[~~#]+$", "~#", true),
        ("^[[:alpha:][:^space:]]+$", "a1", true),
        (r"^[\x41-\103]+$", "ABC", true),
        (r"^[\x{1F600}]$", "😀", true),
        // Escapes.
        (r"^\Q.*\E.\.$", ".*x.", true),
        (r"^\Qa+", "a+", true),
        (r"^\101\x42\-\<\_$", "AB-<_", true),
        (r"^\a\f\t\n\r\v$", "\u{7}\u{c}\t\n\r\u{b}", true),
        (r"\Aa\z", "a", true),
        ("a||b", "", true),
        ("()", "", true),
        ("^*a", "a", true),
    ] {
        let compiled = Pattern::new(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
        assert_eq!(compiled.is_match(subject.as_bytes()), want, "{pattern} in {subject:?}");
    }
}

#[test]
fn a_byte_outside_utf_8_is_one_replacement_character_as_in_go() {
    for (pattern, subject, want) in [
        ("^.$", &b"\xff"[..], true),
        ("^..$", b"\xe2\x82", true),
        ("^\u{fffd}$", b"\xff", true),
        ("^é.$", b"\xc3\xa9\xff", true),
        (r"^\W$", b"\xff", true),
        ("^.$", b"\xc3\xa9", true),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap().is_match(subject), want, "{pattern}");
    }
}

#[test]
fn what_go_refuses_is_refused_with_the_reason() {
    for (pattern, want) in [
        ("*a", "`*` has nothing to repeat"),
        ("a|*", "`*` has nothing to repeat"),
        ("(?i)+", "`+` has nothing to repeat"),
        ("a**", "`*` repeats a repetition"),
        ("a{2}{3}", "`{3}` repeats a repetition"),
        ("a{1001}", "it repeats more than 1000 times"),
        ("a{3,2}", "a repetition's counts are swapped"),
        ("(?=a)", "Go has no group `(?=`"),
        ("(?<=a)", "Go has no such group: `(?<` needs a name and `>`"),
        ("(?x)a", "Go has no group `(?x`"),
        ("(?i", "a group is never closed"),
        ("(a", "unclosed group"),
        ("a)", "unopened group"),
        ("[a", "a class `[` is never closed"),
        ("[a--b]", "invalid character class range, the start must be <= the end"),
        ("[b-a]", "invalid character class range, the start must be <= the end"),
        ("[[:nope:]]", "there is no class `[:nope:]`"),
        (r"\p{Nope}", "Unicode property not found"),
        (r"\p{}", "`\\p` needs the name of a class, not ``"),
        (r"\1", "`\\1` refers back to a group, which RE2 cannot"),
        (r"\Z", "unknown escape `\\Z`"),
        (r"[\b]", "unknown escape `\\b`"),
        (r"\x{110000}", "`\\x` needs the code of a character"),
        ("\\", "it ends in a backslash"),
        ("((a{1000}){1000}){1000}", "its repetitions multiply to a program that is too large"),
        (r"\pL{1000}", "its repetitions multiply to a program that is too large"),
    ] {
        assert_eq!(Pattern::new(pattern), Err(want.to_owned()), "{pattern}");
    }
    let long = "a".repeat(PATTERN_BYTES_MAX + 1);
    assert!(Pattern::new(&long).unwrap_err().contains("longer"));
    assert!(Pattern::new(&long[1..]).is_ok());
}

proptest! {
    #[test]
    fn no_expression_panics(pattern in r"[\\\[\](){}*+?|^$.:<>PQEpxdwb,&~0-9a-e-]{0,24}", subject: Vec<u8>) {
        if let Ok(pattern) = Pattern::new(&pattern) {
            let _ = pattern.is_match(&subject);
        }
    }

    /// Quoted, every text matches itself and nothing else.
    #[test]
    fn a_literal_matches_itself(text in "[ -~é]{1,12}", other in "[ -~é]{1,12}") {
        let escaped: String = text
            .chars()
            .map(|it| if it.is_ascii_punctuation() { format!("\\{it}") } else { it.to_string() })
            .collect();
        let pattern = Pattern::new(&format!("^{escaped}$")).unwrap();
        prop_assert!(pattern.is_match(text.as_bytes()));
        prop_assert_eq!(pattern.is_match(other.as_bytes()), other == text);
    }
}
