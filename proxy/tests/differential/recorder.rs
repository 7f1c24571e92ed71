//! The server behind nginx and Caddy, which cannot say what they read of a body: it reports every
//! whole request that reaches it, by the strict reader of the model, and answers with the target.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread;

use super::ledger::{Markers, Seen, Witness};
use super::model::{Request, Stop, read_request};

/// Listens on `path` until the process ends; each connection has a thread.
pub(crate) fn start(path: &Path, reports: Sender<Seen>) {
    let listener = UnixListener::bind(path).expect("a socket for the recorder");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let reports = reports.clone();
            thread::spawn(move || serve(stream, &reports));
        }
    });
}

fn serve(mut stream: UnixStream, reports: &Sender<Seen>) {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let mut was_told_to_continue = false;
    loop {
        let request = match read_request(&bytes) {
            Ok((request, Ok(length))) => {
                bytes.drain(..length);
                request
            }
            Ok((_, Err(Stop::Malformed(why)))) | Err(Stop::Malformed(why)) => {
                return report_malformed(&bytes, why, reports);
            }
            begun => {
                if !was_told_to_continue && begun.is_ok_and(|(it, _)| it.expects_continue) {
                    was_told_to_continue = true;
                    let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                match stream.read(&mut piece) {
                    Ok(0) => return,
                    Ok(length) => bytes.extend_from_slice(&piece[..length]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
                continue;
            }
        };
        was_told_to_continue = false;
        let target = request.understood_target.clone().unwrap_or(request.target.clone());
        let answer = answer(&request, &target);
        if reports.send(seen(&request, target)).is_err() || stream.write_all(&answer).is_err() {
            return;
        }
    }
}

fn answer(request: &Request, target: &str) -> Vec<u8> {
    let length = target.len();
    let head = format!("HTTP/1.1 200 OK\r\nX-Target: {target}\r\nContent-Length: {length}\r\n\r\n");
    let body = if request.method == "HEAD" { "" } else { target };
    format!("{head}{body}").into_bytes()
}

fn seen(request: &Request, target: String) -> Seen {
    Seen {
        witness: Witness::Body,
        method: request.method.clone(),
        target,
        markers: Markers::All(request.markers.clone()),
        body: request.fingerprint(),
        trailers: request.trailers,
    }
}

/// Matches nothing that was sent, and so becomes a finding.
fn report_malformed(bytes: &[u8], why: &str, reports: &Sender<Seen>) {
    let target = format!("{why} at the recorder: {}", bytes.escape_ascii());
    let _ = reports.send(Seen { witness: Witness::Body, target, ..Seen::default() });
}
