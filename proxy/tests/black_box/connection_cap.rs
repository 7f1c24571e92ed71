//! The number of connections that the whole process holds (http1 G6).

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Client, Driver, Origin, Setup, app, eventually, on_both_drivers};

on_both_drivers!(g6_one_connection_too_many_is_reset_until_another_ends);

fn is_reset(address: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).expect("the kernel accepts");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let error = stream.read(&mut [0]).expect_err("no byte and no orderly end");
    error.kind() == std::io::ErrorKind::ConnectionReset
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
    eventually("there is room again", || {
        let mut stream = TcpStream::connect(proxy.address()).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
        let error = stream.read(&mut [0]).err()?;
        (error.kind() == std::io::ErrorKind::WouldBlock).then_some(())
    });
}
