use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::super::fixtures::{check, model, server, service};
use super::*;

const SOON: Duration = Duration::from_secs(5);

/// A server that answers each connection by a script and keeps what it was asked.
#[derive(Clone)]
struct Origin {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// `answer` gets the request's head and gives the whole response; empty: silence.
    async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let origin = Self { url, heads: Arc::default() };
        let (heads, answer) = (origin.heads.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (heads, answer) = (heads.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    let head = String::from_utf8(head).unwrap();
                    let response = answer(&head);
                    heads.lock().unwrap().push(head);
                    if response.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    // The client may have seen enough.
                    let _ = stream.write_all(response.as_bytes()).await;
                });
            }
        });
        origin
    }

    async fn status(status: u16) -> Self {
        Self::start(move |_| answer(status)).await
    }

    fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok")
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

async fn probe_once(url: &str, check: &HealthCheck) -> Result<(), Unhealthy> {
    timeout(SOON, probe::probe(&server(url), check, &Names::default())).await.unwrap()
}

#[tokio::test]
async fn a_status_is_healthy_from_200_to_399_or_when_it_is_the_wanted_one() {
    let cases = [
        (200, None, Ok(())),
        (302, None, Ok(())),
        (399, None, Ok(())),
        (400, None, Err(Unhealthy::Status(400))),
        (503, None, Err(Unhealthy::Status(503))),
        (204, Some(204), Ok(())),
        (200, Some(204), Err(Unhealthy::Status(200))),
        (503, Some(503), Ok(())),
    ];
    for (status, wanted, want) in cases {
        let origin = Origin::status(status).await;
        let check = HealthCheck { status: wanted, ..check() };
        assert_eq!(probe_once(&origin.url, &check).await, want, "{status} for {wanted:?}");
    }
}

#[tokio::test]
async fn the_request_carries_what_the_check_says() {
    let origin = Origin::status(200).await;
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let custom = HealthCheck {
        path: "../ready?deep=1".into(),
        method: "HEAD".into(),
        hostname: Some("app.example".into()),
        headers: vec![
            field("X-Probe", "yes"),
            field("x-probe", "the last one"),
            field("User-Agent", "mine"),
            field("Host", "is not set this way"),
        ],
        ..check()
    };
    probe_once(&format!("{}/base/x", origin.url), &custom).await.unwrap();
    probe_once(&origin.url, &check()).await.unwrap();
    let heads = origin.heads();
    let (custom, plain) = (heads[0].to_ascii_lowercase(), &heads[1]);
    assert!(custom.starts_with("head /ready?deep=1 http/1.1\r\n"), "{custom}");
    for part in ["\r\nhost: app.example\r\n", "x-probe: the last one", "user-agent: mine"] {
        assert!(custom.contains(part), "{part} in {custom}");
    }
    assert_eq!(custom.matches("host:").count(), 1);
    assert_eq!(custom.matches("x-probe:").count(), 1);
    let authority = origin.authority();
    assert!(plain.contains(&format!("host: {authority}\r\n")), "{plain}");
    assert!(plain.contains(concat!("user-agent: sundew/", env!("CARGO_PKG_VERSION"))), "{plain}");
}

#[tokio::test]
async fn the_checks_port_is_probed_instead_of_the_servers() {
    let origin = Origin::status(200).await;
    let port = origin.authority().rsplit_once(':').unwrap().1.parse().unwrap();
    let check = HealthCheck { port: Some(port), ..check() };
    probe_once("http://127.0.0.1:1", &check).await.unwrap();
    assert!(origin.heads()[0].contains(&format!("host: 127.0.0.1:{port}\r\n")));
}

#[tokio::test]
async fn redirects_are_followed_to_their_end_unless_switched_off() {
    let origin = Origin::start(|head| match head {
        head if head.starts_with("POST /health ") => redirect(307, "/kept"),
        head if head.starts_with("POST /kept ") => redirect(302, "down?x=1"),
        head if head.starts_with("GET /down?x=1 ") => answer(503),
        _ => answer(500),
    })
    .await;
    let followed = HealthCheck { method: "POST".into(), ..check() };
    assert_eq!(probe_once(&origin.url, &followed).await, Err(Unhealthy::Status(503)));
    let judged = HealthCheck { follow_redirects: false, ..followed };
    assert_eq!(probe_once(&origin.url, &judged).await, Ok(()));
    let wanted = HealthCheck { status: Some(200), ..judged };
    assert_eq!(probe_once(&origin.url, &wanted).await, Err(Unhealthy::Status(307)));
}

#[tokio::test]
async fn redirects_without_end_are_given_up() {
    let origin = Origin::start(|_| redirect(302, "/again")).await;
    assert_eq!(probe_once(&origin.url, &check()).await, Err(Unhealthy::TooManyRedirects));
    assert_eq!(origin.heads().len(), probe::REDIRECTS_MAX);
}

#[tokio::test]
async fn credentials_and_host_name_are_not_taken_to_another_host() {
    let elsewhere = Origin::status(200).await;
    let location = format!("{}/moved", elsewhere.url);
    let origin = Origin::start(move |_| redirect(301, &location)).await;
    let field = |name: &str| (name.to_owned(), "secret".to_owned());
    let check = HealthCheck {
        hostname: Some("app.example".into()),
        headers: vec![field("Authorization"), field("Cookie"), field("X-Probe")],
        ..check()
    };
    probe_once(&origin.url, &check).await.unwrap();
    assert!(origin.heads()[0].contains("authorization: secret"));
    let head = &elsewhere.heads()[0];
    assert!(head.starts_with("GET /moved "), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", elsewhere.authority())), "{head}");
    assert!(head.contains("x-probe: secret"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("cookie"), "{head}");
}

#[tokio::test]
async fn each_kind_of_failure_is_named() {
    let quick = HealthCheck { timeout: Duration::from_millis(50), ..check() };
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let silent = Origin::start(|_| String::new()).await;
    let garbage = Origin::start(|_| "SSH-2.0-x\r\n\r\n".into()).await;
    let secure = Origin::start(|_| redirect(301, "https://127.0.0.1/")).await;
    let of = async |url: &str| probe_once(url, &quick).await.unwrap_err();
    assert!(matches!(of(&closed).await, Unhealthy::Connect(_)));
    assert_eq!(of(&silent.url).await, Unhealthy::Timeout);
    assert!(matches!(of(&garbage.url).await, Unhealthy::Exchange(_)));
    assert!(matches!(of(&secure.url).await, Unhealthy::Target(_)));
    assert_eq!(of("http://name.invalid").await, Unhealthy::NoAddress);
    let absolute = HealthCheck { path: "http://127.0.0.1/".into(), ..check() };
    assert!(matches!(probe_once(&silent.url, &absolute).await, Err(Unhealthy::Target(_))));
}

#[tokio::test]
async fn the_first_probe_is_sent_at_once_and_servers_are_probed_in_parallel() {
    let silent = Origin::start(|_| String::new()).await;
    let good = Origin::status(200).await;
    let slow = HealthCheck {
        interval: Duration::from_secs(3600),
        unhealthy_interval: Duration::from_secs(3600),
        timeout: Duration::from_secs(3600),
        ..check()
    };
    let mut prober = Prober::new(Names::default());
    prober.follow(&model(vec![service("app", Some(slow), &[&silent.url, &good.url])]));
    let verdict = timeout(SOON, prober.next()).await.unwrap();
    assert_eq!(&*verdict.key.url, good.url, "the silent server delays nobody");
    assert!(verdict.outcome.is_ok() && prober.is_current(&verdict));
}

#[tokio::test]
async fn a_server_that_is_down_is_probed_at_the_unhealthy_interval() {
    let origin = Origin::status(503).await;
    let check = HealthCheck { interval: Duration::from_secs(3600), ..check() };
    let mut prober = Prober::new(Names::default());
    prober.follow(&model(vec![service("app", Some(check), &[&origin.url])]));
    for _ in 0..3 {
        let verdict = timeout(SOON, prober.next()).await.unwrap();
        assert_eq!(verdict.outcome, Err(Unhealthy::Status(503)));
    }
}

#[tokio::test]
async fn a_reload_leaves_unchanged_tasks_alone_and_restarts_changed_ones() {
    let (same, other) = (Origin::status(200).await, Origin::status(200).await);
    let slow = HealthCheck { interval: Duration::from_secs(3600), ..check() };
    let both = |path: &str| {
        let changed = HealthCheck { path: path.into(), ..slow.clone() };
        model(vec![
            service("same", Some(slow.clone()), &[&same.url]),
            service("changed", Some(changed), &[&other.url]),
        ])
    };
    let mut prober = Prober::new(Names::default());
    prober.follow(&both("/old"));
    let verdicts = [prober.next().await, prober.next().await];
    prober.follow(&both("/new"));
    for verdict in &verdicts {
        let is_kept = &*verdict.key.service == "same";
        assert_eq!(prober.is_current(verdict), is_kept, "{:?}", verdict.key);
    }
    let fresh = timeout(SOON, prober.next()).await.unwrap();
    assert_eq!(&*fresh.key.service, "changed");
    assert!(other.heads()[1].starts_with("GET /new "));
    assert_eq!(same.heads().len(), 1, "its interval goes on");
    prober.follow(&model(Vec::new()));
    assert!(!prober.is_current(&fresh));
}

#[test]
fn a_probe_that_fails_for_want_of_descriptors_says_nothing_about_its_server() {
    use rustix::io::Errno;
    let check = HealthCheck { unhealthy_threshold: 2, ..check() };
    let mut streak = Streak::default();
    let mut decided = |code: Errno| {
        let refusal = probe::refusal(&std::io::Error::from_raw_os_error(code.raw_os_error()));
        is_decided(&Err(refusal), &mut streak, &check)
    };
    assert!(!decided(Errno::CONNREFUSED), "the first of two");
    for shortage in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM] {
        assert!(!decided(shortage), "{shortage}");
    }
    assert!(decided(Errno::CONNREFUSED), "the second: those between did not count at all");
}
