//! Start and end of the process, its command line, and what it tells the service manager.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, mpsc};

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    an_idle_proxy_stops_at_once_with_exit_code_0,
    a_request_in_flight_is_answered_with_connection_close,
    connections_in_the_queue_are_served_before_the_end,
    idle_connections_are_closed_at_the_end,
    a_request_longer_than_the_grace_is_cut,
    ping_is_answered_by_the_proxy_itself,
    a_port_in_use_is_named,
    the_service_manager_is_told,
);

fn an_idle_proxy_stops_at_once_with_exit_code_0(driver: Driver) {
    let a = Origin::named("a");
    for signal in ["TERM", "INT"] {
        let mut proxy = Setup::new(driver, app(&[&a.url()])).start();
        let address = proxy.address();
        assert_eq!(Client::fetch(address, "/").status, 200);
        proxy.signal(signal);
        assert_eq!(proxy.wait_for_end().code(), Some(0), "SIG{signal}:\n{}", proxy.log());
        assert!(TcpStream::connect(address).is_err(), "still listening after the end");
    }
}

/// Answers `done` once the returned sender is used (or dropped).
fn held() -> (Origin, mpsc::Sender<()>) {
    let (may_answer, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = Origin::scripted(move |exchange| {
        let _ = wait.lock().expect("the lock").recv();
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        Next::KeepAlive
    });
    (origin, may_answer)
}

fn a_request_in_flight_is_answered_with_connection_close(driver: Driver) {
    let (origin, may_answer) = held();
    let mut proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    eventually("the request arrives", || origin.requests().pop());
    proxy.signal("TERM");
    eventually("the listener is closed", || TcpStream::connect(proxy.address()).err());
    may_answer.send(()).expect("the origin waits");
    let response = client.response();
    assert_eq!((response.text().as_str(), response.field("Connection")), ("done", Some("close")));
    client.expect_end();
    assert_eq!(proxy.wait_for_end().code(), Some(0));
    assert_eq!(proxy.access_records(1).len(), 1);
}

fn connections_in_the_queue_are_served_before_the_end(driver: Driver) {
    let a = Origin::named("a");
    let mut proxy = Setup::new(driver, app(&[&a.url()])).start();
    // A stopped process accepts nothing, so these wait in the kernel's queue with their request.
    proxy.signal("STOP");
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = Client::connect(proxy.address());
            client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
            client
        })
        .collect();
    proxy.signal("TERM");
    proxy.signal("CONT");
    for client in &mut clients {
        assert_eq!(client.response().text(), "a");
    }
    assert_eq!(proxy.wait_for_end().code(), Some(0));
    assert_eq!(a.requests().len(), 8);
}

fn idle_connections_are_closed_at_the_end(driver: Driver) {
    let a = Origin::named("a");
    let mut proxy = Setup::new(driver, app(&[&a.url()])).start();
    let mut used = Client::connect(proxy.address());
    assert_eq!(used.get("/", "").status, 200);
    let mut fresh = Client::connect(proxy.address());
    assert_eq!(proxy.terminate(), 0);
    used.expect_end();
    assert_eq!(fresh.read_to_end().unwrap_or_default(), b"");
}

fn a_request_longer_than_the_grace_is_cut(driver: Driver) {
    let (origin, _never) = held();
    let setup = Setup::new(driver, app(&[&origin.url()]));
    let mut proxy = setup.entry_point("transport: {lifeCycle: {graceTimeOut: 300ms}}").start();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    eventually("the request arrives", || origin.requests().pop());
    assert_eq!(proxy.terminate(), 0);
    assert!(!matches!(client.try_response_to("GET"), Ok(Some(_))));
}

fn ping_is_answered_by_the_proxy_itself(driver: Driver) {
    let a = Origin::named("a");
    let setup = Setup::new(driver, app(&[&a.url()])).statics("ping: {entryPoint: web}");
    let proxy = setup.start();
    let response = Client::fetch(proxy.address(), "/ping");
    assert_eq!((response.status, response.text().as_str()), (200, "OK"));
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    let records = proxy.access_records(1);
    assert_eq!(records[0].text("RequestPath"), "/", "internal requests are not logged");
}

fn a_port_in_use_is_named(driver: Driver) {
    let a = Origin::named("a");
    let first = Setup::new(driver, app(&[&a.url()])).start();
    let other = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let taken = [(first.address(), "sundew"), (other.local_addr().expect("an address"), "in use")];
    for (address, hint) in taken {
        let server = a.url();
        let arguments = ["run", "--listen", &address.to_string(), "--server", &server];
        let mut second = Sundew::with_arguments(&arguments);
        assert_eq!(second.wait_for_end().code(), Some(1));
        let log = eventually("the reason", || {
            let log = second.log();
            log.contains(&address.to_string()).then_some(log)
        });
        assert!(log.contains(hint), "{log}");
    }
    assert_eq!(Client::fetch(first.address(), "/").text(), "a", "the first goes on");
}

fn the_service_manager_is_told(driver: Driver) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(crate::support::DEADLINE)).expect("a timeout");
    let heard = Mutex::new(String::new());
    let wait_for = |word: &str| {
        let mut heard = heard.lock().expect("what was heard");
        while !heard.lines().any(|line| line.starts_with(word)) {
            let mut block = [0; 4096];
            let count = socket.recv(&mut block).unwrap_or_else(|why| panic!("{word}: {why}"));
            heard.push_str(&String::from_utf8_lossy(&block[..count]));
            heard.push('\n');
        }
        heard.clear();
    };
    let a = Origin::named("a");
    let setup = Setup::new(driver, app(&[&a.url()]))
        .environment("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))
        .environment("WATCHDOG_USEC", "400000");
    let mut proxy = setup.launch();
    wait_for("READY=1");
    proxy.wait_until_listening();
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a", "READY means ready");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    proxy.signal("HUP");
    wait_for("RELOADING=1");
    wait_for("READY=1");
    proxy.signal("TERM");
    wait_for("STOPPING=1");
    assert_eq!(proxy.wait_for_end().code(), Some(0));
}

#[test]
fn run_without_a_file_is_sticky_unless_told_otherwise() {
    let a = Origin::named("a");
    let (url, pin) = (a.url(), pin_of(&a.url()));
    let table: [(&[&str], Option<String>); 3] = [
        (&[], Some(format!("sundew={pin}; Path=/"))),
        (&["--cookie", "mine"], Some(format!("mine={pin}; Path=/"))),
        (&["--no-sticky"], None),
    ];
    for (more, want) in table {
        let base = ["run", "--listen", "127.0.0.1:0", "--server", &url, "--workers", "1"];
        let mut proxy = Sundew::with_arguments(&[&base, more].concat());
        proxy.wait_until_listening();
        let response = Client::fetch(proxy.address(), "/");
        assert_eq!(response.text(), "a");
        let got = response.field("Set-Cookie");
        assert!(
            got.is_some() == want.is_some()
                && got.unwrap_or("").starts_with(want.as_deref().unwrap_or("")),
            "{more:?}: {got:?}"
        );
        assert_eq!(proxy.terminate(), 0);
    }
}

#[test]
fn one_file_may_hold_both_parts() {
    let a = Origin::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.yml");
    let entry_point = "entryPoints: {web: {address: \"127.0.0.1:0\"}}\n";
    fs::write(&path, entry_point.to_owned() + &app(&[&a.url()])).expect("written");
    let path = path.to_str().expect("UTF-8");
    for flag in ["--config", "--configFile"] {
        let mut proxy = Sundew::with_arguments(&["run", flag, path]);
        proxy.wait_until_listening();
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    }
    let mut check = Sundew::with_arguments(&["check", path]);
    assert_eq!(check.wait_for_end().code(), Some(0));
}

#[test]
fn check_names_every_mistake_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.yml");
    let text = app(&["http://127.0.0.1:80", "not a url"])
        .replace("name: sid", "nmae: sid")
        .replace("service: app}", "service: missing}");
    fs::write(&path, text).expect("written");
    let mut check = Sundew::with_arguments(&["check", path.to_str().expect("UTF-8")]);
    assert_eq!(check.wait_for_end().code(), Some(1));
    for words in ["bad.yml:3:", "missing", "bad.yml:7:", "nmae", "name"] {
        check.wait_for_log(words);
    }
}

#[test]
fn run_refuses_a_bad_file_at_the_start() {
    let mut proxy = Setup::new(Driver::Epoll, "http: {routers: {app: {rul: x}}}\n").launch();
    assert_eq!(proxy.wait_for_end().code(), Some(1));
    proxy.wait_for_log("dynamic.yml:1:");
}

#[test]
fn the_version_is_printed() {
    let mut proxy = Sundew::with_arguments(&["--version"]);
    assert_eq!(proxy.wait_for_end().code(), Some(0));
    proxy.wait_for_log(concat!("sundew ", env!("CARGO_PKG_VERSION")));
}
