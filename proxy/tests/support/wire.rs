//! A socket and a tiny HTTP/1.1 reader for tests: line by line, trusting, and written apart from
//! the proxy's parser so that the one can judge the other.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

/// Names and values in the order of the wire.
pub(crate) type Fields = Vec<(String, String)>;

/// A stream with the bytes that were read too far.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A start line and its fields; each byte of the wire is one `char`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Fields,
}

impl Head {
    /// Every value of a field, in order; names match whatever their case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.fields.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.field("Transfer-Encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked"))
    }

    pub(crate) fn length(&self) -> Option<usize> {
        self.field("Content-Length").map(|it| it.parse().expect("a number as Content-Length"))
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(super::DEADLINE)).expect("a read timeout");
        stream.set_write_timeout(Some(super::DEADLINE)).expect("a write timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Some bytes, those left over first; 0 is the end of the stream.
    pub(crate) fn read_some(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            return self.receive(into);
        }
        let count = into.len().min(self.buffer.len());
        into[..count].copy_from_slice(&self.buffer[..count]);
        self.buffer.drain(..count);
        Ok(count)
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    pub(crate) fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut all)?;
        Ok(all)
    }

    /// A start line and fields; `None` when the peer closed before the first byte.
    pub(crate) fn read_head(&mut self) -> io::Result<Option<Head>> {
        let line = match self.read_line() {
            Err(why) if why.kind() == ErrorKind::UnexpectedEof && self.buffer.is_empty() => {
                return Ok(None);
            }
            line => line?,
        };
        Ok(Some(Head { line, fields: self.read_fields()? }))
    }

    /// A chunked body to its end, with the trailer fields.
    pub(crate) fn read_chunked(&mut self) -> io::Result<(Vec<u8>, Fields)> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16)
                .map_err(|_| io::Error::other(format!("chunk size {line:?}")))?;
            if size == 0 {
                return Ok((body, self.read_fields()?));
            }
            body.extend(self.read_exact(size)?);
            let end = self.read_exact(2)?;
            if end != b"\r\n" {
                return Err(io::Error::other("no CRLF after a chunk"));
            }
        }
    }

    fn read_fields(&mut self) -> io::Result<Fields> {
        let mut fields = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| io::Error::other(format!("a field without a colon: {line:?}")))?;
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).map(char::from).collect();
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Goes on after a signal: a read with a timeout is not restarted by the kernel (signal(7)).
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(into) {
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut block = [0; 16 * 1024];
        match self.receive(&mut block)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&block[..count]);
                Ok(())
            }
        }
    }
}
