//! Tunnels that meet their limits: the end of the process, and a side that does not read.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Client, Driver, Exchange, Next, Origin, Setup, Sundew, app, app_with, eventually,
    on_both_drivers,
};

on_both_drivers!(
    a_stop_leaves_a_tunnel_until_the_grace_deadline_and_closes_both_sides,
    a_stop_ends_with_the_last_tunnel,
    a_half_closed_tunnel_is_closed_at_the_grace_deadline,
    a_tunnel_that_nobody_reads_is_closed_at_the_grace_deadline,
    a_client_that_does_not_read_holds_the_server_back,
    a_server_that_does_not_read_holds_the_client_back,
    a_client_that_ended_its_direction_gets_a_late_answer,
    a_tunnel_outlives_the_deadline_for_an_answer,
);

const ASK: &str = "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\n\
                   Upgrade: echo\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// Short, and longer than everything that must come before it.
const GRACE: Duration = Duration::from_millis(1_500);
/// How much later than its deadline something may happen on a busy machine.
const LATE: Duration = Duration::from_secs(5);

/// A server that switches protocols, then does what `script` says; its record is whole once its
/// side has ended.
fn tunnelled(script: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |exchange| {
        exchange.send(SWITCH);
        script(exchange);
        exchange.request.is_whole = true;
        exchange.record();
        Next::Close
    })
}

fn echo() -> Origin {
    tunnelled(|exchange| {
        loop {
            let bytes = exchange.read_some();
            if bytes.is_empty() || !exchange.send(&bytes) {
                return;
            }
        }
    })
}

fn start(driver: Driver, origin: &Origin) -> Sundew {
    let grace = format!("transport: {{lifeCycle: {{graceTimeOut: {}ms}}}}", GRACE.as_millis());
    Setup::new(driver, app(&[&origin.url()])).entry_point(&grace).start()
}

fn upgraded(proxy: &Sundew) -> Client {
    let mut client = Client::connect(proxy.address());
    client.send(ASK);
    assert_eq!(client.response().status, 101);
    client
}

fn ping(client: &mut Client) {
    client.send("ping");
    assert_eq!(client.read_exact(4), b"ping");
}

/// Tells the proxy to stop, and waits until it takes nobody new.
fn stop(proxy: &Sundew) -> Instant {
    let began = Instant::now();
    proxy.signal("TERM");
    eventually("the listener is closed", || TcpStream::connect(proxy.address()).err());
    began
}

/// The process ends by itself once the grace time is over, and not before.
#[track_caller]
fn expect_end_at_grace(proxy: &mut Sundew, began: Instant) {
    assert_eq!(proxy.wait_for_end().code(), Some(0), "{}", proxy.log());
    let took = began.elapsed();
    assert!(took >= GRACE && took < GRACE + LATE, "{took:?}");
}

fn a_stop_leaves_a_tunnel_until_the_grace_deadline_and_closes_both_sides(driver: Driver) {
    let origin = echo();
    let mut proxy = start(driver, &origin);
    let mut client = upgraded(&proxy);
    ping(&mut client);
    let began = stop(&proxy);
    while began.elapsed() < GRACE / 2 {
        ping(&mut client);
        thread::sleep(Duration::from_millis(20));
    }
    client.expect_end();
    assert!(began.elapsed() >= GRACE, "{:?}", began.elapsed());
    eventually("the server's side ends", || origin.only_request().is_whole.then_some(()));
    expect_end_at_grace(&mut proxy, began);
    assert_eq!(proxy.only_record().number("OriginStatus"), 101);
}

fn a_stop_ends_with_the_last_tunnel(driver: Driver) {
    let origin = echo();
    let mut proxy = start(driver, &origin);
    let mut client = upgraded(&proxy);
    let began = stop(&proxy);
    ping(&mut client);
    drop(client);
    assert_eq!(proxy.wait_for_end().code(), Some(0), "{}", proxy.log());
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
}

fn a_half_closed_tunnel_is_closed_at_the_grace_deadline(driver: Driver) {
    let origin = tunnelled(|exchange| {
        exchange.finish();
        while !exchange.read_some().is_empty() {}
    });
    let mut proxy = start(driver, &origin);
    let mut client = upgraded(&proxy);
    client.expect_end();
    let began = stop(&proxy);
    client.send("still here");
    expect_end_at_grace(&mut proxy, began);
    eventually("the server's side ends", || origin.only_request().is_whole.then_some(()));
}

/// More than every socket buffer on the way together.
const FLOOD: usize = 96 * 1024 * 1024;
/// What the kernel's buffers on both sides and the proxy's own may take in.
const BUFFERED_MAX: usize = 48 * 1024 * 1024;
/// What the proxy's memory may grow by while a peer stalls.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// A server that sends a flood into the tunnel and counts what is taken.
fn flooding() -> (Origin, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let origin = tunnelled(move |exchange| {
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < FLOOD && exchange.send(&block) {
            counter.fetch_add(block.len(), Ordering::SeqCst);
        }
    });
    (origin, sent)
}

/// Waits until a counter rests.
#[track_caller]
fn expect_held_back(count: &AtomicUsize, proxy: &Sundew, before_kib: u64) {
    let mut last = (count.load(Ordering::SeqCst), Instant::now());
    let taken = eventually("the counter rests", || {
        let now = count.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(now)
    });
    assert!(taken < BUFFERED_MAX, "{taken} bytes were read for nobody");
    let growth = proxy.resident_kib().saturating_sub(before_kib);
    assert!(growth < GROWTH_KIB_MAX, "grew by {growth} KiB");
}

fn a_tunnel_that_nobody_reads_is_closed_at_the_grace_deadline(driver: Driver) {
    let (origin, sent) = flooding();
    let mut proxy = start(driver, &origin);
    let before_kib = proxy.resident_kib();
    let client = upgraded(&proxy);
    expect_held_back(&sent, &proxy, before_kib);
    let began = stop(&proxy);
    expect_end_at_grace(&mut proxy, began);
    eventually("the server's side ends", || origin.only_request().is_whole.then_some(()));
    drop(client);
}

fn a_client_that_does_not_read_holds_the_server_back(driver: Driver) {
    let (origin, sent) = flooding();
    let proxy = start(driver, &origin);
    let before_kib = proxy.resident_kib();
    let mut client = upgraded(&proxy);
    expect_held_back(&sent, &proxy, before_kib);
    assert_eq!(client.read_exact(FLOOD).len(), FLOOD);
    client.expect_end();
}

fn a_server_that_does_not_read_holds_the_client_back(driver: Driver) {
    let (may_read, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let origin = tunnelled(move |exchange| {
        let _ = wait.lock().expect("the only reader").recv();
        let mut count = 0;
        loop {
            match exchange.read_some().len() {
                0 => break,
                some => count += some,
            }
        }
        exchange.send(count.to_string());
    });
    let proxy = start(driver, &origin);
    let before_kib = proxy.resident_kib();
    let mut client = upgraded(&proxy);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let client = thread::spawn(move || {
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::SeqCst) < FLOOD {
            client.send(&block);
            counter.fetch_add(block.len(), Ordering::SeqCst);
        }
        client.finish();
        client.read_to_end().expect("a clean end")
    });
    expect_held_back(&sent, &proxy, before_kib);
    may_read.send(()).expect("the origin waits");
    assert_eq!(client.join().expect("the client"), FLOOD.to_string().as_bytes());
}

/// Longer than a waiting exchange goes without a look at its client.
const THOUGHT: Duration = Duration::from_millis(800);

fn a_client_that_ended_its_direction_gets_a_late_answer(driver: Driver) {
    let origin = tunnelled(|exchange| {
        while !exchange.read_some().is_empty() {}
        thread::sleep(THOUGHT);
        exchange.send("late");
    });
    let proxy = start(driver, &origin);
    let mut client = upgraded(&proxy);
    client.send("question");
    client.finish();
    assert_eq!(client.read_to_end().expect("a clean end"), b"late");
}

fn a_tunnel_outlives_the_deadline_for_an_answer(driver: Driver) {
    let origin = echo();
    let transport = "  serversTransports:\n    quick: {forwardingTimeouts: \
                     {responseHeaderTimeout: 200ms}}\n";
    let service = app_with("serversTransport: quick", &[&origin.url()]);
    let proxy = Setup::new(driver, format!("{service}{transport}")).start();
    let mut client = upgraded(&proxy);
    let began = Instant::now();
    while began.elapsed() < THOUGHT {
        ping(&mut client);
    }
}
