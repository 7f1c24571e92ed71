use std::path::Path;

use super::*;
use crate::load::audit;

fn audited(text: &str) -> Audit {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.yml");
    std::fs::write(&file, text).unwrap();
    audit(&file).unwrap()
}

/// `id severity line service`, in order.
fn found(text: &str) -> Vec<String> {
    let findings = audited(text).findings;
    let line = |it: &Finding| {
        let severity = match it.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        assert!(!it.why.is_empty() && !it.write.is_empty());
        format!("{} {severity} {} {}", it.id, it.place.line, it.service)
    };
    findings.iter().map(line).collect()
}

const SOUND: &str = "httpOnly: true, secure: true, sameSite: lax, cache: private";

fn service(name: &str, cookie: &str) -> String {
    format!(
        "    {name}:\n      loadBalancer:\n        sticky: {{cookie: {{{cookie}}}}}\n        \
         healthCheck: {{path: /h}}\n        servers: [{{url: 'http://a'}}, {{url: 'http://b'}}]\n"
    )
}

fn file(routers: &str, services: &str) -> String {
    format!("http:\n  routers:\n{routers}  services:\n{services}")
}

fn router(name: &str, rest: &str) -> String {
    format!("    {name}: {{rule: 'PathPrefix(`/`)', {rest}}}\n")
}

#[test]
fn a_service_that_is_as_it_should_be_has_a_row_and_no_finding() {
    let text = file(&router("r", "service: app, tls: {}"), &service("app", SOUND));
    let audit = audited(&text);
    assert_eq!(audit.findings, []);
    let row = &audit.rows[0];
    assert_eq!((row.service.as_str(), row.members, row.draining), ("app@file", 2, 0));
    assert_eq!(row.attributes, "Path=/; HttpOnly; Secure; SameSite=Lax");
    assert_eq!((row.tls, row.has_health_check, row.is_strict), (TlsReach::Tls, true, false));
    assert_eq!(row.cookie.len(), 6, "{}: Traefik's generated name", row.cookie);
}

#[test]
fn a_service_that_is_sticky_by_keys_of_requests_has_a_row_too() {
    let services = "    app: {loadBalancer: {sticky: {header: X-Id, query: sid}, \
                    servers: [{url: 'http://a'}, {url: 'http://b'}]}}\n";
    let audit = audited(&file(&router("r", "service: app"), services));
    let row = &audit.rows[0];
    assert_eq!(row.keys, ["header X-Id", "query sid"]);
    assert_eq!((row.cookie.as_str(), row.attributes.as_str(), row.members), ("", "", 2));
    assert_eq!(audit.findings, [], "there is no cookie to find fault with");
}

#[test]
fn a_service_without_stickiness_is_not_of_interest() {
    let services = "    app: {loadBalancer: {servers: [{url: 'http://a'}]}}\n";
    assert_eq!(audited(&file(&router("r", "service: app"), services)), Audit::default());
}

#[test]
fn every_weakness_of_a_cookie_is_found_at_its_place() {
    let plain = router("r", "service: app");
    let tls = router("r", "service: app, tls: {}");
    for (routers, cookie, want) in [
        (&tls, "httpOnly: true, sameSite: lax, cache: private", "cookie-not-secure error 6"),
        (&plain, "sameSite: lax, cache: private", "cookie-not-http-only warning 6"),
        (&plain, "httpOnly: true, cache: private", "same-site-missing warning 6"),
        (
            &plain,
            "httpOnly: true, sameSite: none, cache: private",
            "same-site-none-not-secure error 6",
        ),
        (&plain, &format!("{SOUND}, name: JSESSIONID"), "reserved-name error 6"),
        (&plain, &format!("{SOUND}, maxAge: 60"), "max-age-not-renewed warning 6"),
        (&plain, "httpOnly: true, sameSite: lax", "cacheable-pin note 6"),
    ] {
        let text = file(routers, &service("app", cookie));
        let lines = found(&text);
        assert_eq!(lines.len(), 1, "{cookie}: {lines:?}");
        let (head, _) = want.rsplit_once(' ').unwrap();
        assert!(lines[0].starts_with(head) && lines[0].ends_with("app@file"), "{lines:?}");
        assert!(audited(&text).findings[0].place.line > 0);
    }
}

#[test]
fn what_surrounds_the_cookie_counts_too() {
    let cookie = format!("sticky: {{cookie: {{{SOUND}}}}}");
    let services = format!(
        "    app: {{loadBalancer: {{{cookie}, servers: [{{url: 'http://a'}}]}}}}\n    \
         gone: {{loadBalancer: {{{cookie}, healthCheck: {{path: /}}, \
         servers: [{{url: 'http://a', weight: 0}}, {{url: 'http://b', drain: true}}]}}}}\n"
    );
    let text = file(&router("r", "service: app"), &services);
    let lines = found(&text);
    assert_eq!(
        lines,
        [
            "no-health-check warning 5 app@file",
            "one-server note 5 app@file",
            "all-drained error 6 gone@file"
        ]
    );
    assert_eq!(audited(&text).rows[1].draining, 2);
}

#[test]
fn groups_are_looked_at_with_their_children() {
    let children = service("a", SOUND) + &service("b", SOUND);
    let group = |sticky: &str| {
        format!(
            "    g: {{weighted: {{{sticky}healthCheck: {{}}, services: [{{name: a}}, {{name: b}}]}}}}\n"
        )
    };
    let routers = router("r", "service: g, tls: {}");
    let lines = found(&file(&routers, &(children.clone() + &group(""))));
    assert_eq!(lines, ["group-not-sticky error 15 g@file"]);
    let sticky = format!("sticky: {{cookie: {{{SOUND}, name: g}}}}, ");
    assert_eq!(found(&file(&routers, &(children + &group(&sticky)))), [""; 0]);

    let named = service("a", &format!("{SOUND}, name: one")) + &service("b", SOUND);
    let sticky = format!("sticky: {{cookie: {{{SOUND}, name: one}}}}, ");
    let lines = found(&file(&routers, &(named + &group(&sticky))));
    assert_eq!(lines, ["same-name-on-two-levels error 7 a@file"]);
    // The router is the group's, and so are its clients.
    let audit = audited(&file(&routers, &(service("a", SOUND) + &group(""))));
    assert_eq!(audit.rows[0].tls, TlsReach::Tls);
}

#[test]
fn one_name_is_for_one_service_of_a_host() {
    let services =
        service("a", &format!("{SOUND}, name: x")) + &service("b", &format!("{SOUND}, name: x"));
    let rule =
        |name: &str, rule: &str| format!("    {name}: {{rule: '{rule}', service: {name}}}\n");
    for (one, other, want) in [
        ("Host(`h`) && PathPrefix(`/a`)", "Host(`h`) && PathPrefix(`/b`)", true),
        ("PathPrefix(`/a`)", "Host(`h`)", true),
        ("Host(`g`)", "Host(`h`)", false),
        ("Host(`g`) || Host(`h`)", "Host(`H`)", true),
    ] {
        let lines = found(&file(&(rule("a", one) + &rule("b", other)), &services));
        assert_eq!(!lines.is_empty(), want, "{one} {other}: {lines:?}");
        assert!(
            lines.iter().all(|it| it == "same-name-on-two-services error 13 b@file"),
            "{lines:?}"
        );
    }
    let apart = service("a", &format!("{SOUND}, name: x, path: /a"))
        + &service("b", &format!("{SOUND}, name: x, path: /b"));
    let routers = router("r", "service: a") + &router("s", "service: b");
    assert_eq!(found(&file(&routers, &apart)), [""; 0]);
}

#[test]
fn tls_of_an_entry_point_counts_and_so_do_defaults() {
    let points =
        "entryPoints:\n  web: {address: ':80'}\n  secure: {address: ':443', http: {tls: {}}}\n";
    let services = service("app", SOUND);
    for (rest, want) in [
        ("service: app, entryPoints: [secure]", TlsReach::Tls),
        ("service: app, entryPoints: [web]", TlsReach::Plain),
        ("service: app", TlsReach::Both),
        ("service: other", TlsReach::Unused),
    ] {
        let routers = router("r", rest);
        let text = format!("{points}{}", file(&routers, &services));
        assert_eq!(audited(&text).rows[0].tls, want, "{rest}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    assert!(audit(Path::new("/nowhere/f.yml")).is_err());
}
