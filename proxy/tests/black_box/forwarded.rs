//! What the proxy adds to, removes from and changes in a request on its way, and in a response.

use crate::support::{Client, Driver, Next, Origin, Request, Setup, app_with, on_both_drivers};

on_both_drivers!(
    an_untrusted_client_cannot_forge_forwarded_fields,
    a_trusted_client_is_believed,
    the_client_address_is_not_appended_when_told_so,
    the_port_comes_from_host,
    fields_pass_in_order_and_own_fields_come_last,
    hop_by_hop_fields_of_a_request_are_removed,
    connection_cannot_remove_what_the_proxy_needs,
    hop_by_hop_fields_of_a_response_are_removed,
    host_is_passed_or_replaced,
    an_absolute_target_replaces_host,
    a_request_without_host_gets_the_one_of_the_server,
    a_target_is_cleaned_before_it_is_forwarded,
    semicolons_of_a_query,
    a_server_path_is_joined_only_when_asked,
    obs_text_passes_unchanged,
);

fn forwarded(driver: Driver, entry_point: &str, fields: &str) -> (Request, String) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app_with("", &[&origin.url()]));
    let proxy = setup.entry_point(entry_point).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", fields).status, 200);
    let record = proxy.only_record();
    (origin.only_request(), record.text("ClientHost").to_owned())
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    name.trim().to_owned()
}

const FORGED: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n\
                      X-Forwarded-Server: evil\r\nX-Forwarded-Uri: /evil\r\n\
                      X-Forwarded-Method: EVIL\r\nX-Forwarded-Prefix: /evil\r\n\
                      X-Forwarded-Tls-Client-Cert: evil\r\n\
                      X-Forwarded-Tls-Client-Cert-Info: evil\r\nX-Real-Ip: 192.0.2.2\r\n";
const ALIASES: &str = "X_Forwarded_For: 192.0.2.3\r\nx_forwarded-proto: evil\r\n\
                       X-Forwarded_Host: evil\r\nX_REAL_IP: 192.0.2.4\r\n";

fn an_untrusted_client_cannot_forge_forwarded_fields(driver: Driver) {
    let fields = format!("{FORGED}{ALIASES}X-Forwarded-Scheme: kept\r\nX-Scheme: kept\r\n");
    let (request, client_host) = forwarded(driver, "", &fields);
    let want = [
        ("X-Forwarded-For", vec!["127.0.0.1"]),
        ("X-Real-Ip", vec!["127.0.0.1"]),
        ("X-Forwarded-Proto", vec!["http"]),
        ("X-Forwarded-Host", vec!["example.test"]),
        ("X-Forwarded-Port", vec!["80"]),
        ("X-Forwarded-Uri", vec![]),
        ("X-Forwarded-Method", vec![]),
        ("X-Forwarded-Prefix", vec![]),
        ("X-Forwarded-Tls-Client-Cert", vec![]),
        ("X-Forwarded-Tls-Client-Cert-Info", vec![]),
        ("X_Forwarded_For", vec![]),
        ("x_forwarded-proto", vec![]),
        ("X-Forwarded_Host", vec![]),
        ("X_REAL_IP", vec![]),
        ("X-Forwarded-Scheme", vec!["kept"]),
        ("X-Scheme", vec!["kept"]),
    ];
    for (name, values) in want {
        assert_eq!(request.all(name), values, "{name}");
    }
    assert_eq!(request.all("X-Forwarded-Server"), [hostname()]);
    assert_eq!(client_host, "127.0.0.1");
}

fn a_trusted_client_is_believed(driver: Driver) {
    for trust in
        ["forwardedHeaders: {trustedIPs: [127.0.0.0/8]}", "forwardedHeaders: {insecure: true}"]
    {
        let (request, client_host) = forwarded(driver, trust, FORGED);
        let want = [
            ("X-Forwarded-For", "192.0.2.1, 127.0.0.1"),
            ("X-Real-Ip", "192.0.2.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"),
            ("X-Forwarded-Port", "1"),
            ("X-Forwarded-Uri", "/evil"),
            ("X-Forwarded-Method", "EVIL"),
            ("X-Forwarded-Prefix", "/evil"),
            ("X-Forwarded-Tls-Client-Cert", "evil"),
        ];
        for (name, value) in want {
            assert_eq!(request.all(name), [value], "{trust}: {name}");
        }
        assert_eq!(request.all("X-Forwarded-Server"), [hostname()]);
        assert_eq!(client_host, "192.0.2.1");
    }
    let trust = "forwardedHeaders: {trustedIPs: [192.0.2.0/24]}";
    let (request, _) = forwarded(driver, trust, FORGED);
    assert_eq!(request.all("X-Forwarded-For"), ["127.0.0.1"], "another network is trusted");

    let lines = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.9, 192.0.2.8\r\n";
    let (request, _) = forwarded(driver, "forwardedHeaders: {insecure: true}", lines);
    let joined = "192.0.2.1, 192.0.2.9, 192.0.2.8, 127.0.0.1";
    assert_eq!(request.all("X-Forwarded-For"), [joined]);
}

fn the_client_address_is_not_appended_when_told_so(driver: Driver) {
    let options = "forwardedHeaders: {notAppendXForwardedFor: true}";
    let (request, _) = forwarded(driver, options, FORGED);
    assert_eq!(request.all("X-Forwarded-For"), [""; 0]);
    let options = "forwardedHeaders: {notAppendXForwardedFor: true, insecure: true}";
    let (request, _) = forwarded(driver, options, FORGED);
    assert_eq!(request.all("X-Forwarded-For"), ["192.0.2.1"]);
}

fn the_port_comes_from_host(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    for host in ["example.test:8443", "[2001:db8::1]:81", "example.test"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, 200);
    }
    let requests = origin.requests();
    let ports: Vec<_> = requests.iter().map(|it| it.field("X-Forwarded-Port")).collect();
    assert_eq!(ports, [Some("8443"), Some("81"), Some("80")]);
    assert_eq!(requests[1].field("X-Forwarded-Host"), Some("[2001:db8::1]:81"));
}

fn fields_pass_in_order_and_own_fields_come_last(driver: Driver) {
    let fields = "Zebra: 1\r\naccept: */*\r\nX_Under: 2\r\nApple: 3\r\nZebra:   4  \r\n\
                  User-Agent: test\r\nForwarded: for=192.0.2.1\r\n";
    let (request, _) = forwarded(driver, "", fields);
    let names: Vec<_> = request.head.fields.iter().map(|(name, _)| name.as_str()).collect();
    let passed = ["Host", "Zebra", "accept", "X_Under", "Apple", "Zebra", "User-Agent"];
    assert_eq!(names[..passed.len()], passed);
    assert_eq!(request.all("Zebra"), ["1", "4"]);
    assert!(
        names[passed.len()..].iter().all(|name| name.starts_with("X-") || *name == "Forwarded"),
        "{names:?}"
    );
}

fn hop_by_hop_fields_of_a_request_are_removed(driver: Driver) {
    let fields = "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: keep-alive\r\nProxy-Authenticate: x\r\n\
                  Proxy-Authorization: x\r\nTE: trailers, deflate\r\nX-Other: 2\r\n";
    let (request, _) = forwarded(driver, "", fields);
    for name in [
        "Connection",
        "X-Mine",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
    ] {
        assert_eq!(request.all(name), [""; 0], "{name}");
    }
    assert_eq!(request.all("TE"), ["trailers"]);
    assert_eq!(request.all("X-Other"), ["2"]);
}

fn connection_cannot_remove_what_the_proxy_needs(driver: Driver) {
    // http1 D2 and F13; GHSA-62c8-mh53-4cqv.
    let names = "X-Forwarded-For, X-Forwarded-Host, X-Real-Ip, Host, Cookie, Authorization, close";
    let fields = format!("Connection: {names}\r\nCookie: a=1\r\nAuthorization: secret\r\n");
    let (request, _) = forwarded(driver, "", &fields);
    assert_eq!(request.all("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(request.all("X-Forwarded-Host"), ["example.test"]);
    assert_eq!(request.all("X-Real-Ip"), ["127.0.0.1"]);
    assert_eq!(request.all("Host"), ["example.test"]);
    assert_eq!(request.all("Cookie"), ["a=1"]);
    assert_eq!(request.all("Authorization"), ["secret"]);
}

fn hop_by_hop_fields_of_a_response_are_removed(driver: Driver) {
    let origin = Origin::fixed(
        "HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Mine, Set-Cookie\r\nX-Mine: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\n\
         X-Kept: 2\r\nContent-Length: 2\r\n\r\nok",
        Next::KeepAlive,
    );
    let sticky = "sticky: {cookie: {name: sid}}";
    let proxy = Setup::new(driver, app_with(sticky, &[&origin.url()])).start();
    let response = Client::fetch(proxy.address(), "/");
    for name in ["Connection", "X-Mine", "Keep-Alive", "Proxy-Connection"] {
        assert_eq!(response.all(name), [""; 0], "{name}");
    }
    assert_eq!(response.all("X-Kept"), ["2"]);
    assert!(response.cookie("sid").is_some(), "the proxy's own cookie survives (http1 D4)");
}

fn host_is_passed_or_replaced(driver: Driver) {
    for (option, is_passed) in [("", true), ("passHostHeader: false", false)] {
        let origin = Origin::named("a");
        let proxy = Setup::new(driver, app_with(option, &[&origin.url()])).start();
        Client::fetch(proxy.address(), "/");
        let own = origin.address().to_string();
        let want = if is_passed { "example.test" } else { own.as_str() };
        assert_eq!(origin.only_request().all("Host"), [want]);
        assert_eq!(origin.only_request().all("X-Forwarded-Host"), ["example.test"]);
    }
}

fn an_absolute_target_replaces_host(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET http://target.test:81/a?b HTTP/1.1\r\nHost: target.test:81\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let request = origin.only_request();
    assert_eq!(
        (request.line(), request.all("Host")),
        ("GET /a?b HTTP/1.1", vec!["target.test:81"])
    );
}

fn a_request_without_host_gets_the_one_of_the_server(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.only_request().all("Host"), [origin.address().to_string()]);
}

fn a_target_is_cleaned_before_it_is_forwarded(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let table = [
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/../c/..", "/a"),
        ("/%2e%2e/x", "/x"),
        ("/../../etc", "/etc"),
        ("/a/", "/a/"),
        ("/%41%7e%c3%a9", "/A~%C3%A9"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%20b", "/a%20b"),
        ("/?x=/a//../b&y=%2e", "/?x=/a//../b&y=%2e"),
        ("/a?", "/a?"),
    ];
    let mut client = Client::connect(proxy.address());
    for (target, want) in table {
        assert_eq!(client.get(target, "").status, 200, "{target}");
        let line = origin.requests().pop().expect("a request").line().to_owned();
        assert_eq!(line, format!("GET {want} HTTP/1.1"), "{target}");
    }
}

fn semicolons_of_a_query(driver: Driver) {
    for (option, want) in [
        ("", "GET /a;b?x=1&y=2 HTTP/1.1"),
        ("http: {encodeQuerySemicolons: true}", "GET /a;b?x=1%3By=2 HTTP/1.1"),
    ] {
        let origin = Origin::named("a");
        let setup = Setup::new(driver, app_with("", &[&origin.url()]));
        let proxy = setup.entry_point(option).start();
        Client::fetch(proxy.address(), "/a;b?x=1;y=2");
        assert_eq!(origin.only_request().line(), want);
    }
}

fn a_server_path_is_joined_only_when_asked(driver: Driver) {
    let origin = Origin::named("a");
    let url = format!("{}/base/", origin.url());
    let proxy = Setup::new(driver, app_with("", &[&url])).start();
    Client::fetch(proxy.address(), "/x?y");
    assert_eq!(origin.only_request().line(), "GET /x?y HTTP/1.1");

    let text = app_with("", &[&url]).replace("\"}", "\", preservePath: true}");
    let proxy = Setup::new(driver, text).start();
    Client::fetch(proxy.address(), "/x?y");
    Client::fetch(proxy.address(), "/");
    let lines: Vec<_> = origin.requests().iter().map(|it| it.line().to_owned()).collect();
    assert_eq!(lines[1..], ["GET /base/x?y HTTP/1.1", "GET /base/ HTTP/1.1"]);
}

fn obs_text_passes_unchanged(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nX-Raw: \xff\x80\r\nContent-Length: 0\r\n\r\n");
        Next::KeepAlive
    });
    let proxy = Setup::new(driver, app_with("", &[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Raw: caf\xc3\xa9 \xff\r\n\r\n");
    assert_eq!(client.response().field("X-Raw"), Some("\u{ff}\u{80}"));
    assert_eq!(origin.only_request().field("X-Raw"), Some("caf\u{c3}\u{a9} \u{ff}"));
}
