//! A server that records, byte by byte, what the proxy let through, and answers from a script.
//!
//! Its own address in a head is recorded as `server`. Of the heads it drops the lines that the proxy adds for a client on 127.0.0.1 that asked for
//! host `a`; a line that is missing or there twice is noted in the record instead.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// One request, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    /// Which connection of this server, from 0.
    pub(crate) connection: usize,
    /// Lines joined by `\n`, one `char` a byte.
    pub(crate) head: String,
    /// Decoded.
    pub(crate) body: Vec<u8>,
    /// Its last byte came.
    pub(crate) is_whole: bool,
}

/// What the server sends for a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// Sent in two pieces, the first so long.
    pub(crate) split: Option<usize>,
    pub(crate) then: Then,
}

/// What the server does with its connection after a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    #[default]
    Wait,
    /// FIN.
    Close,
    /// RST.
    Reset,
}

type Script = Arc<dyn Fn(&Got) -> Reply + Send + Sync>;

#[derive(Default)]
struct State {
    got: Vec<Got>,
    connections: usize,
    /// Connections that are within a request.
    unfinished: usize,
    /// Connections whose end has come, by their number.
    ended: Vec<usize>,
    /// Replies whose last byte is on its way.
    replies: usize,
    is_stopping: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        result
    }
}

/// A recording server on a loopback port.
pub(crate) struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Between two pieces, so that they are two reads where the machine allows it. The outcome must
/// be the same either way.
pub(crate) const PAUSE: Duration = Duration::from_micros(300);

impl Recorder {
    pub(crate) fn new(script: impl Fn(&Got) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (script, own): (Script, _) = (Arc::new(script), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.with(|state| state.is_stopping) {
                    return;
                }
                let connection = own.with(|state| {
                    state.connections += 1;
                    state.connections - 1
                });
                let (script, shared) = (Arc::clone(&script), Arc::clone(&own));
                thread::spawn(move || serve(stream, connection, &script, &shared));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything since the last call, once no request is half received any more; `Err` when one
    /// stays so.
    pub(crate) fn take(&self) -> Result<Vec<Got>, Vec<Got>> {
        let mut all = Vec::new();
        let in_time = self.wait(|state| {
            let is_settled = state.unfinished == 0;
            if is_settled {
                all = std::mem::take(&mut state.got);
            }
            is_settled
        });
        if in_time { Ok(all) } else { Err(self.shared.with(|state| state.got.clone())) }
    }

    /// What came so far.
    pub(crate) fn so_far(&self) -> Vec<Got> {
        self.shared.with(|state| state.got.clone())
    }

    /// Waits until the proxy has closed this connection; false when it does not.
    pub(crate) fn wait_for_end(&self, connection: usize) -> bool {
        self.wait(|state| state.ended.contains(&connection))
    }

    /// Waits until the server has sent `count` replies; false when it does not.
    pub(crate) fn wait_for_replies(&self, count: usize) -> bool {
        self.wait(|state| state.replies >= count)
    }

    /// Replies sent so far.
    pub(crate) fn replies(&self) -> usize {
        self.shared.with(|state| state.replies)
    }

    /// Waits until `is_so`; false when it does not become so.
    fn wait(&self, mut is_so: impl FnMut(&mut State) -> bool) -> bool {
        const PATIENCE: Duration = Duration::from_secs(3);
        let end = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_so(&mut state) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.with(|state| state.is_stopping = true);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(mut stream: TcpStream, connection: usize, script: &Script, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let own = stream.local_addr().map_or_else(|_| String::new(), |it| it.to_string());
    let mut bytes = Vec::new();
    let mut interims = 0;
    let mut index = None;
    loop {
        let (got, consumed) = parse(&bytes, connection, &own);
        let Some(got) = got else {
            if !fill(&mut stream, &mut bytes) {
                break;
            }
            continue;
        };
        let is_new = index.is_none();
        let at = *index.get_or_insert_with(|| {
            shared.with(|state| {
                state.unfinished += 1;
                state.got.push(got.clone());
                state.got.len() - 1
            })
        });
        if !got.is_whole {
            if is_new && got.head.contains("Expect:") && interims == 0 {
                interims += 1;
                let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !fill(&mut stream, &mut bytes) {
                break;
            }
            continue;
        }
        shared.with(|state| {
            if let Some(record) = state.got.get_mut(at) {
                *record = got.clone();
            }
            state.unfinished -= 1;
        });
        index = None;
        bytes.drain(..consumed);
        let stays = answer(&mut stream, &script(&got));
        shared.with(|state| state.replies += 1);
        if !stays {
            break;
        }
    }
    if index.is_some() {
        shared.with(|state| state.unfinished -= 1);
    } else if !bytes.is_empty() {
        // Not even a head: a server would wait for the rest.
        let head = text(&bytes);
        shared.with(|state| {
            state.got.push(Got { connection, head, body: Vec::new(), is_whole: false });
        });
    }
    // With no time to linger set this is a reset.
    drop(stream);
    shared.with(|state| state.ended.push(connection));
}

/// Whether the connection stays open.
fn answer(stream: &mut TcpStream, reply: &Reply) -> bool {
    let at = reply.split.unwrap_or(0).min(reply.bytes.len());
    if at > 0 {
        let _ = stream.write_all(&reply.bytes[..at]);
        thread::sleep(PAUSE);
    }
    let sent = stream.write_all(&reply.bytes[at..]);
    if reply.then == Then::Reset {
        let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
    }
    sent.is_ok() && reply.then == Then::Wait
}

fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut block = [0; 16 * 1024];
    match stream.read(&mut block) {
        Ok(count @ 1..) => {
            bytes.extend_from_slice(&block[..count]);
            true
        }
        _ => false,
    }
}

/// The request at the start of `bytes`, trusting them, and how long it is.
fn parse(bytes: &[u8], connection: usize, own: &str) -> (Option<Got>, usize) {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return (None, 0) };
    let raw = text(&bytes[..end]);
    let rest = &bytes[end + 4..];
    let length = value_of(&raw, "content-length").map(str::to_owned);
    let body = match (value_of(&raw, "transfer-encoding"), length) {
        (None, None) => Some((Vec::new(), 0)),
        (None, Some(length)) => {
            let length: usize = length.parse().expect("a plain length from the proxy");
            rest.get(..length).map(|body| (body.to_vec(), length))
        }
        (Some("chunked"), None) => decode(rest),
        both => panic!("framing from the proxy: {both:?}"),
    };
    let is_whole = body.is_some();
    let (body, body_bytes) = body.unwrap_or_default();
    let got =
        Got { connection, head: without_own_lines(&raw).replace(own, "server"), body, is_whole };
    (Some(got), end + 4 + body_bytes)
}

/// Chunks without extensions, and no trailers: the proxy writes nothing else.
fn decode(mut rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let begin = rest.len();
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = text(&rest[..end]);
        let size = usize::from_str_radix(&line, 16).expect("a bare chunk size from the proxy");
        rest = &rest[end + 2..];
        body.extend_from_slice(rest.get(..size)?);
        let tail = rest.get(size..size + 2)?;
        assert_eq!(tail, b"\r\n", "behind a chunk of {size} bytes");
        rest = &rest[size + 2..];
        if size == 0 {
            return Some((body, begin - rest.len()));
        }
    }
}

fn without_own_lines(raw: &str) -> String {
    const OWN: [&str; 6] = [
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: a",
        "X-Forwarded-Port: 80",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Server: ",
        "X-Real-Ip: 127.0.0.1",
    ];
    let mut counts = [0; OWN.len()];
    let mut kept = Vec::new();
    for line in raw.split("\r\n") {
        let own = OWN.iter().position(|own| match own.ends_with(' ') {
            true => line.starts_with(own),
            false => line == *own,
        });
        match own {
            Some(at) => counts[at] += 1,
            None => kept.push(line),
        }
    }
    // Host, port and scheme follow what was asked: the others are the same for every request.
    let missing = [0, 4, 5].into_iter().filter(|at| counts[*at] != 1);
    let notes: Vec<_> = missing.map(|at| format!("!{} times {}", counts[at], OWN[at])).collect();
    kept.extend(notes.iter().map(String::as_str));
    kept.join("\n")
}

/// Each byte as one `char`.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The value of a field in a head of lines.
pub(crate) fn value_of<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
