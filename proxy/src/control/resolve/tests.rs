use std::collections::VecDeque;

use super::super::fixtures::{model, service};
use super::*;

type Script = Arc<Mutex<HashMap<String, VecDeque<io::Result<Vec<IpAddr>>>>>>;

/// A resolver that answers each name from its script, and then never.
fn scripted(script: &[(&str, &[&[&str]])]) -> (Resolver, Script) {
    let answers = script.iter().map(|(host, answers)| {
        let answers = answers.iter().map(|ips| match *ips {
            ["error"] => Err(io::Error::other("no such host")),
            ips => Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()),
        });
        ((*host).to_owned(), answers.collect())
    });
    let script: Script = Arc::new(Mutex::new(answers.collect()));
    let source = script.clone();
    let resolver = Resolver::new(Arc::new(move |host| {
        let answer = source.lock().unwrap().get_mut(&host).and_then(VecDeque::pop_front);
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }));
    (resolver, script)
}

fn at(host: &str) -> Endpoint {
    Endpoint::Tcp { host: host.into(), port: 80 }
}

fn found(resolver: &Resolver, host: &str) -> Vec<String> {
    resolver.addresses(&at(host)).iter().map(ToString::to_string).collect()
}

const WAIT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn every_address_of_a_name_is_known_before_the_service_is_up() {
    let (mut resolver, _) = scripted(&[("app", &[&["10.0.0.1", "::1", "10.0.0.1"]])]);
    resolver.learn(&model(vec![service("one", None, &["http://app:80"])]), WAIT).await;
    assert_eq!(found(&resolver, "app"), ["10.0.0.1:80", "[::1]:80"]);
}

#[tokio::test(start_paused = true)]
async fn literal_addresses_need_no_lookup() {
    let (mut resolver, _) = scripted(&[]);
    let before = Instant::now();
    resolver.learn(&model(vec![service("one", None, &["http://10.0.0.1:80"])]), WAIT).await;
    assert_eq!(Instant::now(), before, "nothing was waited for");
    assert_eq!(found(&resolver, "10.0.0.1"), ["10.0.0.1:80"]);
    assert_eq!(found(&resolver, "::1"), ["[::1]:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_unix_socket_is_its_own_address() {
    let (mut resolver, _) = scripted(&[]);
    resolver.learn(&model(vec![]), WAIT).await;
    let socket = Endpoint::Unix { path: "/run/app.sock".into() };
    let found: Vec<_> = resolver.addresses(&socket).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["unix:/run/app.sock"]);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_never_answers_delays_the_start_only_so_long() {
    let (mut resolver, _) = scripted(&[("good", &[&["10.0.0.1"]])]);
    let before = Instant::now();
    let both = model(vec![service("one", None, &["http://good:80", "http://silent:80"])]);
    resolver.learn(&both, WAIT).await;
    assert_eq!(Instant::now() - before, WAIT);
    assert_eq!(found(&resolver, "good"), ["10.0.0.1:80"]);
    assert!(found(&resolver, "silent").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_fails_later_keeps_its_last_good_addresses() {
    let (mut resolver, _) = scripted(&[("app", &[&["10.0.0.1"], &["error"], &[], &["10.0.0.2"]])]);
    resolver.learn(&model(vec![service("one", None, &["http://app:80"])]), WAIT).await;
    for (step, want_change, want) in [
        ("error", None, "10.0.0.1:80"),
        ("no address", None, "10.0.0.1:80"),
        ("moved", Some("app"), "10.0.0.2:80"),
    ] {
        tokio::time::advance(REPEAT_MIN).await;
        resolver.refresh_all();
        let answer = resolver.next().await;
        assert_eq!(resolver.apply(answer).as_deref(), want_change, "{step}");
        assert_eq!(found(&resolver, "app"), [want], "{step}");
    }
}

#[tokio::test(start_paused = true)]
async fn rotated_addresses_are_no_change_and_keep_their_order() {
    let (mut resolver, _) =
        scripted(&[("app", &[&["10.0.0.1", "10.0.0.2"], &["10.0.0.2", "10.0.0.1"]])]);
    resolver.learn(&model(vec![service("one", None, &["http://app:80"])]), WAIT).await;
    tokio::time::advance(REPEAT_MIN).await;
    resolver.refresh("app");
    let answer = resolver.next().await;
    assert_eq!(resolver.apply(answer), None);
    assert_eq!(found(&resolver, "app"), ["10.0.0.1:80", "10.0.0.2:80"]);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failed_connections_asks_once_a_second() {
    let (mut resolver, script) = scripted(&[("app", &[&["10.0.0.1"][..]; 10])]);
    let started = Instant::now();
    resolver.learn(&model(vec![service("one", None, &["http://app:80"])]), WAIT).await;
    let left = || script.lock().unwrap()["app"].len();
    for second in 1..=3 {
        for _ in 0..100 {
            resolver.refresh("app");
        }
        let answer = resolver.next().await;
        resolver.apply(answer);
        assert_eq!(Instant::now() - started, REPEAT_MIN * second, "put off, not ignored");
        assert_eq!(left(), 9 - second as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn names_in_no_use_are_forgotten_and_their_late_answers_ignored() {
    let (mut resolver, _) = scripted(&[("app", &[&["10.0.0.1"], &["10.0.0.2"]])]);
    resolver.learn(&model(vec![service("one", None, &["http://app:80"])]), WAIT).await;
    tokio::time::advance(REPEAT_MIN).await;
    resolver.refresh("app");
    resolver.retain(&model(Vec::new()));
    let late = resolver.next().await;
    assert_eq!(resolver.apply(late), None);
    assert!(found(&resolver, "app").is_empty());
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let mut resolver = Resolver::default();
    resolver.learn(&model(vec![service("one", None, &["http://localhost:80"])]), WAIT).await;
    let found = found(&resolver, "localhost");
    assert!(found.iter().all(|it| it == "127.0.0.1:80" || it == "[::1]:80"), "{found:?}");
    assert!(!found.is_empty());
}
