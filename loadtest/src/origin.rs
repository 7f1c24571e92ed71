//! The origin: monoio, a thread per worker, every worker on every port by `SO_REUSEPORT`. It
//! trusts its client (the proxy under measurement) and does the least that HTTP/1.1 asks for.
//! Called by `main`; never used as a judge of correctness.

mod identified;
mod websocket;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;

use clap::Args;
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::{ListenerOpts, TcpListener, TcpStream, UnixListener};

use identified::{ID_FIELD, Identified};

use crate::special::Special;

/// What `sundew-loadtest origin` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Ports: one, a list, or ranges such as `9001-9004,9100`.
    #[arg(long, default_value = "9001-9004", value_parser = parse_ports)]
    ports: Ports,
    /// Socket file to listen on as well, served by one thread; may be given many times. A socket
    /// that is there already is replaced.
    #[arg(long, value_name = "PATH")]
    unix: Vec<PathBuf>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Use epoll, where `io_uring` is not allowed.
    #[arg(long)]
    epoll: bool,
}

/// A list of ports; a type of its own so that one argument may hold many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports(Vec<u16>);

/// Largest body that a path may ask for.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Body of every path but `/b/N`.
const BODY_BYTES_DEFAULT: usize = 100;
/// First size of a connection's buffer; a head larger than [`HEAD_BYTES_MAX`] closes it.
const READ_BYTES: usize = 16 * 1024;
const HEAD_BYTES_MAX: usize = 128 * 1024;

fn parse_ports(text: &str) -> Result<Ports, String> {
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bound = |it: &str| it.trim().parse::<u16>().map_err(|why| format!("{it:?}: {why}"));
        let (first, last) = (bound(first)?, bound(last)?);
        if first > last {
            return Err(format!("{part}: the first port is above the last"));
        }
        ports.extend(first..=last);
    }
    Ok(Ports(ports))
}

/// Serves until the process is ended; returns early only with an error.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let mut threads = Vec::new();
    for worker in 0..options.workers.max(1) {
        let mut options = options.clone();
        // Threads share a port by SO_REUSEPORT; a socket file has one listener.
        let is_kept = |at: usize| at % options.workers.max(1) == worker;
        let paths = options.unix.iter().enumerate().filter(|(at, _)| is_kept(*at));
        options.unix = paths.map(|(_, path)| path.clone()).collect();
        threads.push(thread::spawn(move || work(&options)));
    }
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a worker panicked"))??;
    }
    Ok(())
}

fn work(options: &Options) -> io::Result<()> {
    if options.epoll {
        let mut runtime =
            monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()?;
        runtime.block_on(listen_all(options))
    } else {
        let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
            .with_entries(4096)
            .enable_timer()
            .build()
            .map_err(|why| io::Error::new(why.kind(), format!("io_uring: {why}; --epoll?")))?;
        runtime.block_on(listen_all(options))
    }
}

async fn listen_all(options: &Options) -> io::Result<()> {
    let mut accepting = Vec::new();
    for port in &options.ports.0 {
        let address = format!("{}:{port}", options.host);
        let reuse = ListenerOpts::new().reuse_addr(true).reuse_port(true).backlog(4096);
        let listener = TcpListener::bind_with_config(&address, &reuse)
            .map_err(|why| io::Error::new(why.kind(), format!("{address}: {why}")))?;
        let port = listener.local_addr()?.port();
        println!("origin: listening on {}:{port}", options.host);
        accepting.push(monoio::spawn(accept(listener, port)));
    }
    for path in &options.unix {
        let listener = bind_unix(path)
            .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))?;
        println!("origin: listening on unix:{}", path.display());
        accepting.push(monoio::spawn(accept_unix(listener, path.display().to_string())));
    }
    for task in accepting {
        task.await?;
    }
    Ok(())
}

async fn accept(listener: TcpListener, port: u16) -> io::Result<()> {
    let answers = Rc::new(Answers::new(port.to_string()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = Rc::clone(&answers);
        // A connection that breaks is the client's affair.
        monoio::spawn(async move { drop(serve(stream, &answers).await) });
    }
}

fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = StdUnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept_unix(listener: StdUnixListener, name: String) -> io::Result<()> {
    let answers = Rc::new(Answers::new(name));
    let readiness = UnixListener::from_std(listener.try_clone()?)?;
    loop {
        readiness.readable(false).await?;
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                Err(why) => return Err(why),
            };
            stream.set_nonblocking(true)?;
            // The runtime only receives and sends on a stream, whatever its family: under this type
            // everything that serves a TCP connection serves a socket file.
            let stream = TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(stream)))?;
            let answers = Rc::clone(&answers);
            monoio::spawn(async move { drop(serve(stream, &answers).await) });
        }
    }
}

/// Prepared responses of one port or socket, by body size.
struct Answers {
    name: String,
    small: Answer,
    large: RefCell<HashMap<usize, Answer>>,
}

/// One prepared response; cloning it copies no bytes.
#[derive(Clone)]
struct Answer {
    whole: Rc<Vec<u8>>,
    head_bytes: usize,
}

impl Answers {
    fn new(name: String) -> Self {
        let small = render(&name, BODY_BYTES_DEFAULT);
        Self { name, small, large: RefCell::default() }
    }

    fn of_size(&self, bytes: usize) -> Answer {
        if bytes == BODY_BYTES_DEFAULT {
            return self.small.clone();
        }
        let mut large = self.large.borrow_mut();
        large.entry(bytes).or_insert_with(|| render(&self.name, bytes)).clone()
    }
}

fn render(name: &str, bytes: usize) -> Answer {
    let mut whole = format!(
        "HTTP/1.1 200 OK\r\nX-Server: {name}\r\nContent-Type: text/plain\r\n\
         Content-Length: {bytes}\r\n\r\n"
    )
    .into_bytes();
    let head_bytes = whole.len();
    whole.resize(head_bytes + bytes, b'x');
    Answer { whole: Rc::new(whole), head_bytes }
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let (mut request, head_bytes) = loop {
            if let Some(found) = parse(&buffer) {
                break found;
            }
            if buffer.len() > HEAD_BYTES_MAX || !read_more(&mut stream, &mut buffer).await? {
                return Ok(());
            }
        };
        let special = Special::of(&buffer[..head_bytes]);
        buffer.drain(..head_bytes);
        if let Some(special) = special {
            if special.answer(&mut stream, &mut buffer, &answers.name).await? {
                continue;
            }
            return Ok(());
        }
        drop_body(&mut stream, &mut buffer, request.body, &mut request.identified).await?;
        if let Some(key) = &request.websocket_key {
            return websocket::echo(&mut stream, &mut buffer, key, &answers.name).await;
        }
        let answer = match &request.identified {
            None => answers.of_size(request.answer_bytes),
            Some(it) => {
                let (whole, head_bytes) = it.answer(&answers.name, request.answer_bytes);
                Answer { whole: Rc::new(whole), head_bytes }
            }
        };
        let answer_bytes = if request.is_head { answer.head_bytes } else { answer.whole.len() };
        let whole = Rc::clone(&answer.whole);
        let (sent, _) = stream.write_all(monoio::buf::IoBuf::slice(whole, ..answer_bytes)).await;
        sent?;
        if request.is_last {
            return Ok(());
        }
    }
}

/// What matters of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    answer_bytes: usize,
    body: Body,
    is_head: bool,
    is_last: bool,
    identified: Option<Identified>,
    /// Of a request to become a WebSocket.
    websocket_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
}

/// A request and the bytes of its head, or `None` while the head is not whole.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let head_bytes = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_bytes]);
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let target = line.split(' ').nth(1).unwrap_or_default();
    let size = target.strip_prefix("/b/").and_then(|it| it.split('?').next());
    let mut request = Request {
        answer_bytes: size.and_then(|it| it.parse().ok()).unwrap_or(BODY_BYTES_DEFAULT),
        body: Body::Length(0),
        is_head: line.starts_with("HEAD "),
        is_last: line.ends_with("HTTP/1.0"),
        identified: None,
        websocket_key: None,
    };
    request.answer_bytes = request.answer_bytes.min(BODY_BYTES_MAX);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            request.body = Body::Length(value.parse().unwrap_or(0));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            request.body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            request.is_last |= value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case(ID_FIELD) {
            request.identified = Identified::new(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-key") {
            request.websocket_key = Some(value.to_owned());
        }
    }
    Some((request, head_bytes))
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut taken = std::mem::take(buffer);
    taken.reserve(READ_BYTES);
    let start = taken.len();
    let end = taken.capacity();
    let slice = monoio::buf::IoBufMut::slice_mut(taken, start..end);
    let (read, slice) = stream.read(slice).await;
    *buffer = slice.into_inner();
    Ok(read? > 0)
}

async fn drop_body(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    body: Body,
    identified: &mut Option<Identified>,
) -> io::Result<()> {
    match body {
        Body::Length(mut left) => loop {
            let taken = left.min(buffer.len());
            if let Some(it) = identified {
                it.see(&buffer[..taken]);
            }
            buffer.drain(..taken);
            left -= taken;
            if left == 0 {
                return Ok(());
            }
            fill(stream, buffer).await?;
        },
        Body::Chunked => drop_chunks(stream, buffer).await,
    }
}

async fn drop_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line_end = loop {
            match buffer.windows(2).position(|pair| pair == b"\r\n") {
                Some(end) => break end,
                None => fill(stream, buffer).await?,
            }
        };
        let line = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)
            .map_err(|why| io::Error::other(format!("chunk size {line:?}: {why}")))?;
        buffer.drain(..line_end + 2);
        let mut left = size + 2;
        while left > 0 {
            let taken = left.min(buffer.len());
            buffer.drain(..taken);
            left -= taken;
            if left > 0 {
                fill(stream, buffer).await?;
            }
        }
        if size == 0 {
            return Ok(());
        }
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    if read_more(stream, buffer).await? {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_lists_of_numbers_and_ranges() {
        assert_eq!(parse_ports("9001-9003,80"), Ok(Ports(vec![9001, 9002, 9003, 80])));
        assert_eq!(parse_ports("7"), Ok(Ports(vec![7])));
        for wrong in ["", "x", "9003-9001", "1,,2", "70000"] {
            assert!(parse_ports(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_names_its_answer_and_its_body() {
        let bytes = b"POST /b/65536?x HTTP/1.1\r\nHost: a\r\ncontent-length: 12\r\n\r\nrest";
        let request = Request {
            answer_bytes: 65536,
            body: Body::Length(12),
            is_head: false,
            is_last: false,
            identified: None,
            websocket_key: None,
        };
        assert_eq!(parse(bytes), Some((request, bytes.len() - 4)));
        assert_eq!(parse(&bytes[..40]), None);
    }
}
