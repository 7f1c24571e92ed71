//! Every use of monoio's sockets, timers and tasks outside `worker/runtime.rs`, so that the engine
//! can be replaced in two places.
//!
//! An operation takes the buffer out of its place and puts it back when it ends (the kernel owns
//! it meanwhile).
//! Dropping a read in flight loses its bytes, so nothing here is ever raced or timed out but
//! [`connect`]; deadlines shut the socket down instead ([`watch`]).

mod address;
pub mod buffer;
pub mod clock;
pub mod turn;
pub mod watch;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use monoio::buf::{IoBuf, IoBufMut, SliceMut};
use monoio::io::{
    AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf,
    Splitable,
};
use monoio::net::TcpStream;
use socket2::{Domain, SockAddr, Socket, Type};

pub use address::Address;
pub use buffer::{Buf, BufferPool};
pub use clock::Clock;
pub use watch::{Expiry, Patience, Phase, Watch, Watches};

/// A connected socket, with directions that can be used at the same time.
#[derive(Debug)]
pub struct Stream {
    /// Receiving.
    pub read: ReadHalf,
    /// Sending.
    pub write: WriteHalf,
    fd: RawFd,
}

/// The receiving direction of a [`Stream`].
#[derive(Debug)]
pub struct ReadHalf(Option<OwnedReadHalf<TcpStream>>);

/// The sending direction of a [`Stream`].
#[derive(Debug)]
pub struct WriteHalf(Option<OwnedWriteHalf<TcpStream>>);

impl Stream {
    fn new(stream: TcpStream) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        Self { read: ReadHalf(Some(read)), write: WriteHalf(Some(write)), fd }
    }

    /// Takes over a connected socket of the standard library.
    ///
    /// # Errors
    /// When the event loop cannot register it.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        // The epoll driver needs it; the ring does not mind.
        stream.set_nonblocking(true)?;
        Ok(Self::new(TcpStream::from_std(stream)?))
    }

    /// The descriptor, for [`Watch`] and zero-wait calls; it stays valid as long as `self`.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A sending half that is dropped by itself is shut down first: a system call more for
        // every connection, and no close could be a reset any more.
        if let (Some(read), Some(write)) = (self.read.0.take(), self.write.0.take()) {
            drop(write.reunite(read));
        }
    }
}

/// Halves are there until their [`Stream`] is dropped.
fn ended() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl ReadHalf {
    /// Appends what arrives to `buffer`, up to `bytes_max` and its capacity; 0 is the end.
    ///
    /// # Errors
    /// As `recv(2)`.
    pub async fn read(&mut self, buffer: &mut Buf, bytes_max: usize) -> io::Result<usize> {
        let Some(half) = &mut self.0 else { return Err(ended()) };
        let (slice, start) = readable_slice(buffer, bytes_max);
        let (result, slice) = half.read(slice).await;
        *buffer = Buf::from_parts(slice.into_inner(), start);
        result
    }

    /// Reads into an empty buffer for however long it takes: when the sweeper loses its
    /// `patience`, the buffer goes back to `pool` until there is something to receive, and `fresh`
    /// makes the next one.
    ///
    /// # Errors
    /// As `recv(2)`.
    pub async fn read_patiently(
        &mut self,
        buffer: &mut Buf,
        bytes_max: usize,
        patience: &Patience,
        clock: &Clock,
        pool: &BufferPool,
        fresh: fn(&BufferPool) -> Buf,
    ) -> io::Result<usize> {
        {
            let Some(half) = &mut self.0 else { return Err(ended()) };
            let cancel = patience.begin(clock.now_ms());
            let (slice, start) = readable_slice(buffer, bytes_max);
            let (result, slice) = half.cancelable_read(slice, cancel).await;
            patience.end();
            *buffer = Buf::from_parts(slice.into_inner(), start);
            if !matches!(&result, Err(error) if is_canceled(error)) {
                return result;
            }
        }
        pool.give_back(std::mem::take(buffer));
        self.readable().await?;
        *buffer = fresh(pool);
        self.read(buffer, bytes_max).await
    }

    /// Waits until a read would not wait, holding no buffer: a receive of no bytes, which the
    /// kernel completes once there is something to receive (checked on both drivers).
    ///
    /// # Errors
    /// As `recv(2)`.
    pub async fn readable(&mut self) -> io::Result<()> {
        let Some(half) = &mut self.0 else { return Err(ended()) };
        let (result, _) = half.read(Vec::<u8>::new()).await;
        result.map(|_none| ())
    }
}

fn is_canceled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::CANCELED.raw_os_error())
}

fn readable_slice(buffer: &mut Buf, bytes_max: usize) -> (SliceMut<Vec<u8>>, usize) {
    let (bytes, start) = std::mem::take(buffer).into_parts();
    let begin = bytes.len();
    let end = bytes.capacity().min(begin.saturating_add(bytes_max));
    (bytes.slice_mut(begin..end), start)
}

impl WriteHalf {
    /// Sends the first `count` bytes of `buffer` and uses them up; `watch` is told of every partial
    /// send, so that a stalled one can be told from a slow one.
    ///
    /// # Errors
    /// [`SendError`]; how much of the bytes is used up does not matter then.
    pub async fn send(
        &mut self,
        buffer: &mut Buf,
        count: usize,
        watch: &Watch,
    ) -> Result<(), SendError> {
        let Some(half) = &mut self.0 else { return Err(SendError { is_untouched: true }) };
        let mut left = count;
        while left > 0 {
            let (bytes, start) = std::mem::take(buffer).into_parts();
            let (result, slice) = half.write(bytes.slice(start..start + left)).await;
            *buffer = Buf::from_parts(slice.into_inner(), start);
            let sent = match result {
                Ok(sent @ 1..) => sent,
                Ok(0) | Err(_) => return Err(SendError { is_untouched: left == count }),
            };
            buffer.consume(sent);
            left = left.saturating_sub(sent);
            watch.note_progress(1);
            turn::pass_after(watch, sent).await;
        }
        Ok(())
    }

    /// Sends a FIN: the peer sees the end of what was sent.
    pub async fn finish(&mut self) {
        let Some(half) = &mut self.0 else { return };
        // A peer that is gone does not need to be told.
        let _ = half.shutdown().await;
    }
}

/// A send that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendError {
    /// Not one byte was taken by the socket, so the same bytes may go elsewhere.
    pub is_untouched: bool,
}

/// A listening socket of one worker.
pub struct Listener(monoio::net::TcpListener);

impl Listener {
    /// Takes over a bound, listening, non-blocking socket.
    ///
    /// # Errors
    /// When the event loop cannot register it.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self(monoio::net::TcpListener::from_std(listener)?))
    }

    /// The descriptor, to empty its queue and shut it down.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// The next connection. Must never be dropped while it waits (an accepted socket would leak):
    /// shut the listener down instead, and EINVAL comes.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((Stream::new(stream), peer))
    }
}

/// Connects, within `limit` when there is one (dropping a connect leaks nothing).
///
/// # Errors
/// As `connect(2)`; `TimedOut` after `limit`.
pub async fn connect(address: &Address, limit: Option<Duration>) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => connect_tcp(*address, limit).await,
        Address::Unix(path) => connect_unix(path, limit).await,
    }
}

/// How long a connect to a Unix socket waits before it looks again whether its queue has room:
/// unlike TCP's, the kernel refuses at once (EAGAIN) and tells nobody when there is.
const UNIX_QUEUE_WAIT: Duration = Duration::from_millis(5);

/// Takes no time unless the queue is full. The engine's own Unix streams are another type: every
/// operation on a connected socket is the same call for both, so one type serves.
async fn connect_unix(path: &Path, limit: Option<Duration>) -> io::Result<Stream> {
    let begun = Instant::now();
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&SockAddr::unix(path)?) {
            Ok(()) => return Stream::from_std(OwnedFd::from(socket).into()),
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sleep(UNIX_QUEUE_WAIT).await;
    }
}

async fn connect_tcp(address: SocketAddr, limit: Option<Duration>) -> io::Result<Stream> {
    let connecting = TcpStream::connect_addr(address);
    let stream = match limit {
        None => connecting.await?,
        Some(limit) => match monoio::time::timeout(limit, connecting).await {
            Ok(result) => result?,
            Err(_elapsed) => return Err(io::ErrorKind::TimedOut.into()),
        },
    };
    stream.set_nodelay(true)?;
    Ok(Stream::new(stream))
}

/// The reading end of a wake pipe.
#[derive(Debug)]
pub struct WakePipe(monoio::net::UnixStream);

impl WakePipe {
    /// Takes over a non-blocking socket.
    ///
    /// # Errors
    /// When the event loop cannot register it.
    pub fn from_std(pipe: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Self(monoio::net::UnixStream::from_std(pipe)?))
    }

    /// Waits for a wake, and takes all that are pending.
    ///
    /// # Errors
    /// When the other end is gone.
    pub async fn wait(&mut self) -> io::Result<()> {
        let (result, _) = self.0.read(Vec::with_capacity(64)).await;
        if result? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Runs `future` for at most `limit`; `None` when it did not end. Only for futures that may be
/// dropped: never a read, a send or an accept.
pub async fn timeout<R>(limit: Duration, future: impl Future<Output = R>) -> Option<R> {
    monoio::time::timeout(limit, future).await.ok()
}

/// Waits.
pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}

/// Runs `task` on this worker until it ends.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(task));
}
