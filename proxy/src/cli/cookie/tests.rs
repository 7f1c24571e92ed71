use std::fs;

use tempfile::TempDir;

use super::*;
use crate::cli::keygen::{KeygenArguments, keygen};

const A: &str = "http://10.0.1.10:8080";
const B: &str = "http://10.0.1.11:8080";
const NOW_S: u64 = 1_800_000_000;

/// A plain service, one that seals, and a weighted one that seals; keys in a folder of their own.
fn model() -> (Model, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["new.key", "old.key"].map(|name| {
        let file = folder.path().join(name);
        assert_eq!(keygen(&KeygenArguments::new(&file)), ExitCode::SUCCESS);
        file.display().to_string()
    });
    let sealed = format!(
        "value: sealed, keys: ['{}', '{}'], lifetime: 12h, idleTimeout: 30m, \
         acceptHashUntil: 2027-06-01",
        keys[0], keys[1]
    );
    let servers = format!("servers: [{{url: '{A}'}}, {{url: '{B}', id: b}}]");
    let text = format!(
        "http:\n  services:\n    \
         plain: {{loadBalancer: {{sticky: {{cookie: {{name: p}}}}, {servers}}}}}\n    \
         app: {{loadBalancer: {{sticky: {{cookie: {{name: s, {sealed}}}}}, {servers}}}}}\n    \
         none: {{loadBalancer: {{{servers}}}}}\n    \
         both: {{weighted: {{sticky: {{cookie: {{name: w, {sealed}}}}}, \
         services: [{{name: plain}}, {{name: app}}]}}}}\n"
    );
    let file = folder.path().join("dynamic.yml");
    fs::write(&file, text).unwrap();
    (load::model(&file, Options::default()).unwrap(), folder)
}

fn made(model: &Model, service: &str, server: &str) -> String {
    let made = make(model, service, server, NOW_S).unwrap();
    made["value"].as_str().unwrap().to_owned()
}

fn words(model: &Model, value: &str, now_s: u64) -> String {
    in_words(&explain(model, value.as_bytes(), now_s), now_s)
}

#[test]
fn what_was_made_is_explained() {
    let (model, _folder) = model();
    assert_eq!(made(&model, "plain", A), "7ada663d74f94374");
    for (service, server, cookie) in
        [("app", A, "s"), ("app@file", B, "s"), ("both", "plain", "w"), ("both", "app", "w")]
    {
        let value = made(&model, service, server);
        let service = service.trim_end_matches("@file");
        assert_eq!(
            words(&model, &value, NOW_S + 125),
            format!(
                "{service}@file: {server}; pinned, sealed with key 1 of 2; issued \
                 2027-01-15T08:00:00Z (2 min 5 s ago), used 2027-01-15T08:00:00Z \
                 (2 min 5 s ago); cookie {cookie}"
            )
        );
    }
}

#[test]
fn a_server_may_be_named_by_its_id() {
    let (model, _folder) = model();
    let by_id = words(&model, &made(&model, "app", "b"), NOW_S);
    assert!(by_id.starts_with(&format!("app@file: {B}; pinned")), "{by_id}");
    assert_eq!(made(&model, "plain", "b"), made(&model, "plain", B));
}

#[test]
fn a_hash_is_explained_for_every_service_that_knows_it() {
    let (model, _folder) = model();
    let hash = "7ada663d74f94374";
    let taken = [
        format!("app@file: {A}; rewritten, hash; cookie s"),
        format!("plain@file: {A}; pinned, hash; cookie p"),
    ];
    assert_eq!(words(&model, hash, NOW_S), taken.join("\n"));
    let after = words(&model, hash, 1_811_808_000);
    assert!(after.starts_with(&format!("app@file: {A}; unknown, hash;")), "{after}");
    let older = words(&model, A, NOW_S);
    assert!(older.contains(&format!("plain@file: {A}; rewritten, older hash")), "{older}");
}

#[test]
fn values_that_do_not_count_say_why() {
    let (model, _folder) = model();
    let value = made(&model, "app", A);
    for (now_s, want) in [
        (NOW_S + 1800, "expired, sealed with key 1 of 2"),
        (NOW_S - 61, "(in the future)"),
        (NOW_S + 90_000, "(1 d 1 h ago)"),
    ] {
        let found = explain(&model, value.as_bytes(), now_s);
        assert!(found.iter().all(|it| !it.is_taken), "{found:?}");
        let said = in_words(&found, now_s);
        assert!(said.contains(want) && said.contains(A), "{said}");
    }
    for value in ["", "x", "0123456789abcdef", value.get(1..).unwrap(), &value.replace('A', "B")] {
        let nobody = "no sticky service of this configuration knows the value";
        assert_eq!(words(&model, value, NOW_S), nobody, "{value}");
    }
}

#[test]
fn json_holds_the_same() {
    let (model, _folder) = model();
    let value = made(&model, "app", B);
    let found: Value = serde_json::from_str(&in_json(&explain(&model, value.as_bytes(), NOW_S)))
        .expect("an array");
    let want = json!([{
        "service": "app@file", "cookie": "s", "server": B, "format": "sealed", "status": "pinned",
        "taken": true,
        "sealed": {
            "key": 1, "keys": 2, "issued": "2027-01-15T08:00:00Z", "used": "2027-01-15T08:00:00Z"
        },
    }]);
    assert_eq!(found, want);
    assert_eq!(in_json(&explain(&model, b"x", NOW_S)), "[]");
}

#[test]
fn what_cannot_be_made_says_what_there_is() {
    let (model, _folder) = model();
    for (service, server, want) in [
        ("nope", A, "there is no service `nope`; there are: "),
        ("none", A, "`none@file` is not sticky"),
        ("app", "http://10.0.1.12", "`app@file` has no server `http://10.0.1.12`; it has: http"),
        ("both", A, "it has: plain, app"),
    ] {
        let problem = make(&model, service, server, NOW_S).unwrap_err();
        assert!(problem.contains(want), "{problem}");
    }
}
