use std::cell::RefCell;
use std::rc::Rc;

use super::super::fixtures::{check, model, service};
use super::*;

const A: &str = "http://10.0.0.1:1";
const B: &str = "http://10.0.0.2:2";
const C: &str = "http://10.0.0.3:3";

#[derive(Clone, Default)]
struct Heard(Rc<RefCell<Vec<String>>>);

impl Inbox for Heard {
    fn send(&self, message: Message) {
        let text = match message {
            Message::Tables(snapshot) => {
                let marks = snapshot.servers.iter().map(|states| {
                    states.iter().map(|it| if it.is_up { '+' } else { '-' }).collect::<String>()
                });
                format!("tables {}", marks.collect::<Vec<_>>().join(" "))
            }
            Message::Health { service, server, is_up } => {
                format!("health {}.{} {is_up}", service.0, server.0)
            }
            Message::Addresses { service, server, addresses } => {
                format!("addresses {}.{} {addresses:?}", service.0, server.0)
            }
            other => format!("{other:?}"),
        };
        self.0.borrow_mut().push(text);
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

fn nowhere(_: &Endpoint) -> Arc<[Address]> {
    Arc::new([])
}

fn publisher(model: Model) -> (Publisher<Heard>, Heard) {
    let heard = Heard::default();
    let servers = states(&model, nowhere, |_, _| true);
    let snapshot = Snapshot { model: Arc::new(model), servers };
    (Publisher::new(vec![heard.clone()], &snapshot, Orders::default()), heard)
}

#[test]
fn only_a_change_of_health_is_sent() {
    let (mut publisher, heard) = publisher(model(vec![
        service("one", Some(check()), &[A, B]),
        service("two", Some(check()), &[A, B]),
    ]));
    assert!(!publisher.health("two", B, true), "it was up already");
    assert!(publisher.health("two", B, false));
    assert!(!publisher.health("two", B, false));
    assert!(publisher.health("two", B, true));
    assert!(!publisher.health("two", C, false), "no such server");
    assert_eq!(heard.take(), ["health 1.1 false", "health 1.1 true"]);
}

#[test]
fn a_url_written_twice_goes_down_as_one() {
    let (mut publisher, heard) = publisher(model(vec![service("one", Some(check()), &[A, B, A])]));
    publisher.health("one", A, false);
    assert_eq!(heard.take(), ["health 0.0 false", "health 0.2 false"]);
    assert_eq!(publisher.server_counts(), (3, 2));
}

#[test]
fn every_worker_hears_the_same_in_the_same_order() {
    let (one, other) = (Heard::default(), Heard::default());
    let model = model(vec![service("one", Some(check()), &[A])]);
    let servers = states(&model, nowhere, |_, _| true);
    let snapshot = Snapshot { model: Arc::new(model), servers };
    let mut publisher =
        Publisher::new(vec![one.clone(), other.clone()], &snapshot, Orders::default());
    publisher.health("one", A, false);
    publisher.terminating();
    publisher.stop(Duration::from_secs(1));
    let heard = one.take();
    assert_eq!(heard, ["health 0.0 false", "Terminating", "Stop { grace: 1s }"]);
    assert_eq!(heard, other.take());
}

#[test]
fn servers_that_stay_keep_their_health_over_a_reload_wherever_they_stand() {
    let (mut publisher, heard) = publisher(model(vec![
        service("one", Some(check()), &[A, B]),
        service("two", Some(check()), &[A]),
    ]));
    publisher.health("one", A, false);
    publisher.health("one", B, false);
    publisher.health("two", A, false);
    heard.take();
    let next = vec![
        service("new", Some(check()), &[A]),
        service("two", None, &[A]),
        service("one", Some(check()), &[C, B, A]),
    ];
    publisher.tables(model(next), nowhere);
    // `two` has no check any more that could bring its server up again.
    assert_eq!(heard.take(), ["tables + + +--"]);
    assert!(publisher.health("one", A, true));
    assert_eq!(heard.take(), ["health 2.2 true"]);
}

#[test]
fn addresses_are_sent_to_every_server_at_that_host_and_only_when_they_changed() {
    let (mut publisher, heard) = publisher(model(vec![
        service("one", None, &["http://app:1", "http://db:2"]),
        service("two", None, &["http://app:3"]),
    ]));
    let found = |endpoint: &Endpoint| -> Arc<[Address]> {
        let Endpoint::Tcp { port, .. } = endpoint else { panic!("{endpoint:?}") };
        Arc::new([std::net::SocketAddr::from(([10, 0, 0, 9], *port)).into()])
    };
    publisher.addresses("app", found);
    assert_eq!(
        heard.take(),
        ["addresses 0.0 [Tcp(10.0.0.9:1)]", "addresses 1.0 [Tcp(10.0.0.9:3)]"]
    );
    publisher.addresses("app", found);
    assert!(heard.take().is_empty());
}

#[test]
fn a_server_is_found_by_position_and_by_identity() {
    let (publisher, _) = publisher(model(vec![service("one", None, &["http://app:1"])]));
    assert_eq!(publisher.host(ServiceIndex(0), ServerIndex(0)), Some("app"));
    assert_eq!(publisher.host(ServiceIndex(0), ServerIndex(1)), None);
    assert_eq!(publisher.host_of("one", "http://app:1"), Some("app"));
    assert_eq!(publisher.host_of("other", "http://app:1"), None);
}

fn ordered(order: Order) -> Option<Standing> {
    Some(Standing { order, since: SystemTime::UNIX_EPOCH, deadline: None })
}

#[test]
fn an_order_is_told_at_once_and_survives_a_reload() {
    let services = || vec![service("one", Some(check()), &[A, B])];
    let (mut publisher, heard) = publisher(model(services()));
    publisher.order("one", B, ordered(Order::Drain)).unwrap();
    assert_eq!(
        heard.take(),
        [
            "health 0.1 true",
            "Drain { service: ServiceIndex(0), server: ServerIndex(1), is_draining: true }"
        ]
    );
    publisher.order("one", A, ordered(Order::Down)).unwrap();
    heard.take();
    publisher.tables(model(services()), nowhere);
    assert_eq!(heard.take(), ["tables -+"]);
    assert_eq!(publisher.server_counts(), (2, 1));
}

#[test]
fn a_server_that_is_ordered_down_does_not_come_back_by_its_health() {
    let (mut publisher, heard) = publisher(model(vec![service("one", Some(check()), &[A, B])]));
    publisher.order("one", A, ordered(Order::Down)).unwrap();
    heard.take();
    assert!(publisher.health("one", A, false));
    assert!(publisher.health("one", A, true));
    assert_eq!(heard.take(), [""; 0]);
    assert!(publisher.health("one", A, false));
    publisher.order("one", A, None).unwrap();
    assert_eq!(heard.take().first().map(String::as_str), Some("health 0.0 false"));
}
