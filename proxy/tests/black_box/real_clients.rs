//! Clients that other people wrote: curl, and the Python WebSocket client. Where one is missing the
//! test says so and leaves a line in `skipped.txt`, which CI counts.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::support::{Driver, Next, Origin, Setup, app, on_both_drivers, pin_of};

on_both_drivers!(curl_is_pinned_by_its_cookie_jar, a_websocket_client_talks_through_the_proxy);

/// Notes that a test could not run, where CI finds it.
fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.txt");
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.expect("the list of skipped tests"), "{test}: {why}").expect("written");
}

fn curl_is_pinned_by_its_cookie_jar(driver: Driver) {
    if Command::new("curl").arg("--version").output().is_err() {
        skip("curl_is_pinned_by_its_cookie_jar", "curl is not installed");
        return;
    }
    let origins = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let urls = origins.each_ref().map(Origin::url);
    let proxy = Setup::new(driver, app(&[&urls[0], &urls[1], &urls[2]])).start();
    let jar = proxy.folder().join("jar");
    let ask = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "10"]);
        curl.arg("--cookie").arg(&jar).arg("--cookie-jar").arg(&jar);
        let output = curl.arg(format!("http://{}/", proxy.address())).output().expect("curl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = ask();
    for _ in 0..5 {
        assert_eq!(ask(), first);
    }
    let at = ["a", "b", "c"].iter().position(|name| *name == first).expect("a name");
    let jar = fs::read_to_string(&jar).expect("a cookie jar");
    assert!(jar.contains(&pin_of(&urls[at])), "{jar}");
    assert_eq!(origins[at].requests().len(), 6);
}

/// Sends three messages through the proxy and prints what came back and which cookie was set.
const WEBSOCKET_CLIENT: &str = r#"
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], proxy=None) as socket:
    for message in ["one", b"\x00\xff" * 40000, "drei \u00fc"]:
        socket.send(message)
        assert socket.recv() == message, "not an echo"
    print(socket.response.headers["Set-Cookie"])
"#;

/// Echoes each message: the whole server side of the protocol that the client needs.
fn websocket_echo(accept: impl Fn(&str) -> String + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |exchange| {
        let key = exchange.request.field("Sec-WebSocket-Key").unwrap_or_default().to_owned();
        exchange.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept(&key)
        ));
        let mut bytes = Vec::new();
        loop {
            while let Some((frame, used)) = unmask(&bytes) {
                bytes.drain(..used);
                exchange.send(&frame);
                if frame[0] & 0x0f == 8 {
                    return Next::Close;
                }
            }
            let more = exchange.read_some();
            if more.is_empty() {
                return Next::Close;
            }
            bytes.extend(more);
        }
    })
}

/// The first masked frame of `bytes` as an unmasked one, and how many bytes it took (RFC 6455 §5).
fn unmask(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (length, mask_at) = match *bytes.get(1)? & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mask = bytes.get(mask_at..mask_at + 4)?;
    let payload = bytes.get(mask_at + 4..mask_at + 4 + length)?;
    let mut frame = bytes[..mask_at].to_vec();
    frame[1] &= 0x7f;
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Some((frame, mask_at + 4 + length))
}

fn a_websocket_client_talks_through_the_proxy(driver: Driver) {
    let python = env::var("SUNDEW_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import websockets.sync.client"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        let why = "no Python with the websockets package (SUNDEW_TEST_PYTHON names one)";
        skip("a_websocket_client_talks_through_the_proxy", why);
        return;
    }
    let digest = python.clone();
    let origin = websocket_echo(move |key| {
        let code = "import base64,hashlib,sys;print(base64.b64encode(hashlib.sha1((sys.argv[1]+\
                    '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode())";
        let output = Command::new(&digest).args(["-c", code, key]).output().expect("python");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    let proxy = Setup::new(driver, app(&[&origin.url()])).start();
    let url = format!("ws://{}/socket", proxy.address());
    let output = Command::new(&python).args(["-c", WEBSOCKET_CLIENT, &url]).output();
    let output = output.expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(printed, format!("sid={}; Path=/", pin_of(&origin.url())));
    assert_eq!(origin.only_request().field("X-Forwarded-Proto"), Some("ws"));
}
