//! `sticky.cookie.value: sealed`: keys, times, and what is refused.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{LENIENT, STRICT, lines};
use crate::key_file;
use crate::load::{Loader, Options, model};
use crate::model::{Sealing, SealingKey, ServiceKind};

fn key(number: u8) -> SealingKey {
    SealingKey::new(std::array::from_fn(|at| number + at as u8))
}

/// `a.key`, `b.key` and a copy of the first, `c.key`.
fn keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, number) in [("a.key", 1), ("b.key", 2), ("c.key", 1)] {
        put(&folder.path().join(name), &key_file::text(&key(number)));
    }
    folder
}

fn put(file: &Path, text: &str) {
    write(file, text).unwrap();
    set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

/// A file with one service whose cookie has these options; `DIR` is the folder of the keys.
fn file(folder: &TempDir, cookie: &str) -> std::path::PathBuf {
    let dir = folder.path().display().to_string();
    let file = folder.path().join("f.yml");
    let text = format!(
        "entryPoints: {{web: {{address: ':80'}}}}\nhttp:\n  services:\n    app:\n      \
         loadBalancer:\n        servers: [{{url: 'http://a'}}]\n        \
         sticky: {{cookie: {{name: c, {cookie}}}}}\n"
    );
    write(&file, text.replace("DIR", &dir)).unwrap();
    file
}

/// What the cookie became, and what was said.
fn checked(cookie: &str, options: Options) -> (Option<Sealing>, Vec<String>) {
    let folder = keys();
    let file = file(&folder, cookie);
    let prefix = format!("{}/", folder.path().display());
    match model(&file, options) {
        Err(found) => (None, lines(&found, &prefix)),
        Ok(model) => {
            let ServiceKind::LoadBalancer(balancer) = &model.services[0].kind else { panic!() };
            (balancer.sticky.clone().unwrap().sealing, Vec::new())
        }
    }
}

#[test]
fn sealing_is_off_unless_it_is_written() {
    for cookie in ["secure: true", "value: hash", "value: HASH", "value: ''"] {
        assert_eq!(checked(cookie, STRICT), (None, Vec::new()), "{cookie}");
    }
}

#[test]
fn keys_and_times_are_read() {
    let bare = Sealing {
        keys: vec![key(1)],
        lifetime: None,
        idle_timeout: None,
        accept_hash_until_s: None,
    };
    let day_s = 1_806_451_200;
    let with = |change: fn(&mut Sealing)| {
        let mut sealing = bare.clone();
        change(&mut sealing);
        sealing
    };
    for (cookie, want) in [
        ("value: sealed, keys: [DIR/a.key]", bare.clone()),
        ("value: Sealed, KEYS: DIR/a.key", bare.clone()),
        ("value: sealed, keys: 'DIR/a.key,DIR/b.key'", with(|it| it.keys.push(key(2)))),
        (
            "value: sealed, keys: [DIR/a.key], lifetime: 12h, idleTimeout: 1800",
            with(|it| {
                it.lifetime = Some(Duration::from_secs(43_200));
                it.idle_timeout = Some(Duration::from_secs(1800));
            }),
        ),
    ] {
        assert_eq!(checked(cookie, STRICT), (Some(want), Vec::new()), "{cookie}");
    }
    for (date, want) in [
        ("2027-03-31", day_s),
        ("'2027-03-31'", day_s),
        ("2027-03-31T01:00:00Z", day_s + 3600),
        ("2027-03-31T01:00:00+01:00", day_s),
        ("1970-01-01", 0),
    ] {
        let cookie = format!("value: sealed, keys: [DIR/a.key], acceptHashUntil: {date}");
        let sealing = checked(&cookie, STRICT).0.unwrap_or_else(|| panic!("{date}"));
        assert_eq!(sealing.accept_hash_until_s, Some(want), "{date}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_and_without_lenient() {
    let sealed = "value: sealed, keys: [DIR/a.key]";
    for (cookie, want) in [
        ("value: signed", "value: unknown value `signed`; write hash or sealed"),
        ("value: sealed", "keys: a sealed value needs a key; make one with `sundew keygen`"),
        ("value: sealed, keys: []", "keys: a sealed value needs a key"),
        ("value: sealed, keys: ['']", "keys[0]: no file is named"),
        ("value: sealed, keys: [DIR/a.key, DIR/x.key]", "keys[1]: `x.key`: no such key file"),
        ("keys: [DIR/a.key]", "keys: only sealed values have it; write `value: sealed`"),
        ("value: hash, lifetime: 1h", "lifetime: only sealed values have it"),
        ("idleTimeout: 1h", "idleTimeout: only sealed values have it"),
        ("acceptHashUntil: 2027-01-01", "acceptHashUntil: only sealed values have it"),
        (&format!("{sealed}, lifetime: 0"), "lifetime: must be whole seconds, at least one"),
        (&format!("{sealed}, lifetime: -1h"), "lifetime: a negative duration"),
        (&format!("{sealed}, idleTimeout: 1500ms"), "idleTimeout: must be whole seconds"),
        (&format!("{sealed}, lifetime: soon"), "lifetime: `soon` is not a duration"),
        (&format!("{sealed}, acceptHashUntil: soon"), "acceptHashUntil: `soon` is not a date"),
        (&format!("{sealed}, acceptHashUntil: 2027-02-30"), "`2027-02-30` is not a date"),
        (&format!("{sealed}, acceptHashUntil: 1969-12-31"), "`1969-12-31` is not a date"),
        (
            &format!("value: sealed, keys: [{}]", ["DIR/a.key"; 9].join(", ")),
            "keys: 9 keys; write at most 8",
        ),
    ] {
        for options in [STRICT, LENIENT] {
            let (sealing, said) = checked(cookie, options);
            assert_eq!(sealing, None, "{cookie}");
            let is_said = said.iter().any(|it| it.contains(want) && !it.contains("warning"));
            assert!(is_said, "{cookie}: {said:#?}");
        }
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let folder = keys();
    let cookie = "value: sealed, keys: [DIR/a.key, DIR/c.key], lifetime: 1h, idleTimeout: 1h";
    let (_, initial) = Loader::open(&file(&folder, cookie), STRICT).unwrap();
    let said = lines(&initial.diagnostics, &format!("{}/", folder.path().display()));
    for want in
        ["`c.key` holds the same key as one before it", "never reached: `lifetime` is not longer"]
    {
        assert!(said.iter().any(|it| it.contains(want) && it.contains("warning")), "{said:#?}");
    }
}

#[test]
fn a_key_that_was_good_stays_on_reload_and_a_new_one_must_be_good() {
    let folder = keys();
    let path = file(&folder, "value: sealed, keys: [DIR/a.key]");
    let (mut loader, _) = Loader::open(&path, STRICT).unwrap();
    assert!(loader.watched_directories().contains(&folder.path().to_owned()));
    let sealing = |loader: &mut Loader| {
        let reload = loader.reload().map_err(|it| lines(&it, ""))?;
        let ServiceKind::LoadBalancer(it) = &reload.model.services[0].kind else { panic!() };
        let keys = it.sticky.clone().unwrap().sealing.unwrap().keys;
        Ok::<_, Vec<String>>((keys, lines(&reload.diagnostics, "")))
    };
    let key_path = folder.path().join("a.key");
    for spoilt in ["", "x"] {
        put(&key_path, spoilt);
        let (keys, said) = sealing(&mut loader).unwrap();
        assert_eq!(keys, [key(1)]);
        assert!(said[0].contains("its last good key stays"), "{said:#?}");
    }
    put(&key_path, &key_file::text(&key(7)));
    assert_eq!(sealing(&mut loader).unwrap(), (vec![key(7)], Vec::new()));
    file(&folder, "value: sealed, keys: [DIR/a.key, DIR/new.key]");
    let said = sealing(&mut loader).unwrap_err();
    assert!(said[0].contains("no such key file"), "{said:#?}");
    put(&folder.path().join("new.key"), &key_file::text(&key(8)));
    assert_eq!(sealing(&mut loader).unwrap().0, [key(7), key(8)]);
}
