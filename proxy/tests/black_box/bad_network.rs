//! A network that loses, delays and reorders packets: everything arrives whole, in order, and at
//! whom it is for.
//!
//! The test runs itself again in a network namespace of its own, whose loopback is made bad by
//! netem, or by nftables and a slow queue where there is no netem (loss, late packets, but no
//! reordering besides what retransmission does). Needs root.

use std::process::Command;
use std::{env, fs, thread};

use crate::support::{Client, Driver, Next, Origin, Setup, app, on_both_drivers, pin_of};

on_both_drivers!(a_network_that_loses_and_reorders_packets_loses_no_exchange);

/// Set inside.
const INSIDE: &str = "SUNDEW_TEST_BAD_NETWORK";

/// Makes the loopback bad, says so, and runs the rest of its arguments.
const PREPARE: &str = "
    ip link set lo mtu 1500 up || exit 1
    if tc qdisc add dev lo root netem delay 4ms 3ms reorder 25% 50% loss 2%; then
        echo prepared: netem
    elif nft 'table inet bad { chain in { type filter hook input priority 0;
            meta l4proto tcp numgen random mod 100 < 2 drop; }; }' &&
        tc qdisc add dev lo root tbf rate 100mbit burst 16k latency 20ms; then
        echo prepared: nftables
    else
        exit 1
    fi
    exec \"$@\"";

const CLIENTS: usize = 6;
const ROUNDS: usize = 12;
const BODY_BYTES: usize = 50_000;

fn a_network_that_loses_and_reorders_packets_loses_no_exchange(driver: Driver) {
    if env::var_os(INSIDE).is_some() {
        exchange_all(driver);
    } else {
        run_inside(driver);
    }
}

/// Runs this very test in a bad network, or says why not.
fn run_inside(driver: Driver) {
    let name = format!(
        "bad_network::a_network_that_loses_and_reorders_packets_loses_no_exchange::{}",
        if driver == Driver::Uring { "uring" } else { "epoll" }
    );
    let test = env::current_exe().expect("this binary");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", PREPARE, "sh"]).arg(test);
    command.args(["--exact", &name, "--nocapture"]).env(INSIDE, "1");
    let output = match command.output() {
        Ok(output) => output,
        Err(why) => return println!("skipped: no network namespaces: unshare: {why}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let Some(how) = text.lines().find_map(|line| line.strip_prefix("prepared: ")) else {
        return println!("skipped: no bad network can be made here: {}", errors.trim());
    };
    println!("by {how}");
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "the test itself was not run: {text}");
}

/// Retransmitted segments in this network namespace.
fn retransmitted() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").expect("/proc/net/snmp");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut both = names.split(' ').zip(values.split(' '));
    let found = both.find(|(name, _)| *name == "RetransSegs").expect("RetransSegs");
    found.1.parse().expect("a number")
}

/// Says who it is and sends the body back, as chunks.
fn echo(name: &'static str) -> Origin {
    Origin::scripted(move |exchange| {
        let body = exchange.read_body();
        exchange.send(format!(
            "HTTP/1.1 200 OK\r\nX-Served-By: {name}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        for block in body.chunks(7_000) {
            exchange.send(format!("{:x}\r\n", block.len()));
            exchange.send(block);
            exchange.send("\r\n");
        }
        exchange.send("0\r\n\r\n");
        Next::KeepAlive
    })
}

fn exchange_all(driver: Driver) {
    let origins = [echo("a"), echo("b")];
    let urls = [origins[0].url(), origins[1].url()];
    let proxy = Setup::new(driver, app(&[&urls[0], &urls[1]])).start();
    let address = proxy.address();
    let clients = (0..CLIENTS).map(|number| {
        let (name, pin) = [("a", pin_of(&urls[0])), ("b", pin_of(&urls[1]))][number % 2].clone();
        thread::spawn(move || {
            let mut client = Client::connect(address);
            for round in 0..ROUNDS {
                if round % 4 == 3 {
                    client = Client::connect(address);
                }
                post(&mut client, &pin, number * ROUNDS + round, round % 2 == 0);
                let response = client.response();
                assert_eq!(response.field("X-Served-By"), Some(name), "pinned");
                assert!(response.body == body(number * ROUNDS + round), "its own body");
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.join().expect("every exchange of a client");
    }
    let requests: usize = origins.iter().map(|origin| origin.requests().len()).sum();
    assert_eq!(requests, CLIENTS * ROUNDS, "each once");
    let records = proxy.access_records(CLIENTS * ROUNDS);
    assert!(records.iter().all(|record| record.number("DownstreamStatus") == 200));
    assert!(retransmitted() > 0, "nothing was lost: the network was not bad");
}

/// A body that is like no other one.
fn body(seed: usize) -> Vec<u8> {
    (0..BODY_BYTES).map(|at| (at * 31 + at / 251 + seed * 7) as u8).collect()
}

fn post(client: &mut Client, pin: &str, seed: usize, is_chunked: bool) {
    let body = body(seed);
    let head = format!("POST /{seed} HTTP/1.1\r\nHost: example.test\r\nCookie: sid={pin}\r\n");
    if is_chunked {
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        for block in body.chunks(9_000) {
            client.send(format!("{:x}\r\n", block.len()));
            client.send(block);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
    } else {
        client.send(format!("{head}Content-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
    }
}
