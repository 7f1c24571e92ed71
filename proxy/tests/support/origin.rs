//! Scripted servers behind the proxy. Each records exactly what reached it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::wire::{Head, Wire};

/// One request as it reached an origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Counts the connections of this origin from 0.
    pub(crate) connection: usize,
    pub(crate) head: Head,
    /// Decoded; empty until the script has read it.
    pub(crate) body: Vec<u8>,
    /// Whether body and trailers came to their end.
    pub(crate) is_whole: bool,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head.all(name)
    }

    pub(crate) fn line(&self) -> &str {
        &self.head.line
    }

    pub(crate) fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or("")
    }
}

/// What an origin does with its connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    KeepAlive,
    Close,
}

type Script = Arc<dyn Fn(&mut Exchange<'_>) -> Next + Send + Sync>;

/// A server on a loopback port of its own.
pub(crate) struct Origin {
    address: SocketAddr,
    script: Script,
    shared: Arc<Shared>,
    /// Keeps the port while nothing listens, so that nobody else gets it.
    held: Option<Socket>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    streams: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    is_stopping: AtomicBool,
}

impl Shared {
    /// A script that panicked has failed its own test already.
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    /// Answers 200 to everything, its name as body and in `X-Served-By`.
    pub(crate) fn named(name: &str) -> Self {
        let bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Served-By: {name}\r\n\r\n{name}",
            name.len()
        );
        Self::scripted(move |exchange| {
            exchange.read_body();
            let head_end = bytes.len() - bytes.split("\r\n\r\n").last().map_or(0, str::len);
            let is_head = exchange.request.method() == "HEAD";
            exchange.send(&bytes.as_bytes()[..if is_head { head_end } else { bytes.len() }]);
            Next::KeepAlive
        })
    }

    /// Answers every request with the same bytes.
    pub(crate) fn fixed(bytes: impl Into<Vec<u8>>, next: Next) -> Self {
        let bytes = bytes.into();
        Self::scripted(move |exchange| {
            exchange.read_body();
            exchange.send(&bytes);
            next
        })
    }

    /// Runs `script` once a request head is read.
    pub(crate) fn scripted(
        script: impl Fn(&mut Exchange<'_>) -> Next + Send + Sync + 'static,
    ) -> Self {
        let socket = bound_socket();
        let address = address_of(&socket);
        let mut origin = Self {
            address,
            script: Arc::new(script),
            shared: Arc::new(Shared::default()),
            held: Some(socket),
        };
        origin.start();
        origin
    }

    /// Listens (again) on its port.
    pub(crate) fn start(&mut self) {
        let socket = self.held.take().expect("an origin that does not listen yet");
        socket.listen(1024).expect("listen");
        let listener = TcpListener::from(socket);
        self.shared.is_stopping.store(false, Ordering::SeqCst);
        let (script, shared) = (Arc::clone(&self.script), Arc::clone(&self.shared));
        thread::spawn(move || accept_all(&listener, &script, &shared));
    }

    /// Stops listening and closes every connection; the port refuses from then on.
    pub(crate) fn stop(&mut self) {
        if self.held.is_some() {
            return;
        }
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the accept, which sees the flag and drops the listener.
        drop(TcpStream::connect(self.address));
        self.close_connections();
        self.held = Some(super::eventually("the origin's port is free", || {
            let socket = new_socket();
            socket.bind(&self.address.into()).ok().map(|()| socket)
        }));
        self.close_connections();
    }

    /// Closes what is open; new connections are still accepted.
    pub(crate) fn close_connections(&self) {
        for stream in self.shared.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL as a configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "requests that reached the origin: {requests:#?}");
        requests.remove(0)
    }

    /// Whether a connection to this origin is in any state but waiting to be forgotten.
    pub(crate) fn has_open_connections(&self) -> bool {
        const LISTEN: &str = "0A";
        const TIME_WAIT: &str = "06";
        let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let port = format!(":{:04X}", self.address.port());
        table.lines().skip(1).any(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let ends = [columns.next(), columns.next()];
            let is_ours = ends.iter().flatten().any(|end| end.ends_with(&port));
            is_ours && !matches!(columns.next(), Some(LISTEN | TIME_WAIT))
        })
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        if self.held.is_none() {
            drop(TcpStream::connect(self.address));
        }
        self.close_connections();
    }
}

fn accept_all(listener: &TcpListener, script: &Script, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.streams().push(stream.try_clone().expect("a second descriptor"));
        let (script, shared) = (Arc::clone(script), Arc::clone(shared));
        // A connection that breaks is the proxy's choice; the test asserts on what was recorded.
        thread::spawn(move || drop(serve(stream, connection, &script, &shared)));
    }
}

fn serve(stream: TcpStream, connection: usize, script: &Script, shared: &Shared) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    wire.stream().set_read_timeout(None)?;
    while let Some(head) = wire.read_head()? {
        let request = Request { connection, head, ..Request::default() };
        let index = {
            let mut requests = shared.requests();
            requests.push(request.clone());
            requests.len() - 1
        };
        let mut exchange = Exchange { wire: &mut wire, shared, index, request };
        if script(&mut exchange) == Next::Close {
            break;
        }
    }
    wire.stream().shutdown(Shutdown::Both)
}

/// One request and the connection to answer on. The methods end quietly on a broken connection:
/// what the proxy did is seen by the client and in the record.
pub(crate) struct Exchange<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    index: usize,
    pub(crate) request: Request,
}

impl Exchange<'_> {
    /// Reads the body by its framing and records it.
    pub(crate) fn read_body(&mut self) -> Vec<u8> {
        let read = if self.request.head.is_chunked() {
            self.wire.read_chunked().map(|(body, trailers)| {
                assert!(trailers.is_empty(), "request trailers reached the origin: {trailers:?}");
                body
            })
        } else {
            self.wire.read_exact(self.request.head.length().unwrap_or(0))
        };
        self.request.is_whole = read.is_ok();
        self.request.body = read.unwrap_or_default();
        self.record();
        self.request.body.clone()
    }

    /// Replaces the record of this request by what the script knows now.
    pub(crate) fn record(&mut self) {
        if let Some(record) = self.shared.requests().get_mut(self.index) {
            *record = self.request.clone();
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// Raw bytes after an upgrade; empty at the end of the stream.
    pub(crate) fn read_some(&mut self) -> Vec<u8> {
        let mut block = vec![0; 64 * 1024];
        let count = self.wire.read_some(&mut block).unwrap_or(0);
        block.truncate(count);
        block
    }

    /// Ends the sending half.
    pub(crate) fn finish(&mut self) {
        let _ = self.wire.stream().shutdown(Shutdown::Write);
    }

    /// Makes the close that follows a reset.
    pub(crate) fn reset_on_close(&mut self) {
        let _ = SockRef::from(self.wire.stream()).set_linger(Some(Duration::ZERO));
        // The record's second descriptor would keep the connection open.
        self.shared.streams().clear();
    }
}

/// A loopback port on which nothing listens, held for as long as the value lives.
pub(crate) struct ClosedPort {
    address: SocketAddr,
    _held: Socket,
}

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let held = bound_socket();
        Self { address: address_of(&held), _held: held }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A listener whose queue is full: a new connection is neither taken nor refused.
pub(crate) struct FullQueue {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl FullQueue {
    pub(crate) fn new() -> Self {
        const PATIENCE: Duration = Duration::from_millis(100);
        let listener = bound_socket();
        listener.listen(0).expect("listen");
        let address = address_of(&listener);
        let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, PATIENCE).ok());
        let queued: Vec<_> = queue.take(64).collect();
        assert!(queued.len() < 64, "a queue without an end");
        Self { address, _listener: listener, _queued: queued }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn new_socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_reuse_address(true).expect("reuse");
    socket
}

fn bound_socket() -> Socket {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = new_socket();
    socket.bind(&address.into()).expect("a loopback port");
    socket
}

fn address_of(socket: &Socket) -> SocketAddr {
    socket.local_addr().ok().and_then(|it| it.as_socket()).expect("an address")
}
