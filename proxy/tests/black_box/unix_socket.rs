//! Servers behind Unix-domain sockets.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Client, Driver, Setup, app, app_with, eventually, on_both_drivers, pin_of};

on_both_drivers!(
    a_server_behind_a_socket_is_pinned_and_kept_alive,
    a_body_goes_through_a_socket_both_ways,
    a_socket_that_is_not_there_is_left_for_another_server,
    a_socket_is_probed,
);

/// Answers on a socket with its name; `POST` is answered with its body. Ends with its test's process.
struct SocketOrigin {
    path: PathBuf,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl SocketOrigin {
    fn named(name: &'static str, folder: &Path) -> Self {
        let path = folder.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&path).unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
        let (seen, count) = (Arc::clone(&heads), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let seen = Arc::clone(&seen);
                thread::spawn(move || serve(stream, name, &seen));
            }
        });
        Self { path, heads, connections }
    }

    fn url(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn serve(mut stream: UnixStream, name: &str, seen: &Mutex<Vec<String>>) {
    let mut bytes = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            if !read_more(&mut stream, &mut bytes) {
                return;
            }
        };
        let head = String::from_utf8(bytes.drain(..head_end).collect()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |it| it.parse().unwrap());
        seen.lock().unwrap().push(head);
        while bytes.len() < length {
            if !read_more(&mut stream, &mut bytes) {
                return;
            }
        }
        let body: Vec<u8> = bytes.drain(..length).collect();
        let body = if body.is_empty() { name.as_bytes() } else { &body };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        // A proxy that went away is its own test's matter.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
    }
}

fn read_more(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> bool {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            bytes.extend_from_slice(&piece[..count]);
            true
        }
    }
}

fn a_server_behind_a_socket_is_pinned_and_kept_alive(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (SocketOrigin::named("a", folder.path()), SocketOrigin::named("b", folder.path()));
    let keys = "sticky: {cookie: {name: sid}}\npassHostHeader: false";
    let proxy = Setup::new(driver, app_with(keys, &[&a.url(), &b.url()])).workers(1).start();
    let mut client = Client::connect(proxy.address());
    let pin = pin_of(&b.url());
    for _ in 0..3 {
        let response = client.get("/", &format!("Cookie: sid={pin}\r\n"));
        assert_eq!(response.text(), "b");
    }
    assert_eq!(b.connections.load(Ordering::SeqCst), 1, "one connection, kept alive");
    assert!(b.last_head().contains("Host: localhost\r\n"), "{}", b.last_head());
    assert!(a.heads.lock().unwrap().is_empty());
}

fn a_body_goes_through_a_socket_both_ways(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let origin = SocketOrigin::named("a", folder.path());
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let body: Vec<u8> = (0..1_000_000_u32).map(|it| (it % 251) as u8).collect();
    let mut client = Client::connect(proxy.address());
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let response = client.response();
    assert_eq!(response.body.len(), body.len());
    assert!(response.body == body, "byte for byte");
}

fn a_socket_that_is_not_there_is_left_for_another_server(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let origin = SocketOrigin::named("a", folder.path());
    let gone = format!("unix:{}", folder.path().join("gone.sock").display());
    let proxy = Setup::new(driver, app(&[&origin.url(), &gone])).start();
    for _ in 0..4 {
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    }
    let alone = Setup::new(driver, app(&[&gone])).start();
    assert_eq!(Client::fetch(alone.address(), "/").status, 502);
}

fn a_socket_is_probed(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let origin = SocketOrigin::named("a", folder.path());
    let late = folder.path().join("late.sock");
    let check = "healthCheck: {path: /health, interval: 50ms, timeout: 1s}";
    let late_url = format!("unix:{}", late.display());
    let proxy = Setup::new(driver, app_with(check, &[&origin.url(), &late_url])).workers(1).start();
    eventually("the socket is probed", || {
        let is_probe = |head: &&String| head.starts_with("GET /health ");
        origin.heads.lock().unwrap().iter().find(is_probe).cloned()
    });
    let _late = SocketOrigin::named("late", folder.path());
    eventually("a socket that appears takes its share", || {
        (Client::fetch(proxy.address(), "/").text() == "late").then_some(())
    });
}
