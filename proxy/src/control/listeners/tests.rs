use std::io::Read;
use std::net::TcpStream;

use sundew_config::model::{ForwardedHeaders, RespondingTimeouts};

use super::*;

fn entry_point(name: &str, host: &str, port: u16) -> EntryPoint {
    EntryPoint {
        name: name.into(),
        address: ListenAddress { host: host.into(), port },
        forwarded_headers: ForwardedHeaders::default(),
        proxy_protocol: Default::default(),
        timeouts: RespondingTimeouts { read: None, write: None, idle: None },
        grace: Duration::ZERO,
        request_accept_grace: Duration::ZERO,
        keep_alive_requests_max: None,
        keep_alive_time_max: None,
        sanitize_path: true,
        encode_query_semicolons: false,
        head_bytes_max: None,
    }
}

fn refused(entry_points: &[EntryPoint]) -> Vec<String> {
    bind(entry_points, 1).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_worker_listens_on_every_entry_point_at_one_port_that_the_kernel_chose() {
    let entry_points = [entry_point("a", "127.0.0.1", 0), entry_point("b", "127.0.0.1", 0)];
    let bound = bind(&entry_points, 3).unwrap();
    assert_eq!(bound.workers.len(), 3);
    assert_ne!(bound.addresses[0], bound.addresses[1]);
    for listeners in &bound.workers {
        let got: Vec<_> =
            listeners.iter().map(|(index, it)| (index.0, it.local_addr().unwrap())).collect();
        assert_eq!(got, [(0, bound.addresses[0]), (1, bound.addresses[1])]);
    }
}

#[test]
fn listeners_are_shared_non_blocking_and_without_nagle() {
    let bound = bind(&[entry_point("web", "127.0.0.1", 0)], 1).unwrap();
    let (_, listener) = &bound.workers[0][0];
    let socket = socket2::SockRef::from(listener);
    assert!(socket.reuse_port().unwrap() && socket.tcp_nodelay().unwrap());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let _client = TcpStream::connect(bound.addresses[0]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let accepted = loop {
        match listener.accept() {
            Ok((accepted, _)) => break accepted,
            Err(_) => assert!(Instant::now() < deadline, "nothing to accept"),
        }
    };
    assert!(accepted.nodelay().unwrap(), "inherited");
}

#[test]
fn an_empty_host_means_every_address_of_both_families() {
    let bound = bind(&[entry_point("web", "", 0)], 1).unwrap();
    assert!(bound.addresses[0].ip().is_unspecified());
    TcpStream::connect(("127.0.0.1", bound.addresses[0].port())).unwrap();
}

#[test]
fn a_host_name_listens_at_its_first_ipv4_address() {
    let bound = bind(&[entry_point("web", "localhost", 0)], 1).unwrap();
    assert!(bound.addresses[0].ip().is_loopback());
}

#[test]
fn a_port_in_use_is_refused_and_its_owner_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    // In this test the owner is this process itself.
    let want = format!(
        "entry point web: cannot listen on 127.0.0.1:{port}: \
         another entry point of this configuration has it"
    );
    assert_eq!(refused(&[entry_point("web", "127.0.0.1", port)]), [want]);
}

#[test]
fn another_processs_port_is_refused_with_its_name_and_number() {
    let script = "import socket,sys\n\
        s=socket.create_server(('127.0.0.1',0))\n\
        print(s.getsockname()[1],flush=True)\n\
        sys.stdin.read()";
    let mut python = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3 is needed for this test");
    let mut line = String::new();
    let mut output = std::io::BufReader::new(python.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let refused = refused(&[entry_point("web", "", port)]);
    let pid = python.id();
    drop(python.stdin.take());
    python.wait().unwrap();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("already in use by python3"), "{refused:?}");
    assert!(refused[0].contains(&format!("(process {pid})")), "{refused:?}");
}

#[test]
fn an_address_that_another_sundew_locked_is_not_shared() {
    let free = bind(&[entry_point("web", "127.0.0.1", 0)], 1).unwrap();
    let address = free.addresses[0];
    drop(free.workers);
    // Nobody listens any more, but the lock is still held.
    let want =
        format!("entry point web: cannot listen on {address}: already in use by another sundew");
    assert_eq!(refused(&[entry_point("web", "127.0.0.1", address.port())]), [want]);
    drop(free.locks);
    bind(&[entry_point("web", "127.0.0.1", address.port())], 1).unwrap();
}

#[test]
fn every_entry_point_that_cannot_listen_is_reported() {
    let one = bind(&[entry_point("x", "127.0.0.1", 0), entry_point("y", "127.0.0.1", 0)], 1);
    let one = one.unwrap();
    let [x, y] = [one.addresses[0].port(), one.addresses[1].port()];
    let refused = refused(&[
        entry_point("a", "127.0.0.1", x),
        entry_point("b", "127.0.0.1", 0),
        entry_point("c", "127.0.0.1", y),
    ]);
    assert_eq!(refused.len(), 2);
    assert!(refused[0].starts_with("entry point a:") && refused[1].starts_with("entry point c:"));
}

#[test]
fn a_listener_that_lingers_for_a_moment_is_waited_for() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let lingering = std::thread::spawn(move || {
        std::thread::sleep(BUSY_WAIT_MAX / 4);
        drop(other);
    });
    let bound = bind(&[entry_point("web", "127.0.0.1", port)], 2).unwrap();
    lingering.join().unwrap();
    assert_eq!(bound.addresses[0].port(), port);
}

#[test]
fn connections_in_time_wait_do_not_keep_the_port() {
    let first = bind(&[entry_point("web", "127.0.0.1", 0)], 1).unwrap();
    let address = first.addresses[0];
    let mut client = TcpStream::connect(address).unwrap();
    let (_, listener) = &first.workers[0][0];
    listener.set_nonblocking(false).unwrap();
    // The side that closes first is the one left in TIME_WAIT.
    drop(listener.accept().unwrap());
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    drop(client);
    drop(first);
    bind(&[entry_point("web", "127.0.0.1", address.port())], 1).unwrap();
}

#[test]
fn addresses_are_written_as_in_the_configuration() {
    let written = |host: &str| written(&ListenAddress { host: host.into(), port: 80 });
    assert_eq!([written(""), written("::1"), written("web")], [":80", "[::1]:80", "web:80"]);
}
