//! The number of connections that the whole process holds, of everybody and of one address (http1
//! G6).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{Client, Driver, Origin, Setup, Sundew, app, eventually, on_both_drivers};

on_both_drivers!(
    g6_one_connection_too_many_is_reset_until_another_ends,
    g6_one_connection_too_many_of_an_address_is_reset_and_others_are_served,
    g6_two_workers_count_an_address_together,
    g6_the_address_that_a_proxy_header_names_is_counted,
);

fn is_reset_or_open(mut stream: TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let error = stream.read(&mut [0]).expect_err("no byte and no orderly end");
    error.kind() == std::io::ErrorKind::ConnectionReset
}

fn is_reset(address: SocketAddr) -> bool {
    let stream = TcpStream::connect(address).expect("the kernel accepts");
    is_reset_or_open(stream, Duration::from_secs(5))
}

fn has_room(address: SocketAddr) -> Option<()> {
    let stream = TcpStream::connect(address).ok()?;
    (!is_reset_or_open(stream, Duration::from_millis(100))).then_some(())
}

fn g6_one_connection_too_many_is_reset_until_another_ends(driver: Driver) {
    let origin = Origin::named("a");
    let setup = Setup::new(driver, app(&[&origin.url()])).settings("limits: {connections: 2}");
    let proxy = setup.start();
    let mut first = Client::connect(proxy.address());
    let mut second = Client::connect(proxy.address());
    assert_eq!((first.get("/", "").status, second.get("/", "").status), (200, 200));
    assert!(is_reset(proxy.address()));
    assert_eq!(first.get("/", "").status, 200, "those that are in are not disturbed");
    drop(second);
    eventually("there is room again", || has_room(proxy.address()));
}

fn start(driver: Driver, origin: &Origin, workers: usize, entry_point: &str) -> Sundew {
    let setup = Setup::new(driver, app(&[&origin.url()])).workers(workers);
    setup.entry_point(entry_point).settings("limits: {connectionsPerAddress: 2}").start()
}

/// One request of a client at 127.0.0.`last`; its connection, or `None` when it was reset.
fn served_from(last: u8, address: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).expect("a loopback address");
    socket.connect(&address.into()).expect("the kernel accepts");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    if stream.write_all(b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n").is_err() {
        // The reset was faster than the request, and is reported once.
        return None;
    }
    let mut block = [0; 1024];
    match stream.read(&mut block) {
        Ok(count) => {
            assert!(block[..count].starts_with(b"HTTP/1.1 200 "), "{:?}", &block[..count]);
            Some(stream)
        }
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            None
        }
    }
}

fn g6_one_connection_too_many_of_an_address_is_reset_and_others_are_served(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin, 1, "");
    let first = served_from(2, proxy.address());
    let second = served_from(2, proxy.address());
    assert!(first.is_some() && second.is_some());
    assert!(served_from(2, proxy.address()).is_none(), "a third of the same address");
    let others = [served_from(3, proxy.address()), served_from(3, proxy.address())];
    assert!(others.iter().all(Option::is_some), "another address has its own places");
    drop(first);
    eventually("there is room again", || served_from(2, proxy.address()));
    assert_eq!(proxy.access_records(5).len(), 5, "what was reset was no request");
}

fn g6_two_workers_count_an_address_together(driver: Driver) {
    let origin = Origin::named("a");
    let proxy = start(driver, &origin, 2, "");
    // Spread over both workers by the kernel; together they let in as many as one would.
    let served: Vec<_> = (0..16).filter_map(|_| served_from(2, proxy.address())).collect();
    assert_eq!(served.len(), 2);
}

fn g6_the_address_that_a_proxy_header_names_is_counted(driver: Driver) {
    let origin = Origin::named("a");
    let trusting = "proxyProtocol: {trustedIPs: [\"127.0.0.1/32\"]}";
    let proxy = start(driver, &origin, 1, trusting);
    let behind = |source: &str| {
        let mut client = Client::connect(proxy.address());
        let sent = client.send_if_read(format!(
            "PROXY TCP4 {source} 192.0.2.1 56324 80\r\n\
             GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
        ));
        let response = client.try_response_to("GET");
        let is_served = sent && response.is_ok_and(|it| it.is_some_and(|it| it.status == 200));
        is_served.then_some(client)
    };
    let held = [behind("192.0.2.7"), behind("192.0.2.7")];
    assert!(held.iter().all(Option::is_some));
    assert!(behind("192.0.2.7").is_none(), "a third of the same client");
    let other = [behind("192.0.2.8"), behind("192.0.2.8")];
    assert!(other.iter().all(Option::is_some), "the balancer's own address is not counted");
    drop(held);
    eventually("there is room again", || behind("192.0.2.7"));
}
