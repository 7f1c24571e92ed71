use super::*;

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|it| format!("{it}\n")).collect()
}

#[test]
fn the_examples_load() {
    for (file, want) in [
        ("examples/traefik.yml", (2, 2)),
        ("examples/app.yml", (2, 2)),
        ("examples/weighted.yml", (1, 3)),
        ("examples/one-file.yml", (1, 1)),
        ("examples/one-file.toml", (1, 1)),
    ] {
        let report = check(Path::new(file), Options::default());
        println!("{}", lines(&report.diagnostics));
        assert_eq!((report.routers, report.services), want, "{file}");
        assert!(!has_error(&report.diagnostics), "{file}");
    }
}
