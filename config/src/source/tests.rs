use proptest::prelude::*;

use super::*;

fn yaml(text: &str) -> Result<Source, Broken> {
    Source::parse(Path::new("f.yml"), text)
}

fn toml(text: &str) -> Result<Source, Broken> {
    Source::parse(Path::new("f.toml"), text)
}

/// Where an error at the key would stand, as `line:column`.
fn place(source: &Source, keys: &[&str]) -> String {
    let reports = Reports::new(false);
    let at = keys.iter().fold(At::root(source, &reports), |at, key| match key.parse() {
        Ok(index) => at.index(index),
        Err(_) => at.key(key),
    });
    let mark = at.mark(false);
    format!("{}:{}", mark.line, mark.column)
}

#[test]
fn places_are_those_of_scalars_and_of_keys_of_the_rest() {
    let text = "# comment\nhttp:\n  routers:\n    é: {rule: 'x', Priority: 5}\n    b:\n    \
                - p\n    -   q: r\nempty:\n";
    let source = yaml(text).unwrap();
    let table: &[(&[&str], &str)] = &[
        (&["http"], "2:1"),
        (&["http", "routers"], "3:3"),
        (&["http", "routers", "é", "rule"], "4:15"),
        (&["HTTP", "Routers", "é", "priority"], "4:30"),
        (&["http", "routers", "b", "0"], "6:7"),
        (&["http", "routers", "b", "1", "q"], "7:12"),
        (&["empty"], "8:1"),
        // What is not written stands where it would belong.
        (&["http", "routers", "é", "service"], "4:5"),
        (&["nothing"], "0:0"),
    ];
    for (keys, want) in table {
        assert_eq!(place(&source, keys), *want, "{keys:?}");
    }
}

#[test]
fn toml_has_the_same_values_and_places_of_its_own() {
    let text = "# comment\n[http.routers.\"é\"]\nrule = 'x'\n\n[[http.list]]\nurl = \"a\"\n\
                [[http.list]]\nurl = \"b\"\nweight = { a = 1, b = [1.5, true] }\n";
    let source = toml(text).unwrap();
    let same = yaml(
        "http: {routers: {é: {rule: x}}, list: [{url: a}, {url: b, weight: {a: 1, b: [1.5, true]}}]}",
    );
    assert_eq!(source.value, same.unwrap().value);
    let table: &[(&[&str], &str)] = &[
        (&["http", "routers", "é"], "2:15"),
        (&["http", "routers", "é", "rule"], "3:8"),
        (&["http", "list", "1", "url"], "8:7"),
        (&["http", "list", "1", "weight", "b", "1"], "9:29"),
    ];
    for (keys, want) in table {
        assert_eq!(place(&source, keys), *want, "{keys:?}");
    }
}

#[test]
fn merge_keys_and_aliases_are_followed() {
    let text = "base: &base {a: 1, b: 1}\nmore: &more {<<: *base, b: 2, c: 2}\n\
                one: {<<: *more, c: 3}\nmany:\n  <<: [*base, {b: 9, d: 9}]\n  a: 5\nsame: *more\n";
    let source = yaml(text).unwrap();
    let want = yaml(
        "base: {a: 1, b: 1}\nmore: {a: 1, b: 2, c: 2}\none: {a: 1, b: 2, c: 3}\n\
         many: {a: 5, b: 1, d: 9}\nsame: {a: 1, b: 2, c: 2}",
    );
    assert_eq!(source.value, want.unwrap().value);
    let keyed = yaml("&k key: 1\nb: *k").unwrap();
    assert_eq!(keyed.value, yaml("key: 1\nb: key").unwrap().value);
    // A merged key stands where it was written.
    assert_eq!(place(&source, &["one", "a"]), "1:17");
    assert_eq!(place(&source, &["many", "d"]), "5:25");
    assert_eq!(place(&source, &["same", "c"]), "2:34");
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(yaml("---\na: 1\n---\nb: [\n").unwrap().value, yaml("a: 1").unwrap().value);
    assert_eq!(yaml("a: 1\n...\nb: [").unwrap().value, yaml("a: 1").unwrap().value);
    for empty in ["", "# only a comment\n", "---\n", "\u{feff}", "---\n---\na: 1\n"] {
        assert!(yaml(empty).unwrap().value.is_null(), "{empty:?}");
    }
}

#[test]
fn what_cannot_be_read_says_where() {
    let deep = format!("a: {}{}", "[".repeat(60), "]".repeat(60));
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..5000 {
        chain += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    let table = [
        ("a: 1\nb: 2\na: 3\n", "3:1: the key `a` is already written at line 1"),
        ("x:\n  a: 1\n  \"a\": 3\n", "3:3: the key `a` is already written at line 2"),
        ("a: *b", "1:4: not valid YAML: while parsing node, found unknown anchor"),
        ("a: &a [*a]", "1:8: the alias stands inside its own anchor"),
        ("? [a]\n: b", "1:3: a key must be plain text"),
        ("&a b: 1\n*a : 2", "2:1: a key must be plain text"),
        ("a: {<<: 5}", "1:9: `<<` needs a mapping to merge"),
        ("a: {<<: [{b: 1}, 5]}", "1:9: `<<` needs a mapping to merge"),
        ("a: 'b", "1:4: not valid YAML"),
        (deep.as_str(), "1:51: nested deeper than 48 levels"),
        (chain.as_str(), "48:"),
    ];
    for (text, want) in table {
        let broken = yaml(text).unwrap_err();
        let got = format!("{}:{}: {}", broken.mark.line, broken.mark.column, broken.message);
        assert!(got.starts_with(want), "{got} for {want}");
    }
    let table = [
        ("a = 1\nb = 2\na = 3\n", "3:1: not valid TOML: duplicate key"),
        ("a = [1,\n", "1:8: not valid TOML"),
        ("a: 1", "1:4: not valid TOML"),
    ];
    for (text, want) in table {
        let broken = toml(text).unwrap_err();
        let got = format!("{}:{}: {}", broken.mark.line, broken.mark.column, broken.message);
        assert!(got.starts_with(want), "{got} for {want}");
    }
    let other = Source::parse(Path::new("f.json"), "{}").unwrap_err();
    assert_eq!(other.message, "unknown kind of file");
}

#[test]
fn bombs_are_refused_in_no_time() {
    let started = std::time::Instant::now();
    let laughs = |first: &str, of: &dyn Fn(usize) -> String| {
        let levels = (1..12).map(of).collect::<String>();
        yaml(&format!("a0: &a0 {first}\n{levels}")).unwrap_err().message
    };
    let ten = |level: usize| vec![format!("*a{}", level - 1); 10].join(", ");
    let lists = laughs("[x]", &|level| format!("a{level}: &a{level} [{}]\n", ten(level)));
    assert!(lists.starts_with("more than 64 MiB"), "{lists}");
    let merges = laughs("{x: y}", &|level| {
        format!("a{level}: &a{level} {{<<: [{}], k{level}: v}}\n", ten(level))
    });
    assert!(merges.starts_with("more than 64 MiB"), "{merges}");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(1000));
    assert!(yaml(&long).unwrap_err().message.starts_with("more than 64 MiB"));
    assert!(toml(&"[a]\n".repeat(2)).is_err());
    assert!(toml(&format!("a = {}", "[".repeat(100_000))).is_err());
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

/// Scalars that every YAML parser reads as text, in nested mappings and lists.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = "[a-z]{2,5} ?[a-z]{2,5}".prop_map(Value::String);
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Sequence),
            prop::collection::btree_map("[a-z]{2,5}", inner, 0..4).prop_map(|entries| {
                let entry = |(key, value)| (Value::String(key), value);
                Value::Mapping(entries.into_iter().map(entry).collect())
            }),
        ]
    })
}

/// Every scalar of `value` is found by its path, at a place of the text that holds it.
fn every_scalar_has_its_place(text: &str, at: &At<'_>, value: &Value) {
    match value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                every_scalar_has_its_place(text, &at.key(key.as_str().unwrap()), value);
            }
        }
        Value::Sequence(items) => {
            for (index, value) in items.iter().enumerate() {
                every_scalar_has_its_place(text, &at.index(index), value);
            }
        }
        _ => {
            let mark = at.mark(false);
            let line = text.lines().nth(mark.line as usize - 1).unwrap();
            let from: String = line.chars().skip(mark.column as usize - 1).collect();
            let wanted = value.as_str().unwrap();
            let stripped = from.trim_start_matches(['\'', '"']);
            assert!(stripped.starts_with(wanted), "{mark:?} {from:?} {wanted:?}");
        }
    }
}

proptest! {
    #[test]
    fn both_passes_see_the_same_tree(value in tree()) {
        let top: serde_yaml::Mapping = [("top".into(), value)].into_iter().collect();
        let value = Value::Mapping(top);
        let text = serde_yaml::to_string(&value).unwrap();
        let source = yaml(&text).unwrap();
        prop_assert_eq!(&source.value, &value);
        let reports = Reports::new(false);
        every_scalar_has_its_place(&text, &At::root(&source, &reports), &value);
    }

    #[test]
    fn no_text_panics(text in "([a-c&*<:?!'\"|>\\[\\]{},# \\-\n\t]|<<: ){0,60}") {
        let _ = yaml(&text);
        let _ = toml(&text);
    }
}
