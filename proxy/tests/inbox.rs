//! What the control thread tells a worker takes effect at once: measured from the message to the
//! answers, on both drivers.
//!
//! The worker runs in this process, without a control thread: the test speaks in its place.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sundew::io::Address;
use sundew::worker::inbox::{Message, Report, ServerState, SharedInFlight, Snapshot};
use sundew::worker::{Caps, WorkerHandle, WorkerOptions, start};
use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::{DriverChoice, EntryPointIndex, ServerIndex, ServiceIndex};
use tokio::sync::mpsc::UnboundedReceiver;

/// Longest that a change may take to be seen (the issue that asked for workers says so).
const APPLY_MAX: Duration = Duration::from_millis(10);
/// A busy machine may be late; in one of so many tries it must not be.
const TRIES: usize = 20;
/// Longest wait of one try.
const DEADLINE: Duration = Duration::from_secs(10);

const SERVICE: ServiceIndex = ServiceIndex(0);

/// A worker, and one client's connection to it.
struct Running {
    worker: WorkerHandle,
    client: TcpStream,
    _reports: UnboundedReceiver<Report>,
}

/// Answers every read with `name` as its body.
fn origin(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            thread::spawn(move || answer_all(stream, name));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, name: &str) {
    stream.set_nodelay(true).unwrap();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// Runs a worker whose service, without stickiness, has a server at each of `places`.
fn run(driver: DriverChoice, places: &[&[SocketAddr]]) -> Running {
    let flags = FlagOptions {
        listen: vec![String::from("127.0.0.1:0")],
        servers: (0..places.len()).map(|number| format!("http://server-{number}:80")).collect(),
        sticky_cookie: None,
    };
    let (mut statics, model) = from_flags(&flags).unwrap();
    statics.settings.driver = driver;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let state = |it: &&[SocketAddr]| ServerState {
        is_up: true,
        is_draining: false,
        addresses: it.iter().copied().map(Address::from).collect(),
        in_flight: SharedInFlight::default(),
    };
    let servers = vec![places.iter().map(state).collect()];
    let (reports, kept) = tokio::sync::mpsc::unbounded_channel();
    let options = WorkerOptions {
        index: 0,
        cpu: None,
        statics: Arc::new(statics),
        listeners: vec![(EntryPointIndex(0), listener)],
        snapshot: Arc::new(Snapshot { model: Arc::new(model), servers }),
        access_log: None,
        caps: Caps::default(),
    };
    let worker = start(options, reports).unwrap();
    let client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    Running { worker, client, _reports: kept }
}

impl Running {
    /// One exchange: the status and the body.
    fn ask(&mut self) -> (u16, String) {
        self.client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        let mut block = [0; 4096];
        loop {
            let count = self.client.read(&mut block).unwrap();
            assert_ne!(count, 0, "the worker closed: {}", String::from_utf8_lossy(&bytes));
            bytes.extend(&block[..count]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|it| it.strip_prefix("Content-Length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return (head[9..12].parse().unwrap(), body.to_owned());
            }
        }
    }

    /// Sends a message and asks until `is_applied` by two answers in a row (the scheduler
    /// alternates); returns how long that took.
    fn time_of(&mut self, message: Message, is_applied: impl Fn(&str, &str) -> bool) -> Duration {
        let began = Instant::now();
        self.worker.send(message);
        loop {
            let (one, other) = (self.ask().1, self.ask().1);
            let elapsed = began.elapsed();
            if is_applied(&one, &other) {
                return elapsed;
            }
            assert!(elapsed < DEADLINE, "not applied: {one} {other}");
        }
    }

    fn stop(self) {
        drop(self.client);
        self.worker.send(Message::Stop { grace: Duration::from_secs(1) });
        self.worker.join().unwrap();
    }
}

fn on_both_drivers(test: impl Fn(DriverChoice)) {
    test(DriverChoice::Epoll);
    match io_uring::IoUring::new(8) {
        Ok(_ring) => test(DriverChoice::Uring),
        Err(error) => println!("skipped: io_uring: {error}"),
    }
}

#[test]
fn a_change_of_health_is_applied_within_10_ms() {
    on_both_drivers(|driver| {
        let (a, b) = (origin("a"), origin("b"));
        let mut running = run(driver, &[&[a], &[b]]);
        let health = |is_up| Message::Health { service: SERVICE, server: ServerIndex(0), is_up };
        let mut best = [Duration::MAX; 2];
        for _ in 0..TRIES {
            let down = running.time_of(health(false), |one, other| (one, other) == ("b", "b"));
            let up = running.time_of(health(true), |one, other| one != other);
            best = [best[0].min(down), best[1].min(up)];
        }
        assert!(best.iter().all(|it| *it < APPLY_MAX), "{driver:?}: down, up: {best:?}");
        running.stop();
    });
}

#[test]
fn new_addresses_are_applied_within_10_ms() {
    on_both_drivers(|driver| {
        let (a, b) = (origin("a"), origin("b"));
        let mut running = run(driver, &[&[a]]);
        let moved = |to| Message::Addresses {
            service: SERVICE,
            server: ServerIndex(0),
            addresses: Arc::from([to]),
        };
        assert_eq!(running.ask(), (200, String::from("a")));
        let mut best = Duration::MAX;
        for turn in 0..TRIES {
            let (to, name) = if turn % 2 == 0 { (b, "b") } else { (a, "a") };
            let took = running.time_of(moved(to.into()), |one, other| (one, other) == (name, name));
            best = best.min(took);
        }
        assert!(best < APPLY_MAX, "{driver:?}: {best:?}");
        running.stop();
    });
}

#[test]
fn an_address_where_nothing_listens_is_passed_over() {
    on_both_drivers(|driver| {
        // As `localhost` is where only 127.0.0.1 listens; where there is no IPv6 it fails too.
        let a = origin("a");
        let other = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, a.port()));
        let mut running = run(driver, &[&[other, a]]);
        for _ in 0..3 {
            assert_eq!(running.ask(), (200, String::from("a")));
        }
        running.stop();
    });
}

#[test]
fn without_addresses_a_server_refuses_until_it_has_some() {
    on_both_drivers(|driver| {
        let a = origin("a");
        let mut running = run(driver, &[&[]]);
        assert_eq!(running.ask(), (502, String::from("Bad Gateway")));
        let found = Message::Addresses {
            service: SERVICE,
            server: ServerIndex(0),
            addresses: Arc::new([a.into()]),
        };
        running.time_of(found, |one, other| (one, other) == ("a", "a"));
        running.stop();
    });
}
