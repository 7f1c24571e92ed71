//! When there are not enough descriptors for everybody (http1 G4, G5): clients wait in the kernel's
//! queue, idle connections make room, and the proxy itself goes on working.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Client, Driver, Origin, Setup, Sundew, app, app_with, eventually, on_both_drivers,
};

on_both_drivers!(
    g5_without_descriptors_it_waits_without_spinning_and_recovers_within_a_second,
    g4_idle_connections_make_room_the_longest_idle_first,
    g4_idle_connections_to_servers_make_room,
    g5_probes_reloads_and_logs_work_while_clients_find_no_descriptor,
    g5_a_server_is_reached_with_the_last_descriptors,
);

const DESCRIPTORS: &str = "--nofile=64:64";

fn start(setup: Setup) -> Sundew {
    setup.launched_by(&["prlimit", DESCRIPTORS]).start()
}

/// A client in the middle of a head: nobody may take its connection away.
fn busy(proxy: &Sundew) -> Client {
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: example.test\r\n");
    client
}

/// Descriptors that the proxy has open.
fn open_files(proxy: &Sundew) -> usize {
    let folder = format!("/proc/{}/fd", proxy.pid());
    fs::read_dir(folder).expect("a live process").count()
}

fn g5_without_descriptors_it_waits_without_spinning_and_recovers_within_a_second(driver: Driver) {
    const SPIN_MS: u64 = 200;
    let a = Origin::named("a");
    let proxy = start(Setup::new(driver, app(&[&a.url()])));
    let mut early = busy(&proxy);
    let crowd: Vec<_> = (0..150).map(|_| busy(&proxy)).collect();
    let line = proxy.wait_for_log("cannot accept");
    assert!(line.contains("LimitNOFILE="), "no fix: {line}");

    let before_ms = proxy.cpu_ms();
    thread::sleep(Duration::from_secs(1));
    let spent_ms = proxy.cpu_ms() - before_ms;
    assert!(spent_ms < SPIN_MS, "{spent_ms} ms of CPU time in a second of waiting");
    let warnings = proxy.log().matches("cannot accept").count();
    assert!(warnings <= 2, "{warnings} lines:\n{}", proxy.log());
    let open = open_files(&proxy);
    assert!((50..64).contains(&open), "{open} open files: too many, or far too few");
    early.send("\r\n");
    assert_eq!(early.response().text(), "a", "who is in is served");

    drop(crowd);
    let began = Instant::now();
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

fn g4_idle_connections_make_room_the_longest_idle_first(driver: Driver) {
    const TICKS: Duration = Duration::from_millis(250);
    let a = Origin::named("a");
    let proxy = start(Setup::new(driver, app(&[&a.url()])));
    let group = || -> Vec<Client> {
        let mut clients: Vec<_> = (0..8).map(|_| Client::connect(proxy.address())).collect();
        for client in &mut clients {
            assert_eq!(client.get("/", "").text(), "a");
        }
        clients
    };
    let began = Instant::now();
    let mut older = group();
    // So that the proxy's coarse clock can tell them apart.
    thread::sleep(TICKS);
    let mut newer = group();
    let mut regular = Client::connect(proxy.address());
    let _crowd: Vec<_> = (0..80).map(|_| busy(&proxy)).collect();
    let mut ended_at = None;
    eventually("those idle are ended", || {
        assert_eq!(regular.get("/", "").text(), "a", "the one in use stays");
        let ended = |clients: &mut [Client]| {
            clients.iter_mut().map(Client::is_ended).filter(|it| *it).count()
        };
        let (newer_ended, older_ended) = (ended(&mut newer), ended(&mut older));
        if older_ended > 0 && ended_at.is_none() {
            ended_at = Some(began.elapsed());
        }
        assert!(
            newer_ended == 0 || older_ended == older.len(),
            "{newer_ended} were ended before {older_ended} of those that had been idle for longer"
        );
        (newer_ended == newer.len()).then_some(())
    });
    let ended_at = ended_at.expect("all of them");
    assert!(ended_at >= Duration::from_millis(900), "{ended_at:?}: idle for less than a second");
}

fn g4_idle_connections_to_servers_make_room(driver: Driver) {
    let a = Origin::scripted(|exchange| {
        thread::sleep(Duration::from_millis(300));
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        crate::support::Next::KeepAlive
    });
    let proxy = start(Setup::new(driver, app(&[&a.url()])));
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let mut client = busy(&proxy);
            client.send("\r\n");
            client
        })
        .collect();
    for mut client in clients {
        assert_eq!(client.response().text(), "a");
    }
    assert_eq!(a.connections(), 10);
    assert!(a.has_open_connections());
    let _crowd: Vec<_> = (0..60).map(|_| busy(&proxy)).collect();
    eventually("idle connections end", || (!a.has_open_connections()).then_some(()));
}

fn g5_probes_reloads_and_logs_work_while_clients_find_no_descriptor(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let check = "healthCheck: {path: /health, interval: 50ms, timeout: 1s}";
    let proxy = start(
        Setup::new(driver, app_with(check, &[&a.url()]))
            .beside("ops")
            .statics("ping: {entryPoint: ops}"),
    );
    let mut inside = busy(&proxy);
    let _crowd: Vec<_> = (0..150).map(|_| busy(&proxy)).collect();
    proxy.wait_for_log("cannot accept");

    let probes = || a.requests().iter().filter(|it| it.line().contains("/health")).count();
    let before = probes();
    eventually("probes go on", || (probes() > before + 3).then_some(()));

    let ops = proxy.address_of("ops");
    assert_eq!(Client::fetch(ops, "/ping").text(), "OK", "who asks for our own health is answered");

    proxy.replace_dynamic(&app_with(check, &[&b.url()]));
    proxy.wait_for_log("configuration applied");
    fs::rename(proxy.access_log_path(), proxy.folder().join("access.log.1")).expect("a rename");
    proxy.signal("USR1");
    eventually("the access log is opened anew", || proxy.access_log_path().exists().then_some(()));

    inside.send("\r\n");
    assert_eq!(inside.response().text(), "b", "the new configuration is in force");
    assert_eq!(proxy.access_records(1).len(), 1);
    let log = proxy.log();
    assert!(!log.contains("is down") && !log.contains("ERROR"), "{log}");
}

fn g5_a_server_is_reached_with_the_last_descriptors(driver: Driver) {
    let a = Origin::named("a");
    let proxy = start(Setup::new(driver, app(&[&a.url()])));
    let mut crowd: Vec<_> = (0..60).map(|_| busy(&proxy)).collect();
    proxy.wait_for_log("cannot accept");
    // One after the other, each with a connection of its own to the server while it needs one.
    for client in crowd.iter_mut().take(10) {
        client.send("\r\n");
        assert_eq!(client.response().text(), "a");
    }
}
