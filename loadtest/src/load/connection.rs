//! One connection to what is measured: opening it, and one request and its response at a time.
//! Knows no pins and no pace. Called by the client.

use std::io;

use monoio::buf::{IoBufMut as _, SliceMut};
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::{TcpStream, UnixStream};

use super::response::{Head, parse_head};
use super::target::Endpoint;

/// Spare room for each read; a large body comes in pieces of about this size.
const READ_BYTES: usize = 32 * 1024;

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection.
    Connect(io::Error),
    /// The connection ended before the answer did.
    Reset(io::Error),
    /// It took too long.
    Timeout,
    /// Not HTTP/1.1, in words.
    Protocol(&'static str),
}

/// A stream of one of the kinds that are spoken to.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_addr(*address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Endpoint::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
        }
    }

    async fn read(&mut self, room: SliceMut<Vec<u8>>) -> (io::Result<usize>, SliceMut<Vec<u8>>) {
        match self {
            Self::Tcp(stream) => stream.read(room).await,
            Self::Unix(stream) => stream.read(room).await,
        }
    }

    async fn write_all(&mut self, bytes: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Unix(stream) => stream.write_all(bytes).await,
        }
    }
}

/// What is shown of a response while it is read.
pub(super) trait Witness {
    /// The whole head, as it came.
    fn head(&mut self, raw: &[u8]);
    /// One field of it.
    fn field(&mut self, name: &str, value: &[u8]);
    /// The next piece of the body.
    fn content(&mut self, piece: &[u8]);
}

/// An open connection.
pub(super) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    /// Bytes read on behalf of this exchange.
    bytes_in: u64,
}

impl Connection {
    /// Opens one.
    ///
    /// # Errors
    /// [`Failure::Connect`].
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, Failure> {
        let stream = Stream::open(endpoint).await.map_err(Failure::Connect)?;
        Ok(Self { stream, buffer: Vec::new(), bytes_in: 0 })
    }

    /// Sends `request`, which comes back in `request`, and reads the response to its last byte:
    /// its head, and the bytes that came.
    ///
    /// # Errors
    /// Why there is no whole response; the connection is of no use then.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Vec<u8>,
        is_head: bool,
        witness: &mut impl Witness,
    ) -> Result<(Head, u64), Failure> {
        self.bytes_in = 0;
        if !self.buffer.is_empty() {
            return Err(Failure::Protocol("bytes behind the end of a response"));
        }
        let (sent, bytes) = self.stream.write_all(std::mem::take(request)).await;
        *request = bytes;
        sent.map_err(Failure::Reset)?;
        let head = self.read_head(is_head, witness).await?;
        self.buffer.drain(..head.bytes);
        let mut body = head.body;
        loop {
            let taken = body.take(&self.buffer, |it| witness.content(it));
            let taken = taken.map_err(Failure::Protocol)?;
            // Most often all of it, which moves no byte.
            self.buffer.drain(..taken);
            if body.is_done() {
                break;
            }
            match self.fill().await {
                Ok(()) => {}
                Err(_) if body == super::response::Body::UntilClose => break,
                Err(why) => return Err(why),
            }
        }
        if !self.buffer.is_empty() {
            return Err(Failure::Protocol("bytes behind the end of a response"));
        }
        Ok((head, self.bytes_in))
    }

    /// The final head; interim ones are read over.
    async fn read_head(
        &mut self,
        is_head: bool,
        witness: &mut impl Witness,
    ) -> Result<Head, Failure> {
        loop {
            if !self.buffer.is_empty() {
                let parsed = parse_head(&self.buffer, is_head, |name, value| {
                    witness.field(name, value);
                });
                match parsed.map_err(Failure::Protocol)? {
                    Some(head) if head.status == 101 => {
                        return Err(Failure::Protocol("an upgrade that nobody asked for"));
                    }
                    Some(head) if head.status < 200 => {
                        self.buffer.drain(..head.bytes);
                        continue;
                    }
                    Some(head) => {
                        witness.head(self.buffer.get(..head.bytes).unwrap_or_default());
                        return Ok(head);
                    }
                    None => {}
                }
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        let mut taken = std::mem::take(&mut self.buffer);
        taken.reserve(READ_BYTES);
        let room = taken.len()..taken.capacity();
        let (read, room) = self.stream.read(taken.slice_mut(room)).await;
        self.buffer = room.into_inner();
        match read {
            Ok(0) => Err(Failure::Reset(io::ErrorKind::UnexpectedEof.into())),
            Ok(bytes) => {
                self.bytes_in += bytes as u64;
                Ok(())
            }
            Err(why) => Err(Failure::Reset(why)),
        }
    }
}
