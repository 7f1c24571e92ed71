//! The limit of memory (http1 G7) and what one stalled reader costs (G3).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app, eventually, on_both_drivers,
};

on_both_drivers!(
    g7_bodies_are_refused_at_95_percent_and_requests_at_98_until_memory_is_free,
    g7_without_a_limit_nothing_is_refused,
    g7_auto_is_the_limit_of_the_control_group,
    g3_a_stalled_reader_costs_no_more_than_64_kib,
);

const LIMIT_MIB: u64 = 96;
const LIMITS: &str = "limits: {memory: 96MiB, headBytes: 1048576, headTimeout: 60s}";

/// Clients with half a head each, which the proxy has to keep.
struct Hogs<'p> {
    proxy: &'p Sundew,
    clients: Vec<Client>,
}

impl Hogs<'_> {
    /// Adds clients until so many percent of the limit are in use.
    fn grow_to(&mut self, percent: u64) {
        let wanted_kib = LIMIT_MIB * 1024 * percent / 100;
        eventually("the memory grows", || {
            if self.proxy.resident_kib() >= wanted_kib {
                return Some(());
            }
            let mut client = Client::connect(self.proxy.address());
            client.send("GET / HTTP/1.1\r\nHost: example.test\r\nX: ");
            client.send(vec![b'x'; 200 * 1024]);
            self.clients.push(client);
            assert!(self.clients.len() < 900, "{} KiB", self.proxy.resident_kib());
            // Some of it may be memory that was free already.
            let before_kib = self.proxy.resident_kib();
            let end = Instant::now() + PACE;
            while self.proxy.resident_kib() < before_kib + 100 && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
            None
        });
    }
}

/// Longest wait for one head to show in the proxy's memory.
const PACE: Duration = Duration::from_millis(10);

const POST: &str = "POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\n";

#[track_caller]
fn expect_503(response: &crate::support::Response) {
    let text = response.text();
    assert_eq!((response.status, text.as_str()), (503, "503 Service Unavailable"));
    assert_eq!(response.field("Retry-After"), Some("1"));
}

fn g7_bodies_are_refused_at_95_percent_and_requests_at_98_until_memory_is_free(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()])).settings(LIMITS);
    let proxy = setup.beside("ops").statics("ping: {entryPoint: ops}").start();
    let mut regular = Client::connect(proxy.address());
    assert_eq!(regular.get("/", "").status, 200);
    let mut hogs = Hogs { proxy: &proxy, clients: Vec::new() };

    hogs.grow_to(96);
    proxy.wait_for_log("requests with a body to come are answered 503");
    assert_eq!(regular.get("/", "").status, 200, "a request without a body needs little");
    regular.send([POST, "body"].concat());
    assert_eq!(regular.response().status, 200, "a body that is there needs nothing more");
    let reached = origin.requests().len();
    let mut upload = Client::connect(proxy.address());
    upload.send(POST);
    let response = upload.response();
    expect_503(&response);
    assert_eq!(response.field("Connection"), Some("close"), "its body is not read");

    hogs.grow_to(99);
    proxy.wait_for_log("new requests are answered 503");
    let mut client = Client::connect(proxy.address());
    let response = client.get("/", "");
    expect_503(&response);
    assert_eq!(response.cookie("sid"), None, "no server was picked");
    expect_503(&client.get("/", ""));
    assert_eq!(origin.requests().len(), reached, "nothing that was refused reached the server");
    assert_eq!(Client::fetch(proxy.address_of("ops"), "/ping").text(), "OK");

    drop(hogs);
    proxy.wait_for_log("all requests are served");
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
    let mut upload = Client::connect(proxy.address());
    upload.send(POST);
    upload.send("body");
    assert_eq!(upload.response().status, 200);
    let said = proxy.log().lines().filter(|line| line.contains("MiB:")).count();
    assert!(said <= 4, "{said} changes:\n{}", proxy.log());
}

/// A control group with a limit of memory; `None` where this user cannot make one.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Option<Self> {
        // Version 1 has its memory in a hierarchy of its own.
        for (root, limit) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let folder = PathBuf::from(root).join(format!("{name}-{}", std::process::id()));
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            let group = Self(folder);
            let bytes = (LIMIT_MIB * 1024 * 1024).to_string();
            if fs::write(group.0.join(limit), bytes).is_ok() {
                return Some(group);
            }
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of a process a moment after it was waited for.
        let end = Instant::now() + Duration::from_secs(2);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn g7_auto_is_the_limit_of_the_control_group(driver: Driver) {
    let Some(group) = Group::new(&format!("sundew-test-{driver:?}")) else {
        eprintln!("skipped: no control group can be made here");
        return;
    };
    let origin = Origin::named("a");
    let join = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", group.0.display());
    let proxy = Setup::new(driver, app(&[&origin.url()]))
        .settings(&LIMITS.replace("96MiB", "auto"))
        .launched_by(&["sh", "-c", &join])
        .start();
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
    let mut hogs = Hogs { proxy: &proxy, clients: Vec::new() };
    // What of the resident set is the binary's file does not count.
    for percent in 70..140 {
        if proxy.log().contains("requests with a body to come are answered 503") {
            break;
        }
        hogs.grow_to(percent);
    }
    proxy.wait_for_log("requests with a body to come are answered 503");
    let mut upload = Client::connect(proxy.address());
    upload.send(POST);
    expect_503(&upload.response());
    drop(hogs);
    proxy.wait_for_log("all requests are served");
    drop(proxy);
}

fn g7_without_a_limit_nothing_is_refused(driver: Driver) {
    let origin = Origin::named("a");
    let limits = LIMITS.replace("96MiB", "off");
    let proxy = Setup::new(driver, app(&[&origin.url()])).settings(&limits).start();
    let mut hogs = Hogs { proxy: &proxy, clients: Vec::new() };
    hogs.grow_to(105);
    assert_eq!(Client::fetch(proxy.address(), "/").status, 200);
    assert!(!proxy.log().contains("memory:"), "{}", proxy.log());
}

/// What the proxy may keep for a client that does not read, the kernel's buffers aside.
const STALLED_KIB_MAX: u64 = 64;

fn g3_a_stalled_reader_costs_no_more_than_64_kib(driver: Driver) {
    const FEW: usize = 50;
    const MANY: usize = 250;
    const FLOOD: usize = 64 * 1024 * 1024;
    let (sent, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, begins) = (Arc::clone(&sent), Arc::clone(&begun));
    let origin = Origin::scripted(move |exchange| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {FLOOD}\r\n\r\n"));
        begins.fetch_add(1, Ordering::SeqCst);
        let block = vec![b'x'; 64 * 1024];
        // It ends with the connection, long before the flood does.
        while exchange.send(&block) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        Next::Close
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let mut clients = Vec::new();
    let mut resident_with = |readers: usize| {
        while clients.len() < readers {
            let mut client = Client::connect(proxy.address());
            client.send("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
            clients.push(client);
        }
        eventually("every response has begun", || {
            (begun.load(Ordering::SeqCst) == readers).then_some(())
        });
        let mut last = (0, Instant::now());
        eventually("nobody takes any more", || {
            let now = sent.load(Ordering::SeqCst);
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(500)).then_some(())
        });
        proxy.resident_kib()
    };
    // The first ones also pay for what the process touches once.
    let few_kib = resident_with(FEW);
    let each_kib = resident_with(MANY).saturating_sub(few_kib) / (MANY - FEW) as u64;
    println!("{driver:?}: {each_kib} KiB for each stalled reader");
    assert!((16..=STALLED_KIB_MAX).contains(&each_kib), "{each_kib} KiB for each");
}
