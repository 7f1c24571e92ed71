use std::fs;

use clap::Parser;

use super::*;
use crate::sticky::current_value;

const A: &str = "http://10.0.0.1:80";
const B: &str = "http://10.0.0.2:80";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: ExplainArguments,
}

/// Two entry points; a sticky service, a strict one and an empty one.
fn asked(words: &[&str]) -> Result<(Value, bool), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traefik.yml");
    let servers = format!("servers: [{{url: '{A}'}}, {{url: '{B}', drain: true}}]");
    let text = format!(
        "entryPoints: {{web: {{address: ':80'}}, ops: {{address: ':9000'}}}}\n\
         ping: {{entryPoint: ops}}\nhttp:\n  routers:\n    \
         app: {{rule: 'Host(`app.test`) && PathPrefix(`/cart`)', service: app, entryPoints: web}}\n    \
         post: {{rule: 'Host(`app.test`) && Method(`POST`)', service: strict, entryPoints: web}}\n    \
         empty: {{rule: 'Host(`empty.test`)', service: empty, entryPoints: web}}\n  services:\n    \
         app: {{loadBalancer: {{sticky: {{header: X-Id, cookie: {{name: sid}}}}, {servers}}}}}\n    \
         strict: {{loadBalancer: {{sticky: {{strict: true, strictStatus: 409, cookie: {{name: sid}}}}, \
         {servers}}}}}\n    \
         empty: {{loadBalancer: {{servers: []}}}}\n"
    );
    fs::write(&file, text).unwrap();
    let (_, initial) = Loader::open(&file, Options { lenient: false }).unwrap();
    let line = Line::try_parse_from([&["explain"], words].concat()).unwrap();
    answer(initial, &line.arguments, 1_800_000_000)
}

#[test]
fn a_request_is_explained_from_its_entry_point_to_its_server() {
    let (answer, is_served) = asked(&["http://app.test/cart?x=1"]).unwrap();
    assert!(is_served);
    let pin = String::from_utf8(current_value(A).to_vec()).unwrap();
    let want = json!({
        "entryPoint": "web",
        "router": "app@file",
        "rule": "Host(`app.test`) && PathPrefix(`/cart`)",
        "priority": 39,
        "service": "app@file",
        "balancer": "app@file",
        "server": A,
        "stickyStatus": "new",
        "why": "it has no pin, so the strategy decides, and it gets one",
        "setCookie": [format!("sid={pin}; Path=/")],
    });
    assert_eq!(answer, want);
    let text = in_words(&answer);
    assert!(text.starts_with("entry point:  web\nrouter:       app@file\n"), "{text}");
    assert!(text.ends_with(&format!("sets cookie:  sid={pin}; Path=/")), "{text}");
}

#[test]
fn cookies_fields_methods_and_ports_count() {
    let of_b = format!("sid={}", String::from_utf8(current_value(B).to_vec()).unwrap());
    let gone = "sid=0123456789abcdef";
    for (words, server, status, outcome) in [
        (&["http://app.test/cart", "--cookie", &of_b][..], json!(B), Value::Null, "pinned"),
        (&["http://app.test/cart", "--cookie", gone], json!(A), Value::Null, "unknown"),
        (&["http://app.test/cart", "--header", "X-Id: 7"], json!(A), Value::Null, "header"),
        (&["http://app.test/x", "--method", "POST"], json!(A), Value::Null, "new"),
        (&["http://app.test/x", "--method", "POST", "--cookie", gone], Value::Null, json!(409), ""),
        (&["http://app.test/x"], Value::Null, json!(404), ""),
        (&["http://other.test/cart", "--header", "Host: app.test"], json!(A), Value::Null, "new"),
        (&["http://empty.test/"], Value::Null, json!(503), ""),
        (&["http://app.test:9000/cart"], Value::Null, json!(404), ""),
        (&["http://app.test:9000/ping"], Value::Null, json!(200), ""),
        (&["http://app.test:1234/cart"], json!(A), Value::Null, "new"),
        (&["http://app.test:1234/cart", "--entry-point", "ops"], Value::Null, json!(404), ""),
    ] {
        let (answer, is_served) = asked(words).unwrap();
        let got = answer["stickyStatus"].as_str().unwrap_or_default();
        assert_eq!(
            (&answer["server"], &answer["status"], got),
            (&server, &status, outcome),
            "{words:?}"
        );
        assert_eq!(is_served, server != Value::Null || status == json!(200), "{words:?}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for words in [
        &["app.test"][..],
        &["ftp://app.test/"],
        &["http:///cart"],
        &["http://user@app.test/"],
        &["http://app.test:x/"],
        &["http://app.test/a b"],
        &["http://app.test/", "--header", "no colon"],
        &["http://app.test/", "--header", "X: 1\r\n\r\nGET / HTTP/1.1"],
        &["http://app.test/", "--method", "G T"],
        &["http://app.test/", "--entry-point", "none"],
    ] {
        assert!(asked(words).is_err(), "{words:?}");
    }
}
