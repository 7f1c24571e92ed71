use std::fs;

use super::*;
use crate::load::{Loader, Options, check_source, take_static_flags};
use crate::model::StaticModel;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn pairs(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The static part of a command line that must be good.
fn of_line(line: &str) -> StaticModel {
    let (rest, flags) = take_static_flags(words(line));
    assert_eq!(rest, Vec::<String>::new(), "{line}");
    load(StaticSource::Flags(flags))
}

fn load(source: StaticSource) -> StaticModel {
    Loader::open_source(source, Options::default()).unwrap().1.statics
}

fn of_file(text: &str) -> StaticModel {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yml");
    fs::write(&file, text).unwrap();
    load(StaticSource::File(file))
}

fn of_variables(variables: &[(&str, &str)]) -> StaticModel {
    let (source, warnings) = choose(None, "", variables).unwrap().unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    load(source)
}

type Chosen = Result<Option<(StaticSource, Vec<String>)>, Vec<String>>;

/// Nothing of this machine: no home, no usual file.
fn choose(file: Option<&Path>, line: &str, variables: &[(&str, &str)]) -> Chosen {
    let (_, flags) = take_static_flags(words(line));
    let lines = |it: Diagnostics| it.iter().map(ToString::to_string).collect::<Vec<_>>();
    StaticSource::choose(file.map(Path::to_owned), flags, &pairs(variables))
        .map(|it| it.map(|(source, warnings)| (source, lines(warnings))))
        .map_err(lines)
}

/// What is said of a line.
fn said(line: &str) -> Vec<String> {
    let source = StaticSource::Flags(take_static_flags(words(line)).1);
    let report = check_source(&source, Options::default());
    report.diagnostics.iter().map(ToString::to_string).collect()
}

#[test]
fn flags_and_variables_mean_what_a_file_means() {
    for (file, line, variables) in [
        (
            "entryPoints: {web: {address: ':8080', asDefault: true}}",
            "--entryPoints.web.address=:8080 --entrypoints.web.asdefault",
            &[
                ("TRAEFIK_ENTRYPOINTS_WEB_ADDRESS", ":8080"),
                ("TRAEFIK_ENTRYPOINTS_WEB_ASDEFAULT", "true"),
            ][..],
        ),
        (
            "entryPoints: {web: {address: ':8080', forwardedHeaders: {trustedIPs: [1.1.1.1, 2.2.2.2]}}}",
            "--ENTRYPOINTS.web.ADDRESS=:8080 --entryPoints.web.forwardedHeaders.trustedIPs=1.1.1.1 \
             --entryPoints.web.forwardedHeaders.trustedIPs=2.2.2.2",
            &[
                ("SUNDEW_ENTRYPOINTS_WEB_ADDRESS", ":8080"),
                ("SUNDEW_ENTRYPOINTS_WEB_FORWARDEDHEADERS_TRUSTEDIPS", "1.1.1.1, 2.2.2.2"),
            ],
        ),
        (
            "accessLog: {format: json}\nping: {}\nlog: {level: DEBUG}\nsundew: {workers: 2}",
            "--accesslog=true --accesslog.format json --ping -log.level=DEBUG --sundew.workers 2",
            &[
                ("TRAEFIK_ACCESSLOG", "true"),
                ("TRAEFIK_ACCESSLOG_FORMAT", "json"),
                ("TRAEFIK_LOG_LEVEL", "DEBUG"),
                ("TRAEFIK_PING", "true"),
                ("TRAEFIK_SUNDEW_WORKERS", "2"),
            ],
        ),
        (
            "accessLog: false",
            "--accesslog.format=json --accesslog=false",
            &[("TRAEFIK_ACCESSLOG", "false")],
        ),
        (
            "metrics: {prometheus: {buckets: [0.1, 0.5]}}\napi: {insecure: true}",
            "--metrics.prometheus.buckets=0.1,0.5 --api.insecure",
            &[("SUNDEW_METRICS_PROMETHEUS_BUCKETS", "0.1,0.5"), ("SUNDEW_API_INSECURE", "1")],
        ),
    ] {
        let want = of_file(file);
        assert_eq!(of_line(line), want, "{line}");
        assert_eq!(of_variables(variables), want, "{variables:?}");
    }
}

#[test]
fn names_of_flags_keep_their_case_and_meet_in_any_case() {
    let statics = of_line("--entryPoints.webSecure.address=:1 --entryPoints.websecure.asDefault");
    let names: Vec<&str> = statics.entry_points.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["webSecure"]);
}

#[test]
fn of_a_flag_that_is_written_twice_the_last_counts() {
    let statics = of_line("--entryPoints.web.address=:1 --entryPoints.web.address=:2");
    assert_eq!(statics.entry_points[0].address.port, 2);
}

#[test]
fn flags_of_the_program_itself_stay() {
    let line = "run --lenient --config f.yml --workers 2 --ping -- --ping x.y";
    let (rest, flags) = take_static_flags(words(line));
    assert_eq!(rest, words("run --lenient --config f.yml --workers 2 -- --ping x.y"));
    assert_eq!(flags, [StaticFlag { path: "ping".into(), value: Some("true".into()) }]);
}

#[test]
fn mistakes_name_the_command_line_and_the_key() {
    for (line, want) in [
        (
            "--entryPoints.web.adress=:1",
            &["command line: entryPoints.web: unknown key `adress`; did you mean `address`?"][..],
        ),
        (
            "--entryPoint.web.address=:1",
            &["command line: unknown key `entryPoint`; did you mean `entryPoints`?"],
        ),
        ("--log.level", &["command line: log.level: needs a value; write it behind a `=`"]),
        (
            "--api.insecure=maybe",
            &["command line: api.insecure: expected true or false, found `maybe`"],
        ),
        (
            "--http.routers.app.rule=x",
            &["command line: http: not a static key; \
                 write it into a file that `providers.file` names"],
        ),
        (
            "--providers.docker=true",
            &["command line: providers.docker: not supported by sundew yet; \
             remove it, or start with --lenient"],
        ),
    ] {
        let mut lines = said(line);
        lines.retain(|it| !it.contains("http.routers"));
        assert_eq!(lines.first().map(String::as_str), want.first().copied(), "{line}: {lines:?}");
    }
}

#[test]
fn a_file_goes_before_flags_and_flags_before_variables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traefik.yml");
    fs::write(&file, "").unwrap();
    let variables = [("TRAEFIK_PING", "true")];
    let name = file.display();
    let (source, warnings) = choose(Some(&file), "--ping", &variables).unwrap().unwrap();
    assert!(matches!(source, StaticSource::File(_)));
    let help = format!("the file {name} counts; put everything into one of them");
    assert_eq!(
        warnings,
        [
            format!("command line: warning: static keys are not read; {help}"),
            format!("environment: warning: static keys are not read; {help}"),
        ]
    );
    let (source, warnings) = choose(None, "--ping", &variables).unwrap().unwrap();
    assert!(matches!(source, StaticSource::Flags(_)));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let home = directory.path().to_str().unwrap();
    let (source, _) = choose(None, "--ping", &[("XDG_CONFIG_HOME", home)]).unwrap().unwrap();
    assert_eq!(source.as_file(), Some(file.as_path()));
    assert!(choose(None, "", &[("TRAEFIK_HOME", "x"), ("SUNDEW_X", "y")]).unwrap().is_none());
}

#[test]
fn both_prefixes_at_once_are_refused() {
    let both = [("TRAEFIK_PING", "true"), ("SUNDEW_LOG_LEVEL", "INFO")];
    assert_eq!(
        choose(None, "", &both).unwrap_err(),
        ["environment: `SUNDEW_LOG_LEVEL` and `TRAEFIK_PING` are both set; \
             use one prefix for all of them"]
    );
}

#[test]
fn a_reload_reads_the_files_that_flags_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.yml");
    let text = "http: {services: {a: {loadBalancer: {servers: [{url: 'http://a'}]}}}}";
    fs::write(&file, text).unwrap();
    let line = format!("--providers.file.filename={}", file.display());
    let source = StaticSource::Flags(take_static_flags(words(&line)).1);
    let (mut loader, initial) = Loader::open_source(source, Options::default()).unwrap();
    assert_eq!(initial.model.services.len(), 1);
    assert_eq!(loader.watched_directories(), [directory.path()]);
    fs::write(&file, "# nothing").unwrap();
    let reload = loader.reload().unwrap();
    assert_eq!((reload.model.services.len(), reload.restart_needed), (0, Vec::new()));
}
