//! A connection whose task panics, in a worker's event loop.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sundew_config::load::{FlagOptions, from_flags};
use sundew_config::model::DriverChoice;

use super::{Caps, listener, runtime, sweeper};
use crate::cluster::{Build, ServerFacts, SharedInFlight, Tables};
use crate::conn::local::{EntryPointLimits, Local, LocalOptions, head_limits};
use crate::io::{Listener, spawn};

/// Sends `request` on a connection of its own and returns what comes back.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// A worker's shared state whose only server refuses, and that panics when it is told so.
fn panicking_local(server: SocketAddr) -> (Rc<Local>, Rc<EntryPointLimits>) {
    let flags = FlagOptions {
        listen: vec![String::from("127.0.0.1:0")],
        servers: vec![format!("http://{server}")],
        sticky_cookie: None,
    };
    let (statics, model) = from_flags(&flags).unwrap();
    let addresses = Arc::from([server.into()]);
    let facts = vec![vec![ServerFacts {
        is_up: true,
        is_draining: false,
        addresses,
        in_flight: SharedInFlight::default(),
    }]];
    let build = Build {
        model: Arc::new(model),
        servers: &facts,
        entry_points: 1,
        ping: None,
        scheduler_offset: 0,
    };
    let local = Local::new(LocalOptions {
        index: 0,
        response_head: head_limits(&statics.settings.limits),
        tables: Rc::new(Tables::new(&build, None)),
        keeps_origin_fields: false,
        logs_internals: false,
        ping_terminating_status: 503,
        access_log: None,
        caps: Caps::default(),
        counted: None,
        on_connect_failed: Box::new(|_, _, _| panic!("as a defect would")),
        on_outcome: Box::new(|_, _, _, _| {}),
    });
    (Rc::new(local), EntryPointLimits::all(&statics).remove(0))
}

fn a_panic_ends_one_connection_and_is_counted(driver: DriverChoice) {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let accepting = TcpListener::bind("127.0.0.1:0").unwrap();
    accepting.set_nonblocking(true).unwrap();
    let address = accepting.local_addr().unwrap();
    let (ends, mut ended) = tokio::sync::oneshot::channel();
    let client = std::thread::spawn(move || {
        let lost = ask(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let next = ask(address, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let _ = ends.send(());
        (lost, next)
    });
    let panics = Rc::new(Cell::new(0));
    let counted = Rc::clone(&panics);
    runtime::build(driver, 64).unwrap().block_on(async move {
        let (local, entry) = panicking_local(closed);
        spawn(sweeper::sweep(Rc::clone(&local)));
        spawn(listener::accept_all(
            Rc::clone(&local),
            entry,
            Listener::from_std(accepting).unwrap(),
        ));
        while ended
            .try_recv()
            .is_err_and(|it| it == tokio::sync::oneshot::error::TryRecvError::Empty)
        {
            crate::io::sleep(Duration::from_millis(5)).await;
        }
        counted.set(local.counters.panics.get());
    });
    let (lost, next) = client.join().unwrap();
    assert_eq!(lost, "", "{driver:?}: its connection just ends");
    assert!(next.starts_with("HTTP/1.1 200 OK\r\n"), "{driver:?}: the worker lives: {next:?}");
    assert_eq!(panics.get(), 1, "{driver:?}");
}

#[test]
fn g12_a_panic_ends_one_connection_and_is_counted_on_epoll() {
    a_panic_ends_one_connection_and_is_counted(DriverChoice::Epoll);
}

#[test]
fn g12_a_panic_ends_one_connection_and_is_counted_on_io_uring() {
    if let Err(error) = io_uring::IoUring::new(8) {
        println!("skipped: io_uring: {error}");
        return;
    }
    a_panic_ends_one_connection_and_is_counted(DriverChoice::Uring);
}
