//! When the kernel gives less than was hoped for: locked memory and descriptors.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{Client, Driver, Origin, Setup, app, eventually, on_both_drivers};

on_both_drivers!(without_descriptors_it_waits_and_recovers);

/// What makes a process one of a user who may lock no more memory than its limit; `None`, with a
/// line that says so, where that cannot be had.
fn unprivileged() -> Option<Vec<&'static str>> {
    const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    if !rustix::process::geteuid().is_root() {
        return Some(Vec::new());
    }
    let status = Command::new(NOBODY[0]).args(&NOBODY[1..]).arg("true").status();
    if status.is_ok_and(|it| it.success()) {
        return Some(NOBODY.to_vec());
    }
    println!("skipped: root cannot become another user here, and has no limit of its own");
    None
}

#[test]
fn with_little_locked_memory_it_falls_back_and_says_why() {
    let Some(mut launcher) = unprivileged() else { return };
    launcher.extend(["prlimit", "--memlock=65536"]);
    let a = Origin::named("a");
    let setup = Setup::new(Driver::Uring, app(&[&a.url()])).automatic().workers(2);
    let proxy = setup.launched_by(&launcher).start();
    for _ in 0..4 {
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    }
    let line = proxy.wait_for_log("RLIMIT_MEMLOCK");
    assert!(line.contains("LimitMEMLOCK=infinity"), "no fix: {line}");
    assert!(line.contains("instead of 1024 entries") || line.contains("epoll"), "{line}");
}

#[test]
fn without_locked_memory_the_ring_that_was_asked_for_is_refused() {
    let Some(mut launcher) = unprivileged() else { return };
    launcher.extend(["prlimit", "--memlock=0"]);
    let a = Origin::named("a");
    let mut proxy = Setup::new(Driver::Uring, app(&[&a.url()])).launched_by(&launcher).launch();
    assert_eq!(proxy.wait_for_end().code(), Some(1));
    let line = proxy.wait_for_log("driver: uring");
    assert!(line.contains("RLIMIT_MEMLOCK") && line.contains("LimitMEMLOCK=infinity"), "{line}");
}

fn without_descriptors_it_waits_and_recovers(driver: Driver) {
    const DESCRIPTORS: &str = "--nofile=64:64";
    const SPIN_MS: u64 = 200;
    let a = Origin::named("a");
    let setup = Setup::new(driver, app(&[&a.url()]));
    let proxy = setup.launched_by(&["prlimit", DESCRIPTORS]).start();
    let mut early = Client::connect(proxy.address());
    assert_eq!(early.get("/", "").text(), "a");
    let crowd: Vec<_> = (0..150).map(|_| Client::connect(proxy.address())).collect();
    proxy.wait_for_log("cannot accept");

    let before_ms = proxy.cpu_ms();
    thread::sleep(Duration::from_secs(1));
    let spent_ms = proxy.cpu_ms() - before_ms;
    assert!(spent_ms < SPIN_MS, "{spent_ms} ms of CPU time in a second of waiting");
    let warnings = proxy.log().matches("cannot accept").count();
    assert!(warnings <= 5, "{warnings} lines:\n{}", proxy.log());
    assert_eq!(early.get("/", "").text(), "a", "who is in is served");

    drop(crowd);
    eventually("new clients are served again", || {
        (Client::fetch(proxy.address(), "/").text() == "a").then_some(())
    });
    assert_eq!(early.get("/", "").text(), "a");
}
