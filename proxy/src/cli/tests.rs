use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Arguments, ErrorKind> {
    let words = std::iter::once("sundew").chain(line.split_whitespace());
    Arguments::try_parse_from(words).map_err(|error| error.kind())
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_documented_way_to_call_it_is_accepted() {
    for line in [
        "run --config traefik.yml",
        "run --configFile traefik.yml",
        "run --configfile=traefik.yml",
        "run --config traefik.yml --lenient --workers 4",
        "run --listen :80 --server http://a",
        "run --listen :80 --listen :81 --server http://a --server http://b --cookie srv_id",
        "run --listen :80 --server http://a --no-sticky",
        "check traefik.yml",
        "check traefik.yml --lenient",
        "check traefik.yml --json --fail-on warning",
        "check --short",
        "config show traefik.yml --json --lenient",
        "config show --yaml",
        "config schema dynamic",
        "run",
        "demo",
        "demo --listen 127.0.0.1:0 --chaos --workers 1",
        "keygen /etc/sundew/a.key",
        "keygen --force a.key",
        "cookie explain 7ada663d74f94374 --config traefik.yml",
        "cookie explain --config traefik.yml --json -ada663d74f94374",
        "explain http://a:8080/b?c --config traefik.yml --json --lenient --socket s",
        "explain http://a/ --cookie sid=1 --header X-A:1 --header X-B:2 --method PUT --from ::1 --config t",
        "cookie make app http://a --config traefik.yml --json --lenient",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn contradictions_are_bad_usage() {
    for (line, want) in [
        ("run --listen :80", ErrorKind::MissingRequiredArgument),
        ("run --server http://a", ErrorKind::MissingRequiredArgument),
        ("run --config f --server http://a", ErrorKind::ArgumentConflict),
        ("run --config f --cookie c", ErrorKind::ArgumentConflict),
        ("run --config f --no-sticky", ErrorKind::ArgumentConflict),
        ("run --listen :80 --server http://a --cookie c --no-sticky", ErrorKind::ArgumentConflict),
        ("run --config f --workers 0", ErrorKind::ValueValidation),
        ("run --config f --workers many", ErrorKind::ValueValidation),
        ("keygen", ErrorKind::MissingRequiredArgument),
        ("cookie explain abc", ErrorKind::MissingRequiredArgument),
        ("cookie make app --config f", ErrorKind::MissingRequiredArgument),
        ("serve", ErrorKind::InvalidSubcommand),
    ] {
        assert_eq!(parse(line).err(), Some(want), "{line}");
    }
}

#[test]
fn bad_usage_exits_2_and_help_and_version_exit_0() {
    let code = |line: &str| {
        let words = std::iter::once("sundew").chain(line.split_whitespace());
        Arguments::try_parse_from(words).unwrap_err().exit_code()
    };
    assert_eq!((code("run --listen :80"), code("--help"), code("--version")), (2, 0, 0));
}

#[test]
fn static_keys_are_taken_out_of_the_verbs_that_read_a_configuration() {
    let split = |line: &str| {
        let words = std::iter::once("sundew").chain(line.split_whitespace());
        let (rest, flags) = static_flags(words.map(OsString::from).collect());
        (rest.len() - 1, flags.len())
    };
    assert_eq!(split("run --ping --log.level=DEBUG --workers 2"), (3, 2));
    assert_eq!(split("check --ping --json"), (2, 1));
    assert_eq!(split("demo --ping"), (2, 0));
}

/// The manual's pages: one for the program, one for each verb, one for each verb of a verb.
fn pages(command: &clap::Command, name: &str, out: &mut Vec<(String, String)>) {
    let mut page = Vec::new();
    let titled = command.clone().display_name(name.to_owned());
    clap_mangen::Man::new(titled).render(&mut page).unwrap();
    out.push((format!("{name}.1"), with_examples(&String::from_utf8(page).unwrap())));
    for verb in command.get_subcommands().filter(|it| it.get_name() != "help") {
        pages(verb, &format!("{name}-{}", verb.get_name()), out);
    }
}

/// Lines of examples stay lines.
fn with_examples(page: &str) -> String {
    let Some((before, extra)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (examples, after) = match extra.split_once(".SH ") {
        Some((examples, after)) => (examples, format!(".SH {after}")),
        None => (extra, String::new()),
    };
    format!("{before}.SH EXAMPLES\n.nf\n{examples}.fi\n{after}")
}

#[test]
fn the_manual_and_the_completions_are_up_to_date() {
    let mut command = Arguments::command();
    command.build();
    let mut files = Vec::new();
    pages(&command, "sundew", &mut files);
    for (name, text) in &files {
        generated::assert_stored(&format!("../packaging/man/{name}"), text);
    }
    let stored = std::fs::read_dir("../packaging/man").unwrap().count();
    assert_eq!(stored, files.len(), "a page of a verb that is gone: remove it");
    use clap_complete::{Shell, generate};
    for (shell, name) in
        [(Shell::Bash, "sundew.bash"), (Shell::Zsh, "_sundew"), (Shell::Fish, "sundew.fish")]
    {
        let mut text = Vec::new();
        generate(shell, &mut Arguments::command(), "sundew", &mut text);
        let text = String::from_utf8(text).unwrap();
        generated::assert_stored(&format!("../packaging/completions/{name}"), &text);
    }
}
