//! The two ends of the proxy's sockets: clients and servers that do what a script says, and
//! remember every byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::wire::{self, End};

/// Stands for the marker of the exchange in what a server sends.
pub const PLACEHOLDER: u8 = 0x7f;

/// Markers are the only bytes of the stage with the high bit, so nobody else can send one.
pub const MARKER_MIN: u8 = 0x80;

/// Most that a flood sends at once.
const FLOOD_BYTES: usize = 32 * 1024;

/// One client's connection.
#[derive(Debug)]
pub struct Client {
    socket: Option<TcpStream>,
    /// Its address as the proxy is told: the mark of its requests, which it cannot forge.
    pub address: Ipv4Addr,
    /// What it sent.
    pub sent: Vec<u8>,
    /// What it received.
    pub got: Vec<u8>,
    /// How the proxy ended the connection.
    pub end: End,
    is_reading: bool,
}

/// One connection to a server.
#[derive(Debug)]
pub struct Origin {
    socket: Option<TcpStream>,
    /// What it received.
    pub got: Vec<u8>,
    /// What it sent.
    pub sent: Vec<u8>,
    /// How it ended its own direction.
    pub end: End,
    /// Its exchanges.
    pub slots: Vec<Slot>,
    /// Where in `got` the next request begins, or the one whose body is still coming.
    cursor: usize,
    is_reading: bool,
}

/// One request on a connection to a server, and where its answer begins.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Where its head begins; `None`: the server spoke before it was asked.
    pub head_at: Option<usize>,
    /// Where the server's answer begins.
    pub sent_from: usize,
    /// What the server's placeholders became.
    pub marker: u8,
    /// Position among all requests that reached a server.
    pub order: usize,
}

/// Counts the exchanges of one run.
#[derive(Debug, Default)]
pub struct Orders(usize);

impl Orders {
    fn next(&mut self) -> (u8, usize) {
        let order = self.0;
        self.0 += 1;
        let marker = u8::try_from(order).ok().and_then(|it| MARKER_MIN.checked_add(it));
        (marker.expect("fewer exchanges than markers"), order)
    }

    /// No marker may be used twice.
    pub fn is_full(&self) -> bool {
        self.0 >= 100
    }
}

/// Receives what is there; how the stream ended, if it did.
fn drain(socket: &mut TcpStream, into: &mut Vec<u8>) -> End {
    let mut block = [0; 2048];
    loop {
        match socket.read(&mut block) {
            Ok(0) => return End::Finished,
            Ok(count) => into.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return End::Open,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return End::Reset,
        }
    }
}

/// Sends what the kernel takes, and remembers it.
fn send(socket: &mut TcpStream, bytes: &[u8], sent: &mut Vec<u8>) -> usize {
    let taken = socket.write(bytes).unwrap_or(0);
    sent.extend_from_slice(&bytes[..taken]);
    taken
}

fn reset(socket: TcpStream) {
    // On failure the close is an orderly one, which is tried often enough.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}

impl Client {
    /// The end of a non-blocking connection to the proxy.
    pub fn new(socket: TcpStream, address: Ipv4Addr) -> Self {
        let (sent, got) = (Vec::new(), Vec::new());
        Self { socket: Some(socket), address, sent, got, end: End::Open, is_reading: true }
    }

    /// It has not closed.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(socket) = &mut self.socket {
            send(socket, bytes, &mut self.sent);
        }
    }

    /// Sends a FIN.
    pub fn finish(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Closes.
    pub fn close(&mut self) {
        self.socket = None;
    }

    /// Resets.
    pub fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            reset(socket);
        }
    }

    /// Stops reading, or goes on.
    pub fn toggle_reading(&mut self) {
        self.is_reading = !self.is_reading;
    }

    /// Receives, if it reads or `must`.
    pub fn drain(&mut self, must: bool) {
        if let Some(socket) = &mut self.socket
            && self.end == End::Open
            && (self.is_reading || must)
        {
            self.end = drain(socket, &mut self.got);
        }
    }
}

impl Origin {
    /// A connection that was just accepted.
    pub fn new(socket: TcpStream) -> Self {
        socket.set_nonblocking(true).expect("non-blocking");
        socket.set_nodelay(true).expect("nodelay");
        Self {
            socket: Some(socket),
            got: Vec::new(),
            sent: Vec::new(),
            end: End::Open,
            slots: Vec::new(),
            cursor: 0,
            is_reading: true,
        }
    }

    /// It has not closed.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends `bytes`, its placeholders as the marker of the request that it has read last. What is
    /// sent behind a whole answer bears the marker of that answer: nobody else may see it.
    pub fn send(&mut self, bytes: &[u8], orders: &mut Orders) {
        self.send_times(bytes, 1, orders);
    }

    /// Sends `bytes` again and again.
    pub fn flood(&mut self, bytes: &[u8], orders: &mut Orders) {
        if !bytes.is_empty() {
            self.send_times(bytes, FLOOD_BYTES / bytes.len(), orders);
        }
    }

    fn send_times(&mut self, bytes: &[u8], times: usize, orders: &mut Orders) {
        // It must know whom it answers.
        self.drain(true, orders);
        let Some(socket) = &mut self.socket else { return };
        if self.slots.is_empty() {
            let (marker, order) = orders.next();
            self.slots.push(Slot { head_at: None, sent_from: 0, marker, order });
        }
        let marker = self.slots.last().map_or(PLACEHOLDER, |slot| slot.marker);
        let mark = |byte: &u8| if *byte == PLACEHOLDER { marker } else { *byte };
        let bytes: Vec<u8> = bytes.iter().map(mark).collect();
        for _ in 0..times {
            if send(socket, &bytes, &mut self.sent) < bytes.len() {
                break;
            }
        }
    }

    /// Sends a FIN.
    pub fn finish(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Write);
            self.end = End::Finished;
        }
    }

    /// Closes, having read what was there: a close with unread bytes would be a reset.
    pub fn close(&mut self, orders: &mut Orders) {
        self.drain(true, orders);
        if self.socket.take().is_some() {
            self.end = End::Finished;
        }
    }

    /// Resets.
    pub fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            reset(socket);
            if self.end == End::Open {
                self.end = End::Reset;
            }
        }
    }

    /// Stops reading, or goes on.
    pub fn toggle_reading(&mut self) {
        self.is_reading = !self.is_reading;
    }

    /// Receives, if it reads or `must`, and notes the requests.
    pub fn drain(&mut self, must: bool, orders: &mut Orders) {
        if let Some(socket) = &mut self.socket
            && (self.is_reading || must)
        {
            drain(socket, &mut self.got);
            self.note_requests(orders);
        }
    }

    fn note_requests(&mut self, orders: &mut Orders) {
        while let Some(head) = wire::head(&self.got[self.cursor..]) {
            let head_bytes = head.bytes;
            let body = wire::request_body(&head, &self.got[self.cursor + head_bytes..]);
            let is_known = self.slots.last().is_some_and(|it| it.head_at == Some(self.cursor));
            if !is_known {
                if self.is_tunnel() {
                    return;
                }
                self.note_request(orders);
            }
            if !body.is_whole {
                return;
            }
            self.cursor += head_bytes + body.raw_bytes;
        }
    }

    fn note_request(&mut self, orders: &mut Orders) {
        match self.slots.as_mut_slice() {
            [early] if early.head_at.is_none() => early.head_at = Some(self.cursor),
            _ => {
                let (marker, order) = orders.next();
                let (head_at, sent_from) = (Some(self.cursor), self.sent.len());
                self.slots.push(Slot { head_at, sent_from, marker, order });
            }
        }
    }

    /// The server has switched protocols: what comes is no request.
    fn is_tunnel(&self) -> bool {
        self.slots.last().is_some_and(|slot| {
            let head = slot.head_at.and_then(|at| wire::head(&self.got[at..]));
            let asked = head.is_some_and(|head| head.field("upgrade").is_some());
            let answer = wire::response(&self.sent[slot.sent_from..], b"GET", self.end);
            asked && answer.is_some_and(|answer| answer.is_tunnel)
        })
    }

    /// What the server sent for a slot.
    pub fn answer(&self, position: usize) -> &[u8] {
        let from = self.slots[position].sent_from;
        let to = self.slots.get(position + 1).map_or(self.sent.len(), |next| next.sent_from);
        &self.sent[from..to]
    }
}
