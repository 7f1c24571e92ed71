use std::fs;
use std::path::Path;

use super::*;
use crate::load::{Loader, Options, StaticSource, effective as show, take_static_flags};
use crate::model::{Model, StaticModel};

fn shown(source: &StaticSource) -> Setting {
    show(source, Options::default()).unwrap()
}

fn loaded(source: StaticSource) -> (StaticModel, Model) {
    let initial = Loader::open_source(source, Options::default()).unwrap().1;
    (initial.statics, initial.model)
}

/// What is shown of a text, as YAML, with the directory left out.
fn yaml_of(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yml");
    fs::write(&file, text).unwrap();
    let prefix = format!("{}/", directory.path().display());
    yaml(&shown(&StaticSource::File(file))).replace(&prefix, "")
}

/// The defaults that are shown are those that count: written into a file they change nothing.
#[test]
fn what_is_shown_means_the_same_when_it_is_loaded() {
    let everything = "entryPoints: {web: {address: ':8000'}}\naccessLog: {}\nping: {}\n\
        metrics: {prometheus: {}}\napi: {insecure: true}\nhttp:\n  routers:\n    \
        r: {rule: 'PathPrefix(`/`)', service: f, entryPoints: web}\n  services:\n    \
        a: {loadBalancer: {servers: [{url: 'http://a'}], serversTransport: t, sticky: {cookie: {}}, healthCheck: {path: /}, \
        passiveHealthCheck: {}}}\n    \
        m: {mirroring: {service: a, mirrors: [{name: a}]}}\n    \
        f: {failover: {service: a, fallback: m, errors: {status: ['500']}}}\n  \
        serversTransports: {t: {forwardingTimeouts: {}}}\n";
    let directory = tempfile::tempdir().unwrap();
    let all = directory.path().join("all.yml");
    fs::write(&all, everything).unwrap();
    let example = |name: &str| Path::new("examples").join(name);
    let statics = ["traefik.yml", "one-file.yml", "one-file.toml"].map(example);
    for file in statics.into_iter().chain([all]) {
        let text = yaml(&shown(&StaticSource::File(file.clone())));
        let copy = directory.path().join("copy.yml");
        fs::write(&copy, &text).unwrap();
        let (want, have) = (loaded(StaticSource::File(file)), loaded(StaticSource::File(copy)));
        assert_eq!(have, want, "{text}");
    }
    for name in ["app.yml", "weighted.yml", "composite.yml"] {
        let text = yaml(&shown(&StaticSource::File(example(name))));
        let copy = directory.path().join("copy.yml");
        fs::write(&copy, &text).unwrap();
        let model = |file: &Path| crate::load::model(file, Options::default()).unwrap();
        assert_eq!(model(&copy), model(&example(name)), "{text}");
    }
}

#[test]
fn every_value_says_where_it_comes_from() {
    let text = "entryPoints:\n  web: {address: ':80', http: {sanitizePath: 'false'}}\nping: true\n\
        http:\n  services:\n    'a b': {loadBalancer: {servers: [{url: 'http://a', weight: '2'}]}}\n";
    let shown = yaml_of(text);
    for want in [
        "    address: \":80\"                                # f.yml:2:18\n",
        "      sanitizePath: false                         # f.yml:2:46\n",
        "ping:\n",
        "    \"a b\":\n      loadBalancer:\n",
        "          - drain: false                          # default\n",
        "            weight: 2                             # f.yml:6:64\n",
    ] {
        assert!(shown.contains(want), "{want}{shown}");
    }
}

#[test]
fn what_is_off_or_without_effect_is_not_shown() {
    let shown = yaml_of("entryPoints: {web: {address: ':80'}}\naccessLog: false\nglobal: {}\n");
    assert!(!shown.contains("accessLog") && !shown.contains("global"), "{shown}");
}

#[test]
fn the_first_file_that_defines_a_name_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let service = |port: u16| {
        format!(
            "http: {{services: {{a: {{loadBalancer: {{servers: [{{url: 'http://a:{port}'}}]}}}}}}}}"
        )
    };
    fs::write(path("1.yml"), service(1)).unwrap();
    fs::write(path("2.yml"), service(2)).unwrap();
    let line = format!("--providers.file.directory={}", directory.path().display());
    let flags = take_static_flags(vec![line.clone()]).1;
    let text = yaml(&shown(&StaticSource::Flags(flags)));
    assert!(text.contains("http://a:1") && !text.contains("http://a:2"), "{text}");
    assert!(text.contains("# --providers.file.directory\n"), "{text}");
}

#[test]
fn variables_are_named_as_they_are_set() {
    let variables = [("SUNDEW_ENTRYPOINTS_WEB_ADDRESS".to_owned(), ":80".to_owned())];
    let source = StaticSource::choose(None, Vec::new(), &variables).unwrap().unwrap().0;
    let json = json(&shown(&source));
    let settings = json["settings"].as_array().unwrap();
    let address = settings.iter().find(|it| it["path"] == "entryPoints.web.address").unwrap();
    let want = serde_json::json!({
        "path": "entryPoints.web.address",
        "keys": ["entryPoints", "web", "address"],
        "value": ":80",
        "from": {"kind": "environment", "name": "SUNDEW_ENTRYPOINTS_WEB_ADDRESS"},
    });
    assert_eq!(*address, want);
}
