//! `loadBalancer.strategy`: which server takes a request where no pin decides.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app_with, eventually, on_both_drivers, pin_of,
};

on_both_drivers!(
    p2c_turns_away_from_the_server_that_pinned_clients_keep_busy,
    leasttime_turns_away_from_the_slow_server,
    hrw_keeps_a_client_without_a_cookie,
    weights_hold_over_two_workers,
);

fn proxy(driver: Driver, balancer: &str, origins: &[&Origin]) -> Sundew {
    let urls: Vec<_> = origins.iter().map(|origin| origin.url()).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    Setup::new(driver, app_with(balancer, &urls)).start()
}

fn picks(proxy: &Sundew, count: usize) -> String {
    let mut client = Client::connect(proxy.address());
    (0..count).map(|_| client.get("/", "").text()).collect()
}

/// Answers with its name after a while.
fn slow(name: &'static str, wait: Duration) -> Origin {
    Origin::scripted(move |exchange| {
        thread::sleep(wait);
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}").as_bytes());
        Next::KeepAlive
    })
}

fn p2c_turns_away_from_the_server_that_pinned_clients_keep_busy(driver: Driver) {
    // Holds what asks for it until its client leaves.
    let busy = Origin::scripted(|exchange| {
        if exchange.request.line().contains("/hold") {
            exchange.record();
            while !exchange.read_some().is_empty() {}
            return Next::Close;
        }
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nA");
        Next::KeepAlive
    });
    let free = Origin::named("B");
    let balancer = "strategy: p2c\nsticky: {cookie: {name: sid}}";
    let proxy = proxy(driver, balancer, &[&busy, &free]);
    let held = TcpStream::connect(proxy.address()).expect("a connection");
    let request =
        format!("GET /hold HTTP/1.1\r\nHost: a\r\nCookie: sid={}\r\n\r\n", pin_of(&busy.url()));
    std::io::Write::write_all(&mut &held, request.as_bytes()).expect("a request");
    eventually("the server holds it", || (busy.requests().len() == 1).then_some(()));
    assert_eq!(picks(&proxy, 20), "B".repeat(20));
    drop(held);
    eventually("what has ended does not count any more", || {
        picks(&proxy, 20).contains('A').then_some(())
    });
}

fn leasttime_turns_away_from_the_slow_server(driver: Driver) {
    let (slow, quick) = (slow("A", Duration::from_millis(60)), Origin::named("B"));
    let proxy = proxy(driver, "strategy: leasttime", &[&slow, &quick]);
    let got = picks(&proxy, 20);
    assert_eq!(got.matches('A').count(), 1, "{got}: tried once, then known");
}

fn hrw_keeps_a_client_without_a_cookie(driver: Driver) {
    let origins = ["A", "B", "C"].map(Origin::named);
    let balancer = "strategy: hrw";
    let mut proxy = proxy(driver, balancer, &origins.each_ref());
    let first = picks(&proxy, 1);
    assert_eq!(picks(&proxy, 9), first.repeat(9));
    let response = Client::fetch(proxy.address(), "/");
    assert_eq!((response.text(), response.field("Set-Cookie")), (first.clone(), None));
    let at = ["A", "B", "C"].iter().position(|name| *name == first).expect("a name");
    let [mut a, mut b, mut c] = origins;
    [&mut a, &mut b, &mut c][at].stop();
    let second = picks(&proxy, 1);
    assert_ne!(second, first, "the next score takes over while the first refuses");
    [&mut a, &mut b, &mut c][at].start();
    assert_eq!(picks(&proxy, 3), first.repeat(3), "and gives back");
    assert_eq!(proxy.terminate(), 0);
}

fn weights_hold_over_two_workers(driver: Driver) {
    let origins = ["A", "B"].map(Origin::named);
    let text = format!(
        "http:\n  routers: {{app: {{rule: \"PathPrefix(`/`)\", service: app}}}}\n  services: \
         {{app: {{loadBalancer: {{strategy: wrr, servers: [{{url: \"{}\", weight: 3}}, \
         {{url: \"{}\"}}]}}}}}}\n",
        origins[0].url(),
        origins[1].url()
    );
    let proxy = Setup::new(driver, text).workers(2).start();
    let all: String = (0..10).map(|_| picks(&proxy, 16)).collect();
    let count = all.matches('A').count();
    assert!((118..=122).contains(&count), "{count} of 160 in {all}");
}
