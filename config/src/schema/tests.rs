use std::fs;
use std::path::Path;

use jsonschema::Validator;

use super::*;
use crate::generated;
use crate::source::Source;

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

/// The values of a text, as JSON.
fn values(name: &str, text: &str) -> Value {
    let source = Source::parse(Path::new(name), text).unwrap();
    serde_json::to_value(&source.value).unwrap()
}

#[test]
fn the_stored_schemas_are_up_to_date() {
    for (name, schema) in [("static", static_file()), ("dynamic", dynamic_file())] {
        generated::assert_stored(&format!("schema/{name}.json"), &format!("{schema:#}\n"));
    }
}

#[test]
fn every_example_fits_the_schema_that_it_names() {
    let (of_static, of_dynamic) = (validator(&static_file()), validator(&dynamic_file()));
    let mut seen = 0;
    for entry in fs::read_dir("examples").unwrap().flatten() {
        let (path, text) = (entry.path(), fs::read_to_string(entry.path()).unwrap());
        let name = path.to_str().unwrap();
        let first = text.lines().next().unwrap_or_default();
        let validator = match first.rsplit('/').next() {
            Some("static.json") => &of_static,
            Some("dynamic.json") => &of_dynamic,
            _ => panic!("{name}: its first line names no schema: {first}"),
        };
        let prefix = if name.ends_with(".toml") { "#:schema " } else { "# yaml-language-server: " };
        assert!(first.starts_with(prefix), "{name}: {first}");
        let values = values(name, &text);
        let wrong: Vec<String> = validator
            .iter_errors(&values)
            .map(|it| format!("{}: {it}", it.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

/// Each is read, so that the schema must not refuse it.
const READ: &[&str] = &[
    "",
    "x-mine: {a: [1]}",
    "entryPoints: {web: {address: 80}}",
    "entryPoints: {web: {address: ':80', asDefault: 'true', http: {maxHeaderBytes: '4096'}}}",
    "entryPoints: {web: {address: ':80', asDefault: 1, transport: }}",
    "entryPoints: {web: {address: ':80', forwardedHeaders: {trustedIPs: '10.0.0.1, 10.0.0.2'}}}",
    "http: {services: {a: {loadBalancer: {sticky: {cookie: true}, servers: [{url: 'http://a'}]}}}}",
    "http: {services: {a: {loadBalancer: {sticky: {cookie: }, servers: }}}}",
    "http: {services: {a: {loadBalancer: {servers: [{url: 'http://a', weight: '2'}]}}}}",
    "ping: true",
    "ping: 'false'",
    "accessLog: {filters: {minDuration: 10}, fields: {names: {A: drop}}}",
    "metrics: {prometheus: {buckets: [0.1, '2']}}",
    "global: {checkNewVersion: false}",
    "http: {services: {a: {weighted: {healthCheck: {}, services: [{name: b}]}}}}",
];

/// Each has the wrong shape, which the schema must see as well.
const REFUSED: &[&str] = &[
    "entrypoint: {}",
    "entryPoints: [web]",
    "entryPoints: {web: {adress: ':80'}}",
    "entryPoints: {web: {address: [':80']}}",
    "entryPoints: {web: {address: ':80', asDefault: yes}}",
    "entryPoints: {web: {address: ':80', http: {maxHeaderBytes: 1.5}}}",
    "http: {services: {a: {loadBalancer: {servers: [{url: 'http://a', weight: '02'}]}}}}",
    "http: {services: {a: {loadBalancer: {servers: {url: 'http://a'}}}}}",
    "http: {services: {a: {loadBalancer: {sticky: {cookie: {htpOnly: true}}}}}}",
    "http: {services: {a: {loadBalancer: {healthCheck: true}}}}",
    "http: {routers: {a: web}}",
    "tcp: {routers: {a: {rule: x}}}",
    "providers: {docker: {}}",
    "metrics: {prometheus: {buckets: [fast]}}",
];

#[test]
fn the_schema_agrees_with_the_reader_about_shapes() {
    let validator = validator(&static_file());
    for (texts, is_read) in [(READ, true), (REFUSED, false)] {
        for text in texts {
            let report = crate::provider::file::of_text(Path::new("f.yml"), text);
            let errors = report.iter().filter(|it| it.severity == crate::Severity::Error).count();
            assert_eq!(errors == 0, is_read, "read: {text}: {report:#?}");
            let values = values("f.yml", text);
            // A file without anything is a null, which no schema of a mapping takes.
            let is_valid = values.is_null() || validator.is_valid(&values);
            assert_eq!(is_valid, is_read, "{text}: {:?}", validator.validate(&values));
        }
    }
}
