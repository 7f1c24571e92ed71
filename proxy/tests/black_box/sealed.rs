//! Sealed cookies: pins that nobody can read or make, shared by replicas through their keys alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{
    Client, ClosedPort, Driver, Origin, Response, Setup, Sundew, app_with, eventually,
    on_both_drivers, pin_of,
};

on_both_drivers!(
    a_sealed_pin_pins_and_shows_nothing,
    processes_that_share_keys_agree,
    a_rotation_of_keys_loses_nobody,
    clients_with_a_hash_migrate_until_the_date,
    what_was_not_sealed_here_pins_to_nobody,
    a_pin_ends_with_its_lifetime,
    a_pin_in_use_is_renewed_and_one_without_use_ends,
    a_pin_to_a_server_that_left_is_gone,
    a_pinned_server_that_refuses_is_replaced_by_a_sealed_pin,
    both_levels_may_be_sealed,
    strict_refuses_who_had_a_server_and_nobody_else,
    a_sealed_pin_moves_to_another_name_of_its_cookie,
    a_key_that_spoils_later_stays,
    a_key_file_that_is_replaced_is_read_at_once,
    a_bad_key_file_refuses_the_start,
    a_cookie_made_by_the_command_line_pins,
);

/// Key files, in a folder of their own.
struct Keys(TempDir);

impl Keys {
    fn new(names: &[&str]) -> Self {
        let keys = Self(tempfile::tempdir().expect("a folder"));
        for name in names {
            keys.write(name, &key_of(name), 0o600);
        }
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        fs::write(&path, text).expect("a key file");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }

    /// The balancer's lines for the cookie `sid`, sealed with the keys of these names.
    fn sticky(&self, names: &[&str], more: &str) -> String {
        let files = names.iter().map(|name| format!("'{}'", self.path(name).display()));
        let files = files.collect::<Vec<_>>().join(", ");
        format!("sticky: {{cookie: {{name: sid, value: sealed, keys: [{files}]{more}}}}}")
    }
}

/// The text of a key file, another one for each name.
fn key_of(name: &str) -> String {
    let digits = name.bytes().cycle().zip(0..32).map(|(byte, at)| format!("{:02x}", byte ^ at));
    format!("sundew-key-1:{}\n", digits.collect::<String>())
}

/// The value of `sid` that a response sets.
#[track_caller]
fn value(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    let value = response.cookie("sid").expect("a cookie").to_owned();
    assert_eq!(value.len(), 60, "{value}");
    assert!(value.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)), "{value}");
    value
}

/// Asks with `sid`; returns who answered and the value that the answer sets.
fn ask(proxy: &Sundew, sid: &str) -> (String, Option<String>) {
    let response = Client::fetch_with_cookie(proxy.address(), &format!("sid={sid}"));
    assert_eq!(response.status, 200, "{sid}");
    (response.text(), response.cookie("sid").map(str::to_owned))
}

fn pinned(server: &str) -> (String, Option<String>) {
    (server.to_owned(), None)
}

/// Asks with `sid` for a path that nobody else asks for; returns its word in the access log and
/// the value that the answer sets.
fn status(proxy: &Sundew, path: &str, sid: &str) -> (String, Option<String>) {
    let fields = format!("Cookie: sid={sid}\r\n");
    let response = Client::connect(proxy.address()).get(path, &fields);
    assert_eq!(response.status, 200, "{sid}");
    let word = eventually("the record of the request", || {
        let records = proxy.access_records(1);
        let record = records.iter().find(|it| it.text("RequestPath") == path)?;
        Some(record.sticky().to_owned())
    });
    (word, response.cookie("sid").map(str::to_owned))
}

fn a_sealed_pin_pins_and_shows_nothing(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let sticky = keys.sticky(&["k"], ", httpOnly: true, maxAge: 60");
    let proxy = Setup::new(driver, app_with(&sticky, &[&a.url(), &b.url()])).start();
    let mut seen = Vec::new();
    for turn in 0..4 {
        let first = Client::fetch(proxy.address(), "/");
        let sid = value(&first);
        let line = format!("sid={sid}; Path=/; Max-Age=60; HttpOnly");
        assert_eq!(first.all("Set-Cookie"), [line], "turn {turn}");
        for _ in 0..3 {
            assert_eq!(ask(&proxy, &sid), pinned(&first.text()));
        }
        seen.push(sid);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "no two clients have the same value: {seen:?}");
    let words: Vec<_> = proxy.access_records(16).iter().map(|it| it.sticky().to_owned()).collect();
    assert_eq!(words, ["new", "pinned", "pinned", "pinned"].repeat(4));
}

fn processes_that_share_keys_agree(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k", "next"]);
    // The second has the servers in another order, and is a step of a rotation ahead.
    let one = app_with(&keys.sticky(&["k"], ""), &[&a.url(), &b.url()]);
    let other = app_with(&keys.sticky(&["k", "next"], ""), &[&b.url(), &a.url()]);
    let one = Setup::new(driver, one).start();
    let other = Setup::new(driver, other).workers(2).start();
    for (from, to) in [(&one, &other), (&other, &one), (&one, &other), (&other, &one)] {
        for _ in 0..2 {
            let first = Client::fetch(from.address(), "/");
            assert_eq!(ask(to, &value(&first)), pinned(&first.text()));
        }
    }
}

fn a_rotation_of_keys_loses_nobody(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["old", "new"]);
    let urls = [a.url(), b.url()];
    let with = |names: &[&str]| app_with(&keys.sticky(names, ""), &[&urls[0], &urls[1]]);
    let proxy = Setup::new(driver, with(&["old"])).start();
    let firsts: Vec<_> = (0..4).map(|_| Client::fetch(proxy.address(), "/")).collect();
    let clients: Vec<_> = firsts.iter().map(|it| (it.text(), value(it))).collect();

    proxy.replace_dynamic(&with(&["new", "old"]));
    let sid = &clients[0].1;
    eventually("the new keys are there", || ask(&proxy, sid).1);
    let renewed: Vec<_> = clients
        .iter()
        .map(|(server, sid)| {
            let (by, renewed) = ask(&proxy, sid);
            assert_eq!(&by, server);
            (by, renewed.expect("a value under the new key"))
        })
        .collect();
    for (server, sid) in &renewed {
        assert_eq!(ask(&proxy, sid), pinned(server));
    }
    // How often was asked until the new keys were there is not known.
    eventually("five renewals in the log", || {
        let records = proxy.access_records(13);
        let renewals = records.iter().filter(|it| it.sticky() == "rewritten").count();
        (renewals >= 5).then_some(())
    });

    proxy.replace_dynamic(&with(&["new"]));
    eventually("the old key is gone", || ask(&proxy, sid).1);
    for (server, sid) in &renewed {
        assert_eq!(ask(&proxy, sid), pinned(server));
    }
}

fn clients_with_a_hash_migrate_until_the_date(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let urls = [a.url(), b.url()];
    let with = |more| app_with(&keys.sticky(&["k"], more), &[&urls[0], &urls[1]]);
    let proxy = Setup::new(driver, with(", acceptHashUntil: 2105-12-31")).start();
    for (url, name) in [(&urls[0], "a"), (&urls[1], "b")] {
        // Today's value, and the oldest: the URL itself.
        for old in [pin_of(url), url.clone()] {
            let (server, sealed) = ask(&proxy, &old);
            assert_eq!(server, name, "{old}");
            let sealed = sealed.expect("a sealed value instead");
            assert_eq!((sealed.len(), ask(&proxy, &sealed)), (60, pinned(name)), "{old}");
        }
    }
    let records = proxy.access_records(8);
    let words: Vec<_> = records.iter().map(|record| record.sticky().to_owned()).collect();
    assert_eq!(words, ["rewritten", "pinned"].repeat(4));

    for more in [", acceptHashUntil: 2020-01-01T12:00:00Z", ""] {
        let proxy = Setup::new(driver, with(more)).start();
        let served_by: Vec<_> = (0..4).map(|_| ask(&proxy, &pin_of(&urls[0])).0).collect();
        assert!(served_by.contains(&"b".to_owned()), "{more}: {served_by:?}");
        assert!(proxy.access_records(4).iter().all(|it| it.sticky() == "unknown"), "{more}");
    }
}

fn what_was_not_sealed_here_pins_to_nobody(driver: Driver) {
    let a = Origin::named("a");
    let keys = Keys::new(&["k", "stranger"]);
    let sticky = |key| app_with(&keys.sticky(&[key], ""), &[&a.url()]);
    let proxy = Setup::new(driver, sticky("k")).start();
    let sid = value(&Client::fetch(proxy.address(), "/"));
    let stranger = Setup::new(driver, sticky("stranger")).start();
    let foreign_key = value(&Client::fetch(stranger.address(), "/"));
    let other = Setup::new(driver, sticky("k").replace("app", "bpp")).start();
    let foreign_service = value(&Client::fetch(other.address(), "/"));
    let last = if sid.ends_with('A') { "B" } else { "A" };
    let table = [
        ("another key", foreign_key, "forged"),
        ("another service", foreign_service, "forged"),
        ("a changed tag", format!("{}{last}", &sid[..59]), "forged"),
        ("another version", format!("B{}", &sid[1..]), "forged"),
        ("cut", sid[..59].to_owned(), "unknown"),
        ("extended", format!("{sid}A"), "unknown"),
        ("padded", format!("{sid}="), "unknown"),
        ("another alphabet", format!("{}+", &sid[..59]), "forged"),
        ("a hash", pin_of(&a.url()), "unknown"),
        ("nothing", String::new(), "new"),
    ];
    for (at, (name, sid, want)) in table.into_iter().enumerate() {
        let (word, fresh) = status(&proxy, &format!("/{at}"), &sid);
        assert_eq!((word.as_str(), fresh.map(|it| it.len())), (want, Some(60)), "{name}");
    }
    assert_eq!(ask(&proxy, &sid), pinned("a"));
}

fn a_pin_ends_with_its_lifetime(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let sticky = keys.sticky(&["k"], ", lifetime: 2s");
    let proxy = Setup::new(driver, app_with(&sticky, &[&a.url(), &b.url()])).start();
    let began = Instant::now();
    let first = Client::fetch(proxy.address(), "/");
    let sid = value(&first);
    eventually("the pin ends, however often it is used", || {
        let (server, fresh) = ask(&proxy, &sid);
        assert!(fresh.is_some() || server == first.text());
        fresh
    });
    // Seconds are whole ones, and the clock may be a tick behind.
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
    let (word, fresh) = status(&proxy, "/late", &sid);
    assert_eq!(word, "expired");
    assert!(fresh.is_some_and(|it| it != sid));
}

fn a_pin_in_use_is_renewed_and_one_without_use_ends(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let sticky = keys.sticky(&["k"], ", idleTimeout: 4s");
    let proxy = Setup::new(driver, app_with(&sticky, &[&a.url(), &b.url()])).start();
    let first = Client::fetch(proxy.address(), "/");
    let server = first.text();
    let unused = value(&first);
    let (mut sid, mut renewals) = (unused.clone(), 0);
    // The client goes on for longer than it could stay away.
    eventually("the client is renewed past the timeout", || {
        let (by, renewed) = ask(&proxy, &sid);
        assert_eq!(by, server);
        if let Some(renewed) = renewed {
            renewals += 1;
            sid = renewed;
        }
        (renewals >= 5).then_some(())
    });
    let records = proxy.access_records(1 + renewals);
    assert!(records[1..].iter().all(|it| it.sticky() == "pinned"), "a renewal is no news");
    assert_eq!(ask(&proxy, &sid), pinned(&server));
    let (word, fresh) = status(&proxy, "/late", &unused);
    assert_eq!((word.as_str(), fresh.is_some()), ("expired", true));
}

fn a_pin_to_a_server_that_left_is_gone(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let with = |urls: &[&str]| app_with(&keys.sticky(&["k"], ""), urls);
    let proxy = Setup::new(driver, with(&[&a.url()])).start();
    let sid = value(&Client::fetch(proxy.address(), "/"));
    proxy.replace_dynamic(&with(&[&b.url()]));
    let fresh = eventually("the client moves to b", || {
        let (server, fresh) = ask(&proxy, &sid);
        (server == "b").then_some(fresh)
    });
    assert_eq!(status(&proxy, "/late", &sid).0, "gone");
    assert_eq!(ask(&proxy, &fresh.expect("a new pin")), pinned("b"));
}

fn a_pinned_server_that_refuses_is_replaced_by_a_sealed_pin(driver: Driver) {
    let (dead, b) = (ClosedPort::new(), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let with = |urls: &[&str]| app_with(&keys.sticky(&["k"], ""), urls);
    let alone = Setup::new(driver, with(&[&dead.url()])).start();
    let refused = Client::fetch(alone.address(), "/");
    assert_eq!(refused.status, 502, "and pinned all the same, as under Traefik");
    let sid = refused.cookie("sid").expect("a pin").to_owned();
    let proxy = Setup::new(driver, with(&[&dead.url(), &b.url()])).start();
    // Both were sealed for the same service of another process.
    let (word, moved) = status(&proxy, "/", &sid);
    assert_eq!(word, "redispatched");
    assert_eq!(ask(&proxy, &moved.expect("a new pin")), pinned("b"));
}

fn both_levels_may_be_sealed(driver: Driver) {
    let origins = ["a", "b", "c", "d"].map(Origin::named);
    let [a, b, c, d] = origins.each_ref().map(Origin::url);
    let keys = Keys::new(&["k"]);
    let outer = keys.sticky(&["k"], "").replace("name: sid", "name: outer");
    let inner = keys.sticky(&["k"], "");
    let text = format!(
        "http:\n  routers:\n    app: {{rule: \"PathPrefix(`/`)\", service: app}}\n  services:\n    \
         app: {{weighted: {{{outer}, services: [{{name: one}}, {{name: two}}]}}}}\n    \
         one: {{loadBalancer: {{{inner}, servers: [{{url: '{a}'}}, {{url: '{b}'}}]}}}}\n    \
         two: {{loadBalancer: {{{inner}, servers: [{{url: '{c}'}}, {{url: '{d}'}}]}}}}\n"
    );
    let proxy = Setup::new(driver, text).start();
    for _ in 0..8 {
        let first = Client::fetch(proxy.address(), "/");
        let (outer, inner) = (first.cookie("outer").expect("a pin"), value(&first));
        assert_eq!((first.all("Set-Cookie").len(), outer.len()), (2, 60));
        let both = format!("outer={outer}; sid={inner}");
        for _ in 0..3 {
            let again = Client::fetch_with_cookie(proxy.address(), &both);
            assert_eq!((again.text(), again.field("Set-Cookie")), (first.text(), None));
        }
    }
}

fn strict_refuses_who_had_a_server_and_nobody_else(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k", "stranger"]);
    let sticky = |key, more| keys.sticky(&[key], more).replace("}}", "}, strict: true}");
    let with = |key, more, url: &str| app_with(&sticky(key, more), &[url]);
    let lifetime = ", lifetime: 2s";
    let short = Setup::new(driver, with("k", lifetime, &a.url())).start();
    let to_a = value(&Client::fetch(short.address(), "/"));
    let proxy = Setup::new(driver, with("k", "", &b.url())).start();
    let stranger = Setup::new(driver, with("stranger", "", &a.url())).start();
    let forged = value(&Client::fetch(stranger.address(), "/"));

    let refused = Client::fetch_with_cookie(proxy.address(), &format!("sid={to_a}"));
    assert_eq!((refused.status, refused.field("Set-Cookie")), (502, None), "{refused:?}");
    for sid in [forged, pin_of(&a.url()), "0123456789abcdef".to_owned(), String::new()] {
        let (server, fresh) = ask(&proxy, &sid);
        assert_eq!((server.as_str(), fresh.map(|it| it.len())), ("b", Some(60)), "{sid}");
    }
    // A pin that has ended is none: its client would be refused for ever.
    let (_, fresh) = eventually("the pin ends", || {
        let answer = ask(&short, &to_a);
        answer.1.is_some().then_some(answer)
    });
    assert_eq!(ask(&short, &fresh.expect("a new pin")), pinned("a"));
}

fn a_sealed_pin_moves_to_another_name_of_its_cookie(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let urls = [a.url(), b.url()];
    let with = |more| app_with(&keys.sticky(&["k"], more), &[&urls[0], &urls[1]]);
    let before = Setup::new(driver, with("").replace("name: sid", "name: old")).start();
    let first = Client::fetch(before.address(), "/");
    let old = first.cookie("old").expect("a pin");
    let proxy = Setup::new(driver, with(", previousNames: [old]")).start();
    let moved = Client::fetch_with_cookie(proxy.address(), &format!("old={old}"));
    let sid = value(&moved);
    let lines = [format!("sid={sid}; Path=/"), "old=; Path=/; Max-Age=0".to_owned()];
    assert_eq!(
        (moved.text(), moved.all("Set-Cookie")),
        (first.text(), lines.iter().map(String::as_str).collect())
    );
    assert_eq!(ask(&proxy, &sid), pinned(&first.text()));
}

fn a_key_that_spoils_later_stays(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&["k"]);
    let sticky = keys.sticky(&["k"], "");
    let proxy = Setup::new(driver, app_with(&sticky, &[&a.url()])).start();
    let sid = value(&Client::fetch(proxy.address(), "/"));
    let mut urls = vec![a.url()];
    for (number, (text, mode, said)) in [
        (key_of("k"), 0o644, "everybody can get at the key file"),
        (String::new(), 0o600, "the key file is empty"),
        ("secret".to_owned(), 0o600, "not a key file"),
    ]
    .into_iter()
    .enumerate()
    {
        keys.write("k", &text, mode);
        // The rest of the configuration is taken nevertheless.
        urls.push(format!("{}?{number}", b.url()));
        let each: Vec<_> = urls.iter().map(String::as_str).collect();
        proxy.replace_dynamic(&app_with(&sticky, &each));
        let line = proxy.wait_for_log(said);
        assert!(line.contains("its last good key stays"), "{line}");
        eventually("the new server is there", || {
            (Client::fetch(proxy.address(), "/").text() == "b").then_some(())
        });
        assert_eq!(ask(&proxy, &sid), pinned("a"));
    }
    fs::remove_file(keys.path("k")).expect("removed");
    proxy.signal("HUP");
    proxy.wait_for_log("no such key file");
    assert_eq!(ask(&proxy, &sid), pinned("a"));
    // A key that nobody has read before is no key.
    let bad = app_with(&keys.sticky(&["k", "other"], ""), &[&b.url()]);
    proxy.replace_dynamic(&bad);
    proxy.wait_for_log("other`: no such key file");
    assert_eq!(ask(&proxy, &sid), pinned("a"));
}

fn a_key_file_that_is_replaced_is_read_at_once(driver: Driver) {
    let a = Origin::named("a");
    let keys = Keys::new(&["k", "next"]);
    let proxy = Setup::new(driver, app_with(&keys.sticky(&["k"], ""), &[&a.url()])).start();
    let sid = value(&Client::fetch(proxy.address(), "/"));
    assert_eq!(ask(&proxy, &sid), pinned("a"));
    fs::rename(keys.path("next"), keys.path("k")).expect("a rename");
    let fresh = eventually("the old key is forgotten", || ask(&proxy, &sid).1);
    assert_eq!(ask(&proxy, &fresh), pinned("a"));
}

fn a_bad_key_file_refuses_the_start(driver: Driver) {
    let keys = Keys::new(&["k"]);
    keys.write("open", &key_of("open"), 0o604);
    keys.write("empty", "\n", 0o600);
    keys.write("malformed", "0123456789abcdef", 0o600);
    for (name, said) in [
        ("missing", "no such key file"),
        ("open", "everybody can get at the key file (mode 0604)"),
        ("empty", "the key file is empty"),
        ("malformed", "not a key file"),
    ] {
        for flag in [None, Some("--lenient")] {
            let sticky = keys.sticky(&["k", name], "");
            let mut setup = Setup::new(driver, app_with(&sticky, &["http://127.0.0.1:1"]));
            if let Some(flag) = flag {
                setup = setup.flag(flag);
            }
            let mut proxy = setup.launch();
            assert_eq!(proxy.wait_for_end().code(), Some(1), "{name}:\n{}", proxy.log());
            let line = proxy.wait_for_log(said);
            assert!(line.contains("dynamic.yml:") && line.contains(name), "{line}");
        }
    }
}

fn a_cookie_made_by_the_command_line_pins(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let keys = Keys::new(&[]);
    let file = keys.path("k").display().to_string();
    let mut keygen = Sundew::with_arguments(&["keygen", &file]);
    assert!(keygen.wait_for_end().success(), "{}", keygen.log());
    let dynamic = app_with(&keys.sticky(&["k"], ""), &[&a.url(), &b.url()]);
    let proxy = Setup::new(driver, dynamic).start();
    let config = proxy.folder().join("sundew.yml").display().to_string();
    for (url, name) in [(a.url(), "a"), (b.url(), "b")] {
        let made = Sundew::with_arguments(&["cookie", "make", "app", &url, "--config", &config]);
        let cookie = made.wait_for_log("sid=");
        let response = Client::fetch_with_cookie(proxy.address(), &cookie);
        assert_eq!((response.text().as_str(), response.field("Set-Cookie")), (name, None));
        let value = cookie.trim_start_matches("sid=");
        let explained = ["cookie", "explain", value, "--config", &config];
        let mut explained = Sundew::with_arguments(&explained);
        assert!(explained.wait_for_end().success(), "{}", explained.log());
        explained.wait_for_log(&format!("app@file: {url}; pinned, sealed with key 1 of 1"));
    }
    let unknown = ["cookie", "explain", &"A".repeat(60), "--config", &config];
    assert_eq!(Sundew::with_arguments(&unknown).wait_for_end().code(), Some(1));
}
