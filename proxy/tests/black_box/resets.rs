//! A connection that ends after any byte, in order or by a reset, on either side of an exchange:
//! what is cut is never taken for whole, and the next exchange of somebody else is right.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::support::{
    Client, DEADLINE, Driver, Next, Origin, Setup, Sundew, app_with, eventually, on_both_drivers,
};

on_both_drivers!(
    a_request_cut_after_any_byte_is_never_whole_at_the_server,
    a_response_cut_after_any_byte_is_never_whole_at_the_client,
);

/// How a peer ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// A FIN, and it goes on reading.
    Fin,
    /// A close: what arrives later is answered by a reset.
    Close,
    /// A reset.
    Reset,
}

/// Ends by dropping it.
#[expect(clippy::needless_pass_by_value, reason = "the drop is the close")]
fn cut(stream: TcpStream, how: Cut) {
    match how {
        Cut::Fin => {
            let _ = stream.shutdown(Shutdown::Write);
            read_all(&stream);
        }
        Cut::Close => {}
        Cut::Reset => drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    prepare(&stream);
    stream
}

fn prepare(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_nodelay(true).expect("nodelay");
}

/// Everything until the end, and whether that was in order.
fn read_all(mut stream: &TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut block = [0; 4096];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return (all, true),
            Ok(count) => all.extend_from_slice(&block[..count]),
            Err(why) => {
                let is_late = matches!(
                    why.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
                assert!(!is_late, "no end within {DEADLINE:?}, after {}", all.escape_ascii());
                return (all, false);
            }
        }
    }
}

/// The proxy's open descriptors come back to what they were.
#[track_caller]
fn expect_descriptors(proxy: &Sundew, before: usize) {
    eventually(&format!("{before} descriptors again"), || {
        (proxy.descriptors() <= before).then_some(())
    });
}

fn start(driver: Driver, url: &str) -> Sundew {
    Setup::new(driver, app_with("", &[url])).start()
}

fn a_request_cut_after_any_byte_is_never_whole_at_the_server(driver: Driver) {
    let origin = Origin::scripted(|exchange| {
        exchange.read_body();
        let target = exchange.request.line().split(' ').nth(1).unwrap_or("").to_owned();
        if exchange.request.is_whole {
            let length = target.len();
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"));
        }
        Next::KeepAlive
    });
    let proxy = start(driver, &origin.url());
    let mut other = Client::connect(proxy.address());
    assert_eq!(other.get("/before", "").text(), "/before");
    let before = proxy.descriptors();
    for (kind, rest) in [
        ("length", "Content-Length: 10\r\n\r\nabcdefghij"),
        (
            "chunked",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n6;x\r\nefghij\r\n0\r\nT: u\r\n\r\n",
        ),
    ] {
        let request = format!("POST /{kind} HTTP/1.1\r\nHost: a\r\n{rest}");
        for at in 0..request.len() {
            for how in [Cut::Fin, Cut::Close, Cut::Reset] {
                let mut stream = connect(proxy.address());
                stream.write_all(&request.as_bytes()[..at]).expect("taken");
                let answer = stream.try_clone().expect("a second descriptor");
                if how == Cut::Fin {
                    stream.shutdown(Shutdown::Write).expect("a half-close");
                    let (got, _) = read_all(&answer);
                    let is_refusal = got.is_empty() || got.starts_with(b"HTTP/1.1 4");
                    assert!(is_refusal, "{kind} {at}: {}", got.escape_ascii());
                }
                drop(answer);
                cut(stream, how);
                let target = format!("/{kind}/{at}/{how:?}");
                assert_eq!(other.get(&target, "").text(), target, "another client's");
            }
        }
    }
    expect_descriptors(&proxy, before);
    let requests = origin.requests();
    let is_cut = |request: &&crate::support::Request| request.method() == "POST";
    assert!(requests.iter().filter(is_cut).count() > 100, "bodies were cut at the server too");
    let whole = requests.iter().filter(is_cut).find(|request| request.is_whole);
    assert!(whole.is_none(), "{whole:?}");
    // A cut head is no request; every other one is logged as the client's doing.
    eventually("every cut body in the log", || {
        let lines = proxy.access_lines(1);
        let posts: Vec<_> = lines.iter().filter(|line| line.contains("\"POST\"")).collect();
        let statuses = ["\"DownstreamStatus\":499", "\"DownstreamStatus\":400"];
        let odd = posts.iter().find(|line| !statuses.iter().any(|it| line.contains(it)));
        assert!(odd.is_none(), "{odd:?}");
        (posts.len() >= requests.iter().filter(is_cut).count()).then_some(())
    });
}

/// What the server does with the next request.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Sends so much of the response; all of it and goes on with `None`.
    cut: Option<(usize, Cut)>,
    /// Before it has read a byte of the request.
    is_early: bool,
    response: &'static str,
}

/// The response to whom nothing happens.
const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
const GOOD_ONCE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngood";

/// A server that follows the plan of the moment.
fn planned(plan: Arc<Mutex<Plan>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let plan = Arc::clone(&plan);
            thread::spawn(move || follow(stream, &plan));
        }
    });
    address
}

fn follow(mut stream: TcpStream, plan: &Mutex<Plan>) {
    prepare(&stream);
    let now = || *plan.lock().expect("the plan");
    loop {
        if !now().is_early && !read_request(&mut stream) {
            return;
        }
        let Plan { cut: how, response, .. } = now();
        let Some((count, how)) = how else {
            let _ = stream.write_all(response.as_bytes());
            if response == GOOD_ONCE {
                return;
            }
            continue;
        };
        let _ = stream.write_all(&response.as_bytes()[..count]);
        return cut(stream, how);
    }
}

/// Reads a request of this file to its end; false at the end of the connection.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut got = Vec::new();
    let mut block = [0; 4096];
    let is_whole = |got: &[u8]| {
        got.ends_with(b"abcdefghij") || (got.starts_with(b"GET") && got.ends_with(b"\r\n\r\n"))
    };
    while !is_whole(&got) {
        match stream.read(&mut block) {
            Ok(count @ 1..) => got.extend_from_slice(&block[..count]),
            Ok(0) | Err(_) => return false,
        }
    }
    true
}

/// A response, the bytes of its head, and what its body is for the client.
const RESPONSES: [(&str, &str); 3] = [
    ("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 10\r\n\r\nabcdefghij", "length"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\nabcd\r\n6;x\r\nefghij\r\n0\r\nT: u\r\n\r\n",
        "chunked",
    ),
    ("HTTP/1.1 200 OK\r\nX: until the end\r\n\r\nabcdefghij", "close"),
];

fn a_response_cut_after_any_byte_is_never_whole_at_the_client(driver: Driver) {
    let plan = Plan { cut: None, is_early: false, response: GOOD };
    let plan = Arc::new(Mutex::new(plan));
    let origin = planned(Arc::clone(&plan));
    let set = |next: Plan| *plan.lock().expect("the plan") = next;
    let proxy = start(driver, &format!("http://{origin}"));
    let mut other = Client::connect(proxy.address());
    assert_eq!(other.get("/", "").text(), "good");
    let before = proxy.descriptors();
    let mut exchanges = 1;
    // Before the request is read, which a fresh connection is for; and after it, on either.
    for (is_early, good) in [(true, GOOD_ONCE), (false, GOOD_ONCE), (false, GOOD)] {
        for (response, framing) in RESPONSES {
            for at in 0..response.len() {
                for how in [Cut::Fin, Cut::Close, Cut::Reset] {
                    if framing == "close" && how != Cut::Reset && at >= head_bytes(response) {
                        // That is how it ends.
                        continue;
                    }
                    set(Plan { cut: Some((at, how)), is_early, response });
                    for version in ["1.1", "1.0"] {
                        let what = format!("{framing} {at} {how:?} {is_early} {version}");
                        check_cut(&proxy, response, at, version, &what);
                    }
                    set(Plan { cut: None, is_early: false, response: good });
                    assert_eq!(other.get("/", "").text(), "good", "after {framing} {at} {how:?}");
                    exchanges += 3;
                }
            }
        }
    }
    expect_descriptors(&proxy, before);
    proxy.access_lines(exchanges);
}

fn head_bytes(response: &str) -> usize {
    response.find("\r\n\r\n").expect("a head") + 4
}

/// One exchange whose response is cut: a 502, or a part that shows that it is one.
fn check_cut(proxy: &Sundew, response: &str, at: usize, version: &str, what: &str) {
    let mut stream = connect(proxy.address());
    let request = format!(
        "POST /cut HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\
         Content-Length: 10\r\n\r\nabcdefghij"
    );
    stream.write_all(request.as_bytes()).expect("taken");
    let (got, is_in_order) = read_all(&stream);
    let text = String::from_utf8(got).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    if head.starts_with(&format!("HTTP/{version} 502 ")) {
        assert!(is_in_order && body == "Bad Gateway", "{what}: {text:?}");
        return;
    }
    assert!(at >= head_bytes(response), "{what}: {text:?}");
    assert!(head.starts_with(&format!("HTTP/{version} 200 OK\r\n")), "{what}: {text:?}");
    if head.contains("Transfer-Encoding: chunked") {
        let has_last = body.starts_with("0\r\n") || body.contains("\r\n0\r\n");
        assert!(!has_last, "{what}: {text:?}");
        let chunks = body.split("\r\n").enumerate();
        let bytes: String = chunks.filter(|(line, _)| line % 2 == 1).map(|(_, it)| it).collect();
        assert!("abcdefghij".starts_with(&bytes), "{what}: {text:?}");
        return;
    }
    assert!("abcdefghij".starts_with(body), "{what}: {text:?}");
    if head.contains("Content-Length: 10") {
        assert!(body.len() < 10, "{what}: {text:?}");
    } else {
        assert!(!is_in_order, "{what}: an end like any other: {text:?}");
    }
}
