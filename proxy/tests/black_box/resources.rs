//! When the kernel gives less locked memory than was hoped for.

use std::process::Command;

use crate::support::{Client, Driver, Origin, Setup, app};

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
