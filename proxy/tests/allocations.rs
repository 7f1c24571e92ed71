//! A warm, sticky keep-alive exchange allocates nothing: counted, on both drivers.
//!
//! The worker runs in this process, without a control thread; client and server use buffers made
//! before, so every allocation that is counted is the worker's.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sundew::sticky::{Level, StickyTable, current_value};
use sundew::worker::inbox::{Message, ServerState, SharedInFlight, Snapshot};
use sundew::worker::{Caps, WorkerOptions, start};
use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::{
    DriverChoice, EntryPointIndex, MetricsOptions, Model, Sealing, SealingKey, ServiceKind,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Exchanges until everything is warm, and in each window that is counted.
const WARM_UP: usize = 500;
const WINDOW: usize = 100;
const WINDOWS: usize = 20;

/// Answers every read with 100 bytes of body, without allocating.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "x".repeat(100));
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true).unwrap();
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer), Ok(1..)) {
                if stream.write_all(response.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    address
}

fn exchange(client: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> usize {
    client.write_all(request).unwrap();
    let mut length = 0;
    loop {
        length += client.read(&mut buffer[length..]).unwrap();
        if buffer[..length].ends_with(b"xxxxxxxxxx") {
            return length;
        }
    }
}

/// Has the only service seal its values; returns one that pins to the server at `url`.
fn seal(model: &mut Model, url: &str) -> Vec<u8> {
    let service = &mut model.services[0];
    let ServiceKind::LoadBalancer(balancer) = &mut service.kind else { panic!("{service:?}") };
    let cookie = balancer.sticky.as_mut().unwrap();
    cookie.sealing = Some(Sealing {
        keys: vec![SealingKey::new([1; 32]), SealingKey::new([2; 32])],
        lifetime: Some(Duration::from_secs(3600)),
        idle_timeout: Some(Duration::from_secs(3600)),
        accept_hash_until_s: None,
    });
    let table = StickyTable::new(cookie, std::iter::once(url), Level::Server);
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    table.with_seal(cookie, &service.name).seal(0, None, now_s, [3; 12]).unwrap().to_vec()
}

/// Runs a worker on `driver`; returns the fewest allocations of any window of exchanges. The
/// sweeper, ten times a second, may allocate; a window without it must not.
fn allocations_of_a_window(
    driver: DriverChoice,
    is_sealed: bool,
    metrics: Option<&MetricsOptions>,
) -> usize {
    let server = origin();
    let url = format!("http://{server}");
    let flags = FlagOptions {
        listen: vec![String::from("127.0.0.1:0")],
        servers: vec![url.clone()],
        sticky_cookie: Some(String::from("sid")),
    };
    let (mut statics, mut model) = from_flags(&flags).unwrap();
    let value = if is_sealed { seal(&mut model, &url) } else { current_value(&url).to_vec() };
    statics.settings.driver = driver;
    statics.admin.metrics = metrics.cloned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let state = ServerState {
        is_up: true,
        is_draining: false,
        addresses: Arc::from([server.into()]),
        in_flight: SharedInFlight::default(),
    };
    let snapshot = Snapshot { model: Arc::new(model), servers: vec![vec![state]] };
    let (reports, _kept) = tokio::sync::mpsc::unbounded_channel();
    let options = WorkerOptions {
        index: 0,
        cpu: None,
        statics: Arc::new(statics),
        listeners: vec![(EntryPointIndex(0), listener)],
        snapshot: Arc::new(snapshot),
        access_log: None,
        caps: Caps::default(),
    };
    let worker = start(options, reports).unwrap();

    let value = std::str::from_utf8(&value).unwrap();
    let request = format!(
        "GET /path?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\nCookie: sid={value}\r\n\r\n"
    );
    let mut client = TcpStream::connect(address).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 4096];
    for _ in 0..WARM_UP {
        let length = exchange(&mut client, request.as_bytes(), &mut buffer);
        let text = &buffer[..length];
        assert!(text.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(text));
        assert!(!text.windows(10).any(|it| it == b"Set-Cookie"), "it is pinned");
    }
    let mut fewest = usize::MAX;
    for _ in 0..WINDOWS {
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        for _ in 0..WINDOW {
            exchange(&mut client, request.as_bytes(), &mut buffer);
        }
        fewest = fewest.min(ALLOCATIONS.load(Ordering::SeqCst) - before);
    }
    drop(client);
    worker.send(Message::Stop { grace: Duration::from_secs(1) });
    worker.join().unwrap();
    fewest
}

// One test: two at once would count each other's allocations.
#[test]
fn a_warm_sticky_exchange_allocates_nothing() {
    let metrics = MetricsOptions {
        entry_point: EntryPointIndex(0),
        buckets_s: vec![0.1, 0.3, 1.2, 5.0],
        by_entry_point: true,
        by_router: true,
        by_service: true,
    };
    let cases =
        [("plain", false, None), ("with metrics", false, Some(&metrics)), ("sealed", true, None)];
    for (name, is_sealed, metrics) in cases {
        let count = allocations_of_a_window(DriverChoice::Epoll, is_sealed, metrics);
        assert_eq!(count, 0, "epoll, {name}");
    }
    let ring = io_uring::IoUring::new(8);
    if let Err(error) = ring {
        println!("skipped: io_uring: {error}");
        return;
    }
    for (name, is_sealed, metrics) in cases {
        let count = allocations_of_a_window(DriverChoice::Uring, is_sealed, metrics);
        assert_eq!(count, 0, "io_uring, {name}");
    }
}
