//! `mirroring`: copies for servers that nobody hears.

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Request, Setup, Sundew, eventually, on_both_drivers,
};

on_both_drivers!(
    a_mirror_gets_a_copy_and_nobody_hears_it,
    bodies_are_copied_however_they_come,
    a_body_beyond_the_limit_is_served_and_not_copied,
    a_copy_without_its_body_is_a_whole_request,
    shares_are_those_of_traefik,
    a_mirror_that_hangs_or_refuses_delays_nobody,
    an_error_of_the_main_service_is_copied_too,
    mirrors_of_mirrors_and_of_groups_get_copies,
    copies_share_a_connection_and_a_reload_keeps_the_count,
);

/// `app` mirrors `main` to `mirror`.
fn mirrored(lines: &str, percent: u32, main: &str, mirror: &str) -> String {
    format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services:\n    \
         app: {{mirroring: {{service: main, {lines} \
         mirrors: [{{name: mirror, percent: {percent}}}]}}}}\n    \
         main: {{loadBalancer: {{sticky: {{cookie: {{name: sid}}}}, servers: [{{url: \"{main}\"}}]}}}}\n    \
         mirror: {{loadBalancer: {{servers: [{{url: \"{mirror}\"}}]}}}}\n"
    )
}

fn start(driver: Driver, lines: &str, percent: u32, main: &Origin, mirror: &Origin) -> Sundew {
    Setup::new(driver, mirrored(lines, percent, &main.url(), &mirror.url())).start()
}

#[track_caller]
fn copies(mirror: &Origin, count: usize) -> Vec<Request> {
    let whole = eventually(&format!("{count} copies"), || {
        let requests = mirror.requests();
        (requests.len() >= count && requests.iter().all(|it| it.is_whole)).then_some(requests)
    });
    assert_eq!(whole.len(), count);
    whole
}

fn a_mirror_gets_a_copy_and_nobody_hears_it(driver: Driver) {
    let main = Origin::named("main");
    let mirror = Origin::fixed(
        "HTTP/1.1 500 No\r\nSet-Cookie: mirror=1\r\nContent-Length: 6\r\n\r\nmirror",
        Next::KeepAlive,
    );
    let proxy = start(driver, "", 100, &main, &mirror);
    let mut client = Client::connect(proxy.address());
    let response = client.get("/path?q=1", "Cookie: sid=x; b=c\r\nX-Own: y\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, "main"));
    assert!(response.all("Set-Cookie").iter().all(|line| line.starts_with("sid=")));
    let copy = copies(&mirror, 1).remove(0);
    let original = main.only_request();
    assert_eq!(copy.line(), "GET /path?q=1 HTTP/1.1");
    for name in ["Host", "Cookie", "X-Own", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host"] {
        assert_eq!(copy.field(name), original.field(name), "{name}");
    }
    assert_eq!(proxy.only_record().text("ServiceName"), "main@file");
}

fn bodies_are_copied_however_they_come(driver: Driver) {
    let (main, mirror) = (Origin::named("main"), Origin::named("mirror"));
    let proxy = start(driver, "", 100, &main, &mirror);
    let mut client = Client::connect(proxy.address());
    for (at, length) in [3, 30_000, 50_000, 400_000].into_iter().enumerate() {
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        client.send(format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
        client.send(&body);
        assert_eq!(client.response().text(), "main");
        let copy = copies(&mirror, 2 * at + 1).pop().expect("a copy");
        assert_eq!((copy.field("Content-Length"), &copy.body), (Some(&*length.to_string()), &body));
        client.send("POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in body.chunks(7_777) {
            client.send(format!("{:x}\r\n", piece.len()));
            client.send(piece);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.response().text(), "main");
        let copy = copies(&mirror, 2 * at + 2).pop().expect("a copy");
        assert_eq!((copy.field("Transfer-Encoding"), &copy.body), (Some("chunked"), &body));
    }
}

fn a_body_beyond_the_limit_is_served_and_not_copied(driver: Driver) {
    let (main, mirror) = (Origin::named("main"), Origin::named("mirror"));
    for limit in [4, 50_000] {
        let proxy = start(driver, &format!("maxBodySize: {limit},"), 100, &main, &mirror);
        let before = mirror.requests().len();
        let mut client = Client::connect(proxy.address());
        for length in [limit + 1, limit] {
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
            client.send("x".repeat(length));
            assert_eq!(client.response().text(), "main");
        }
        let copy = copies(&mirror, before + 1).pop().expect("a copy");
        assert_eq!(copy.body.len(), limit, "the second");
    }
}

fn a_copy_without_its_body_is_a_whole_request(driver: Driver) {
    let (main, mirror) = (Origin::named("main"), Origin::named("mirror"));
    let proxy = start(driver, "mirrorBody: false, maxBodySize: 1,", 100, &main, &mirror);
    let mut client = Client::connect(proxy.address());
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client.response();
    client.send(
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    );
    client.response();
    client.get("/c", "");
    for copy in copies(&mirror, 3) {
        assert!(copy.body.is_empty() && copy.field("Transfer-Encoding").is_none());
        let length = if copy.line().contains("/a") { Some("0") } else { None };
        assert_eq!(copy.field("Content-Length"), length, "{}", copy.line());
    }
    assert_eq!(main.requests()[0].body, b"abc");
}

fn shares_are_those_of_traefik(driver: Driver) {
    let (main, mirror) = (Origin::named("main"), Origin::named("mirror"));
    let proxy = start(driver, "", 30, &main, &mirror);
    let mut client = Client::connect(proxy.address());
    for at in 0..20 {
        client.get(&format!("/{at}"), "");
    }
    let mut got = ['0'; 20];
    for copy in copies(&mirror, 6) {
        let at = copy.line().split(['/', ' ']).nth(2).and_then(|it| it.parse::<usize>().ok());
        got[at.expect("a number")] = '1';
    }
    assert_eq!(got.iter().collect::<String>(), "10010010001001001000");
}

fn a_mirror_that_hangs_or_refuses_delays_nobody(driver: Driver) {
    let main = Origin::named("main");
    let hangs = Origin::scripted(|exchange| {
        while !exchange.read_some().is_empty() {}
        Next::Close
    });
    let closed = ClosedPort::new();
    for url in [hangs.url(), closed.url()] {
        let text = mirrored("", 100, &main.url(), &url);
        let proxy = Setup::new(driver, text).start();
        let mut client = Client::connect(proxy.address());
        // More than may be on their way at once.
        for _ in 0..400 {
            assert_eq!(client.get("/", "").text(), "main");
        }
        assert!(proxy.descriptors() < 350, "what is too much is not copied");
    }
}

fn an_error_of_the_main_service_is_copied_too(driver: Driver) {
    let (closed, mirror) = (ClosedPort::new(), Origin::named("mirror"));
    let proxy = Setup::new(driver, mirrored("", 100, &closed.url(), &mirror.url())).start();
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.response().status, 502);
    assert_eq!(copies(&mirror, 1)[0].body, b"abc");
}

fn mirrors_of_mirrors_and_of_groups_get_copies(driver: Driver) {
    let origins = ["main", "a", "b", "c"].map(Origin::named);
    let [main, a, b, c] = &origins;
    let leaf =
        |origin: &Origin| format!("{{loadBalancer: {{servers: [{{url: \"{}\"}}]}}}}", origin.url());
    let text = format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services:\n    \
         app: {{weighted: {{services: [{{name: one}}]}}}}\n    \
         one: {{mirroring: {{service: main, mirrors: [{{name: two, percent: 100}}]}}}}\n    \
         two: {{mirroring: {{service: group, mirrors: [{{name: c, percent: 100}}]}}}}\n    \
         group: {{weighted: {{services: [{{name: a}}, {{name: b}}]}}}}\n    \
         main: {}\n    a: {}\n    b: {}\n    c: {}\n",
        leaf(main),
        leaf(a),
        leaf(b),
        leaf(c)
    );
    let proxy = Setup::new(driver, text).start();
    let mut client = Client::connect(proxy.address());
    for _ in 0..4 {
        assert_eq!(client.get("/", "").text(), "main");
    }
    copies(c, 4);
    copies(a, 2);
    copies(b, 2);
}

fn copies_share_a_connection_and_a_reload_keeps_the_count(driver: Driver) {
    let (main, mirror) = (Origin::named("main"), Origin::named("mirror"));
    let proxy = start(driver, "", 50, &main, &mirror);
    let mut client = Client::connect(proxy.address());
    client.get("/0", "");
    copies(&mirror, 1);
    let text = mirrored("", 50, &main.url(), &mirror.url());
    proxy.replace_dynamic(&text.replace("service: app}}", "service: app, priority: 7}}"));
    proxy.wait_for_log("configuration applied");
    // The first was copied, so the second is not.
    client.get("/1", "");
    client.get("/2", "");
    let lines: Vec<String> = copies(&mirror, 2).iter().map(|it| it.line().to_owned()).collect();
    let targets: Vec<_> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(targets, ["/0", "/2"]);
    assert_eq!(mirror.connections(), 1);
}
