//! What clients see under load while servers are killed and the configuration changes: nothing.
//! The long version, with the peers beside it, is `just faults`.

use std::collections::HashSet;
use std::env;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::support::{
    Client, ClosedPort, Driver, Next, Origin, Setup, app, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    servers_that_are_killed_under_load_lose_no_idempotent_request,
    reloads_under_load_lose_no_request_and_move_nobody,
);

/// Names the port to a process that [`a_server_to_kill`] runs in.
const PORT: &str = "SUNDEW_TEST_SERVER_PORT";

/// Answers that every step of a test waits for: enough to meet each client many times.
const ANSWERS_PER_STEP: usize = 200;

/// The body of a server's process; by itself it does nothing.
#[test]
#[ignore = "the tests of this file run it as a process of its own"]
fn a_server_to_kill() {
    let Some(port) = env::var(PORT).ok().and_then(|it| it.parse::<u16>().ok()) else { return };
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port that the test holds");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer_with_targets(stream, port));
    }
}

/// Answers each request with its target, until the connection ends.
fn answer_with_targets(mut stream: TcpStream, port: u16) {
    let (mut bytes, mut block) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let head: Vec<u8> = bytes.drain(..end + 4).collect();
            let target = target_of(&String::from_utf8_lossy(&head));
            if stream.write_all(echo(&target, &port.to_string()).as_bytes()).is_err() {
                return;
            }
        }
        match stream.read(&mut block) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&block[..count]),
            _ => return,
        }
    }
}

fn target_of(head: &str) -> String {
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn echo(target: &str, name: &str) -> String {
    let length = target.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Served-By: {name}\r\n\r\n{target}")
}

/// A server that can be killed as `kill -9` kills, and started on its port again.
struct Process {
    port: ClosedPort,
    child: Child,
}

impl Process {
    fn start() -> Self {
        let port = ClosedPort::new();
        let child = spawn_on(port.address());
        Self { port, child }
    }

    /// The end of the process, with whatever it was about to answer.
    fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("its end");
    }

    fn restart(&mut self) {
        self.child = spawn_on(self.port.address());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns when the process listens.
fn spawn_on(address: SocketAddr) -> Child {
    let child = Command::new(env::current_exe().expect("this test's binary"))
        .args(["--exact", "--ignored", "faults::a_server_to_kill"])
        .env(PORT, address.port().to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    eventually("the server listens", || TcpStream::connect(address).ok());
    child
}

/// Clients that ask without a pause; each keeps its connection and its cookie, and fails its test
/// with anything but its own answer.
struct Load {
    answers: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    /// Each ends with the names of the servers that it met, in order.
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// One client for each pin.
    fn start(address: SocketAddr, pins: &[String]) -> Self {
        let (answers, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let clients = pins.iter().enumerate().map(|(number, pin)| {
            let (answers, is_over) = (Arc::clone(&answers), Arc::clone(&is_over));
            let pin = pin.clone();
            thread::spawn(move || ask_until(&is_over, &answers, address, number, pin))
        });
        let clients = clients.collect();
        Self { answers, is_over, clients }
    }

    /// Returns after some more answers; sooner, with its panic, when a client has failed.
    fn go_on(&mut self) {
        let wanted = self.answers.load(Ordering::SeqCst) + ANSWERS_PER_STEP;
        eventually("the clients go on", || {
            let is_done = self.answers.load(Ordering::SeqCst) >= wanted;
            (is_done || self.clients.iter().any(JoinHandle::is_finished)).then_some(())
        });
        if self.clients.iter().any(JoinHandle::is_finished) {
            self.is_over.store(true, Ordering::SeqCst);
            let failed = self.clients.drain(..).filter(JoinHandle::is_finished);
            failed.for_each(|client| drop(client.join().expect("a client without a failure")));
        }
    }

    fn end(self) -> Vec<Vec<String>> {
        self.is_over.store(true, Ordering::SeqCst);
        let met = self.clients.into_iter().map(|it| it.join().expect("no client has failed"));
        met.collect()
    }
}

fn ask_until(
    is_over: &AtomicBool,
    answers: &AtomicUsize,
    address: SocketAddr,
    number: usize,
    mut pin: String,
) -> Vec<String> {
    let mut client = Client::connect(address);
    let mut met: Vec<String> = Vec::new();
    for turn in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let target = format!("/{number}/{turn}");
        let response = client.get(&target, &format!("Cookie: sid={pin}\r\n"));
        assert_eq!((response.status, response.text()), (200, target));
        let server = response.field("X-Served-By").expect("a name").to_owned();
        let is_moved = met.last().is_some_and(|last| *last != server);
        if let Some(new) = response.cookie("sid") {
            new.clone_into(&mut pin);
        } else {
            assert!(!is_moved, "moved without a new cookie: {met:?}, then {server}");
        }
        if met.is_empty() || is_moved {
            met.push(server);
        }
        answers.fetch_add(1, Ordering::SeqCst);
    }
    met
}

fn servers_that_are_killed_under_load_lose_no_idempotent_request(driver: Driver) {
    let mut servers: Vec<_> = (0..4).map(|_| Process::start()).collect();
    let urls: Vec<_> = servers.iter().map(|it| it.port.url()).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let proxy = Setup::new(driver, app(&urls)).start();
    // Two clients a server.
    let pins: Vec<_> = urls.iter().chain(&urls).map(|url| pin_of(url)).collect();
    let mut load = Load::start(proxy.address(), &pins);
    load.go_on();
    for turn in 0..8 {
        let server = &mut servers[turn % 4];
        server.kill();
        load.go_on();
        server.restart();
        load.go_on();
    }
    let met = load.end();
    assert!(met.iter().all(|met| met.len() > 1), "nobody had to move: {met:?}");
}

fn reloads_under_load_lose_no_request_and_move_nobody(driver: Driver) {
    let named = |name: &'static str| {
        Origin::scripted(move |exchange| {
            let target = target_of(exchange.request.line());
            exchange.send(echo(&target, name));
            Next::KeepAlive
        })
    };
    let servers = ["a", "b", "c", "d"].map(named);
    let urls = servers.each_ref().map(Origin::url);
    let pins: Vec<_> = urls.iter().chain(&urls).map(|url| pin_of(url)).collect();
    let urls = urls.each_ref().map(String::as_str);
    // What changes: a router, which also shows the configuration in force, and the order of servers.
    let generation = |number: usize| {
        let mut urls = urls;
        urls.rotate_left(number % 4);
        let rule = format!("PathPrefix(`/`) && !Path(`/not-in-{number}`)");
        app(&urls).replace("PathPrefix(`/`)", &rule)
    };
    let proxy = Setup::new(driver, generation(0)).start();
    let mut load = Load::start(proxy.address(), &pins);
    load.go_on();
    for number in 1..=8 {
        proxy.replace_dynamic(&generation(number));
        eventually("the new configuration is in force", || {
            let path = format!("/not-in-{number}");
            (Client::fetch(proxy.address(), &path).status == 404).then_some(())
        });
        load.go_on();
    }
    let met = load.end();
    assert!(met.iter().all(|met| met.len() == 1), "a reload has moved somebody: {met:?}");
    let names: HashSet<_> = met.iter().flatten().collect();
    assert_eq!(names.len(), servers.len(), "every server has served its own");
}
