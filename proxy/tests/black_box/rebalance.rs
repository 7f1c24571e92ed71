//! `rebalance` and `slowStart`: how a new server gets its clients.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::support::{Client, Driver, Origin, Setup, app_with, eventually, on_both_drivers};

on_both_drivers!(
    an_old_pin_moves_to_a_new_server_on_a_safe_method_alone,
    a_server_that_a_reload_adds_gets_new_clients_by_and_by,
);

/// A folder with a key, and a balancer that moves old pins as fast as can be.
fn moving() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("a.key");
    let digits: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    fs::write(&key, format!("sundew-key-1:{digits}\n")).expect("a key");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("the owner's");
    let rules = format!(
        "sticky: {{cookie: {{name: sid, value: sealed, keys: ['{}']}}}}\n\
         rebalance: {{perMinute: 100%, olderThan: 1s}}",
        key.display()
    );
    (folder, rules)
}

fn an_old_pin_moves_to_a_new_server_on_a_safe_method_alone(driver: Driver) {
    const PINS: usize = 200;
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let (_folder, rules) = moving();
    let proxy = Setup::new(driver, app_with(&rules, &[&a.url()])).start();
    let mut client = Client::connect(proxy.address());
    let pins: Vec<String> = (0..PINS)
        .map(|_| {
            let value = client.get("/", "").cookie("sid").map(str::to_owned);
            format!("Cookie: sid={}\r\n", value.expect("a pin"))
        })
        .collect();

    // Pins of the second in which the new server comes do not count as older.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let made_s = second();
    eventually("the next second", || (second() > made_s).then_some(()));
    proxy.replace_dynamic(&app_with(&rules, &[&a.url(), &b.url()]));
    let moved = eventually("some pin moves", || {
        let mut all = pins.iter().filter_map(|pin| {
            assert_eq!(client.ask("POST", "/", &format!("{pin}Content-Length: 0\r\n")).text(), "a");
            let answer = client.get("/", pin);
            (answer.text() == "b").then_some(answer)
        });
        all.next()
    });
    let value = moved.cookie("sid").expect("a new pin").to_owned();
    for _ in 0..3 {
        let answer = client.get("/", &format!("Cookie: sid={value}\r\n"));
        assert_eq!((answer.text().as_str(), answer.field("Set-Cookie")), ("b", None));
    }
    let count = a.requests().len() + b.requests().len();
    let records = proxy.access_records(count);
    assert!(records.iter().any(|record| record.sticky() == "rebalanced"));
}

fn a_server_that_a_reload_adds_gets_new_clients_by_and_by(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let rules = "slowStart: 10m";
    let proxy = Setup::new(driver, app_with(rules, &[&a.url()])).start();
    proxy.replace_dynamic(&app_with(rules, &[&a.url(), &b.url()]));
    proxy.wait_for_log("configuration applied");
    let mut client = Client::connect(proxy.address());
    for _ in 0..40 {
        client.get("/", "");
    }
    // Half of them without it; now one in a thousand or so.
    assert!(b.requests().len() < 5, "{}", b.requests().len());

    let fast = "slowStart: 1ms";
    proxy.replace_dynamic(&app_with(fast, &[&a.url(), &b.url()]));
    eventually("it is warm", || (client.get("/", "").text() == "b").then_some(()));
}
