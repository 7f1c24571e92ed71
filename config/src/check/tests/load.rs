//! `maxInFlightPerServer`, `overflow`, `slowStart`, `rebalance`.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::{STRICT, lines};
use crate::key_file;
use crate::load::model;
use crate::model::{InFlightLimit, LoadRules, Overflow, Rebalance, SealingKey, ServiceKind};

/// What a balancer with these lines became, or what was said of it; `SEALED` is a sealed cookie.
fn checked(body: &str) -> Result<LoadRules, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("a.key");
    write(&key, key_file::text(&SealingKey::new(std::array::from_fn(|at| at as u8)))).unwrap();
    set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let sealed = format!("sticky: {{cookie: {{value: sealed, keys: ['{}']}}}}", key.display());
    let body = body.replace("SEALED", &sealed).replace('\n', "\n        ");
    let file = folder.path().join("f.yml");
    let text = format!(
        "entryPoints: {{web: {{address: ':80'}}}}\nhttp:\n  services:\n    app:\n      \
         loadBalancer:\n        servers: [{{url: 'http://a'}}]\n        {body}\n"
    );
    write(&file, text).unwrap();
    match model(&file, STRICT) {
        Err(found) => Err(lines(&found, &format!("{}/", folder.path().display()))),
        Ok(model) => {
            let ServiceKind::LoadBalancer(balancer) = &model.services[0].kind else { panic!() };
            Ok(*balancer.load.clone())
        }
    }
}

fn limit(per_server_max: u32, overflow: Overflow) -> LoadRules {
    let in_flight = Some(InFlightLimit { per_server_max, overflow });
    LoadRules { in_flight, ..LoadRules::default() }
}

#[test]
fn rules_about_load_are_off_unless_written() {
    let move_pins = |per_minute_ppm, older_than_s| LoadRules {
        rebalance: Some(Rebalance {
            per_minute_ppm,
            older_than: Duration::from_secs(older_than_s),
        }),
        ..LoadRules::default()
    };
    let ramp = |slow_start| LoadRules { slow_start, ..LoadRules::default() };
    for (body, want) in [
        ("passHostHeader: true", LoadRules::default()),
        ("maxInFlightPerServer: 20", limit(20, Overflow::Wait)),
        ("maxInFlightPerServer: 1\noverflow: redispatch", limit(1, Overflow::Redispatch)),
        ("maxInFlightPerServer: 1\noverflow: Reject", limit(1, Overflow::Reject)),
        ("slowStart: 30s", ramp(Some(Duration::from_secs(30)))),
        ("slowStart: 0", ramp(None)),
        ("SEALED\nrebalance: {perMinute: 5%}", move_pins(50_000, 600)),
        ("SEALED\nrebalance: {perMinute: 0.05%, olderThan: 1m}", move_pins(500, 60)),
        ("SEALED\nrebalance: {perMinute: 100 %}", move_pins(1_000_000, 600)),
    ] {
        assert_eq!(checked(body), Ok(want), "{body}");
    }
}

#[test]
fn rules_about_load_that_cannot_hold_are_refused() {
    for (body, want) in [
        ("maxInFlightPerServer: 0", "maxInFlightPerServer: 0 is out of range"),
        ("maxInFlightPerServer: 1\noverflow: rejct", "overflow: unknown overflow `rejct`"),
        ("slowStart: soon", "slowStart: `soon` is not a duration"),
        ("slowStart: -1s", "slowStart: a negative duration"),
        ("rebalance: {perMinute: 5%}", "rebalance: only a sealed value says how old"),
        ("sticky: {cookie: {}}\nrebalance: {perMinute: 5%}", "rebalance: only a sealed value"),
        ("SEALED\nrebalance: {}", "perMinute: `` is not a share"),
        ("SEALED\nrebalance: {perMinute: 5}", "perMinute: `5` is not a share"),
        ("SEALED\nrebalance: {perMinute: 0%}", "perMinute: `0%` is not a share"),
        ("SEALED\nrebalance: {perMinute: 100.1%}", "perMinute: `100.1%` is not a share"),
        ("SEALED\nrebalance: {perMinute: -1%}", "perMinute: `-1%` is not a share"),
        ("SEALED\nrebalance: {perMinute: 5%, olderThan: 0}", "olderThan: must be longer"),
        ("SEALED\nrebalance: {perHour: 5%}", "unknown key `perHour`"),
    ] {
        let said = checked(body).unwrap_err();
        assert!(said.iter().any(|line| line.contains(want)), "{body}: {said:?}");
    }
}
