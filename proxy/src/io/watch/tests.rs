use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::*;

/// Our end of a connection and the peer's.
struct Pair {
    ours: UnixStream,
    peer: UnixStream,
}

impl Pair {
    fn new() -> Self {
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_nonblocking(true).unwrap();
        Self { ours, peer }
    }

    fn fd(&self) -> RawFd {
        self.ours.as_raw_fd()
    }

    /// Whether a pending read of ours would end.
    fn is_read_shut(&self) -> bool {
        matches!((&self.ours).read(&mut [0; 8]), Ok(0))
    }

    /// Whether the peer sees the end of what we send.
    fn is_write_shut(&self) -> bool {
        matches!((&self.peer).read(&mut [0; 8]), Ok(0))
    }

    fn is_open(&self) -> bool {
        !self.is_read_shut() && !self.is_write_shut()
    }
}

fn watched(pair: &Pair) -> Watched {
    Rc::new(Watches::default()).add(pair.fd())
}

#[test]
fn a_deadline_ends_each_phase_as_its_client_must_be_told() {
    use Phase::{Head, Idle, Lingering, RequestBody, Responding, Waiting};
    for (phase, can_still_be_answered) in [
        (Idle, false),
        (Head, true),
        (RequestBody, true),
        (Waiting, false),
        (Responding, false),
        (Lingering, false),
    ] {
        let client = Pair::new();
        let watch = watched(&client);
        watch.enter(phase, 1_000);
        watch.sweep(999);
        assert!(client.is_open() && watch.expiry().is_none(), "{phase:?}");
        watch.sweep(1_000);
        assert!(client.is_read_shut(), "{phase:?}");
        assert_eq!(!client.is_write_shut(), can_still_be_answered, "{phase:?}");
        assert_eq!(watch.take_expiry(), Some(Expiry::Deadline), "{phase:?}");
        watch.sweep(2_000);
        assert_eq!(watch.take_expiry(), None, "{phase:?}: it passes once");
    }
}

#[test]
fn a_tunnel_s_deadline_ends_both_sides() {
    let (client, server) = (Pair::new(), Pair::new());
    let watch = watched(&client);
    watch.set_upstream(server.fd());
    watch.enter_while_moving(Phase::Tunnel, 0, 1_000, 1);
    watch.sweep(1_000);
    assert!(client.is_read_shut() && client.is_write_shut());
    assert!(server.is_read_shut() && server.is_write_shut());
}

#[test]
fn without_a_deadline_nothing_ends() {
    let client = Pair::new();
    let watch = watched(&client);
    for phase in [Phase::Idle, Phase::Responding, Phase::Tunnel] {
        watch.enter(phase, NEVER);
        watch.sweep(u64::MAX - 1);
        assert!(client.is_open() && watch.expiry().is_none());
    }
}

#[test]
fn a_phase_lasts_as_long_as_every_window_brings_enough() {
    let client = Pair::new();
    let watch = watched(&client);
    watch.enter_while_moving(Phase::Responding, 0, 1_000, 10);
    for window in 1..=3 {
        watch.note_progress(4);
        watch.note_progress(6);
        watch.sweep(window * 1_000 - 1);
        watch.sweep(window * 1_000);
        assert_eq!(watch.expiry(), None, "window {window}");
    }
    watch.note_progress(9);
    watch.sweep(3_999);
    assert_eq!(watch.expiry(), None);
    watch.sweep(4_000);
    assert_eq!(watch.expiry(), Some(Expiry::Deadline), "one byte short");
}

#[test]
fn progress_of_an_earlier_phase_does_not_count() {
    let client = Pair::new();
    let watch = watched(&client);
    watch.note_progress(1_000);
    watch.enter_while_moving(Phase::Responding, 0, 1_000, 1);
    watch.sweep(1_000);
    assert_eq!(watch.expiry(), Some(Expiry::Deadline));
}

#[test]
fn a_server_s_deadline_ends_the_server_only() {
    let (client, server) = (Pair::new(), Pair::new());
    let watch = watched(&client);
    watch.set_upstream(server.fd());
    watch.await_upstream(0, 1_000);
    assert_eq!(watch.phase(), Phase::Waiting);
    watch.sweep(999);
    assert!(server.is_open());
    watch.sweep(1_000);
    assert!(server.is_read_shut() && server.is_write_shut() && client.is_open());
    assert_eq!(watch.take_expiry(), Some(Expiry::UpstreamDeadline));

    let server = Pair::new();
    watch.set_upstream(server.fd());
    watch.await_upstream(1_000, 2_000);
    watch.upstream_answered();
    watch.sweep(5_000);
    assert!(server.is_open(), "it has answered");
}

#[test]
fn a_client_that_left_is_noticed_after_a_while() {
    let (client, server) = (Pair::new(), Pair::new());
    let watch = watched(&client);
    watch.set_upstream(server.fd());
    watch.await_upstream(1_000, NEVER);
    watch.sweep(1_000 + CLIENT_CHECK_AFTER_MS);
    assert_eq!(watch.expiry(), None, "it is still there");
    let Pair { ours: _ours, peer } = client;
    drop(peer);
    watch.await_upstream(2_000, NEVER);
    watch.sweep(2_000 + CLIENT_CHECK_AFTER_MS - 1);
    assert_eq!(watch.expiry(), None, "too early to look");
    watch.sweep(2_000 + CLIENT_CHECK_AFTER_MS);
    assert_eq!(watch.expiry(), Some(Expiry::ClientGone), "D11");
    assert!(server.is_read_shut() && server.is_write_shut());
}

#[test]
fn a_client_that_left_behind_a_pipelined_request_is_still_answered() {
    let (client, server) = (Pair::new(), Pair::new());
    let watch = watched(&client);
    watch.set_upstream(server.fd());
    (&client.peer).write_all(b"GET /").unwrap();
    client.peer.shutdown(std::net::Shutdown::Write).unwrap();
    watch.await_upstream(0, NEVER);
    watch.sweep(CLIENT_CHECK_AFTER_MS);
    assert_eq!(watch.expiry(), None);
    assert!(server.is_open());
}

#[test]
fn a_server_that_is_let_go_is_not_touched_any_more() {
    let (client, server) = (Pair::new(), Pair::new());
    let watch = watched(&client);
    watch.set_upstream(server.fd());
    watch.await_upstream(0, 100);
    watch.clear_upstream();
    watch.sweep(1_000);
    watch.abort(Expiry::Stopping);
    assert!(server.is_open());
    assert_eq!(watch.expiry(), Some(Expiry::Stopping));
    assert!(client.is_read_shut() && client.is_write_shut());
}

#[test]
fn an_idle_connection_is_ended_after_what_is_queued() {
    let client = Pair::new();
    let watch = watched(&client);
    (&client.peer).write_all(b"GET").unwrap();
    watch.finish_idle();
    let mut queued = [0; 8];
    assert_eq!((&client.ours).read(&mut queued).unwrap(), 3);
    assert!(client.is_read_shut() && !client.is_write_shut(), "it can still be answered");
}

#[test]
fn patience_is_lost_once_and_only_with_a_read_that_waits() {
    let patience = Patience::default();
    patience.sweep(10_000, 100);
    let _first = patience.begin(1_000);
    patience.sweep(1_099, 100);
    assert_eq!(patience.since_ms.get(), Some(1_000));
    patience.sweep(1_100, 100);
    assert_eq!(patience.since_ms.get(), None, "taken back");
    let _second = patience.begin(2_000);
    patience.end();
    patience.sweep(9_000, 100);
    assert_eq!(patience.since_ms.get(), None);
}

#[test]
fn a_connection_that_ended_is_forgotten() {
    let (client, other) = (Pair::new(), Pair::new());
    let watches = Rc::new(Watches::default());
    let watch = watches.add(client.fd());
    let stays = watches.add(other.fd());
    watch.enter(Phase::Idle, 0);
    stays.enter(Phase::Idle, 0);
    drop(watch);
    assert_eq!(watches.len(), 1);
    watches.sweep(1);
    assert!(client.is_open(), "its descriptor may be another's by now");
    assert!(other.is_read_shut());
    let mut seen = 0;
    watches.for_each(|_| seen += 1);
    assert_eq!(seen, 1);
}

#[test]
fn a_request_that_came_as_its_connection_was_ended_is_not_taken_for_one_that_was_left() {
    let (listener, server) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Pair::new());
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    let watch = Rc::new(Watches::default()).add(ours.as_raw_fd());
    client.write_all(b"x").unwrap();
    watch.finish_idle();
    assert_eq!(ours.read(&mut [0; 8]).unwrap(), 1, "what is queued is still read");
    let _ = watch.take_expiry();
    watch.set_upstream(server.fd());
    watch.await_upstream(0, NEVER);
    watch.sweep(CLIENT_CHECK_AFTER_MS);
    assert_eq!(watch.expiry(), None, "the client is there");
    assert!(server.is_open());
}
