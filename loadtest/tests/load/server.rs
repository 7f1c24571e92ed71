//! A scripted server, one thread a connection, on a loopback port of its own; and the program under
//! test, run to its end. Shares no code with either.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest run of the program.
const DEADLINE: Duration = Duration::from_secs(20);

/// A request as it came, and which it is of its connection and of all.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Counts the requests of the server from 1.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> &str {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(it, _)| it.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }
}

/// What a script answers; `None` ends the connection.
pub(crate) type Script = fn(&Request) -> Option<Vec<u8>>;

/// A running server; its threads end with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (requests, connections) = (Arc::default(), Arc::default());
        let server = Self { address, requests, connections };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                let requests = Arc::clone(&requests);
                thread::spawn(move || serve(stream, script, &requests));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests that came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Connections that came, less the one with which the program tries an address.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed) - 1
    }
}

fn serve(mut stream: TcpStream, script: Script, requests: &AtomicUsize) {
    stream.set_nodelay(true).expect("a socket option");
    let mut bytes = Vec::new();
    let mut block = [0; 16 * 1024];
    loop {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").map(|it| it + 4);
        let mut request = Request { head: String::new(), body: Vec::new(), number: 0 };
        if let Some(end) = end {
            request.head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let body_bytes: usize = request.field("content-length").parse().unwrap_or(0);
            if bytes.len() >= end + body_bytes {
                request.body = bytes[end..end + body_bytes].to_vec();
                bytes.drain(..end + body_bytes);
                request.number = requests.fetch_add(1, Ordering::Relaxed) + 1;
                match script(&request) {
                    Some(answer) if stream.write_all(&answer).is_ok() => continue,
                    _ => return,
                }
            }
        }
        match stream.read(&mut block) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&block[..count]),
            _ => return,
        }
    }
}

/// A plain answer.
pub(crate) fn ok(_: &Request) -> Option<Vec<u8>> {
    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec())
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn number(&self, path: &str) -> f64 {
        let found = self.json.pointer(path).and_then(Value::as_f64);
        found.unwrap_or_else(|| panic!("no {path} in {}\n{}", self.json, self.err))
    }
}

/// Starts the program.
pub(crate) fn spawn(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sundew-loadtest"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program")
}

/// Waits for its end, which must come in time.
pub(crate) fn finish(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().expect("a status").is_none() {
        if begin.elapsed() > DEADLINE {
            child.kill().expect("an end");
            let output = child.wait_with_output().expect("an output");
            panic!("it did not end: {}", String::from_utf8_lossy(&output.stderr));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("an output")
}

/// `load` to its end, with the JSON report on the standard output stream.
pub(crate) fn load(arguments: &[&str]) -> Said {
    let mut all = vec!["load", "--json", "-"];
    all.extend(arguments);
    if !arguments.contains(&"--warm-up") {
        all.extend(["--warm-up", "0s"]);
    }
    let output = finish(spawn(&all));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    Said {
        code: output.status.code(),
        json: serde_json::from_str(&out).unwrap_or(Value::Null),
        out,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
