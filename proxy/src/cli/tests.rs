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
        ("run", ErrorKind::MissingRequiredArgument),
        ("run --listen :80", ErrorKind::MissingRequiredArgument),
        ("run --server http://a", ErrorKind::MissingRequiredArgument),
        ("run --config f --server http://a", ErrorKind::ArgumentConflict),
        ("run --config f --cookie c", ErrorKind::ArgumentConflict),
        ("run --config f --no-sticky", ErrorKind::ArgumentConflict),
        ("run --listen :80 --server http://a --cookie c --no-sticky", ErrorKind::ArgumentConflict),
        ("run --config f --workers 0", ErrorKind::ValueValidation),
        ("run --config f --workers many", ErrorKind::ValueValidation),
        ("check", ErrorKind::MissingRequiredArgument),
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
    assert_eq!((code("run"), code("--help"), code("--version")), (2, 0, 0));
}
