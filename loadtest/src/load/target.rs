//! Where requests go: a URL read into an endpoint, a `Host` and a request target. Resolves names
//! once, before the run. Called by the plan.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for the one connection that chooses among a name's addresses.
const TRY_MS_MAX: u64 = 2_000;

/// What a connection is opened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// An address.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// A URL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// As it was written.
    pub(super) url: String,
    /// What `Host` says by default.
    pub(super) authority: String,
    /// The request target, in origin form.
    pub(super) path: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Host { name: String, port: u16 },
    Socket(PathBuf),
}

impl Target {
    /// Reads `http://host[:port][/path]` and `unix:/socket[:/path]`.
    ///
    /// # Errors
    /// Says what is wrong with the URL.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{url}: {why}");
        if url.bytes().any(|it| it.is_ascii_whitespace() || it.is_ascii_control()) {
            return Err(wrong("a URL has no spaces"));
        }
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
            if !socket.starts_with('/') || !path.starts_with('/') {
                return Err(wrong("write unix:/socket or unix:/socket:/path"));
            }
            let place = Place::Socket(socket.into());
            let authority = "localhost".to_owned();
            return Ok(Self { url: url.to_owned(), authority, path: path.to_owned(), place });
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(wrong("begin with http:// or unix:/"));
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (name, port) = split_authority(authority).map_err(|why| wrong(&why))?;
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            url: url.to_owned(),
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
            place: Place::Host { name: name.to_owned(), port },
        })
    }

    /// The address to connect to: of several that a name has, the first that accepts.
    ///
    /// # Errors
    /// The name has no address, or nothing accepts there.
    pub(super) fn resolve(&self) -> Result<Endpoint, String> {
        let (name, port) = match &self.place {
            Place::Socket(path) => {
                std::os::unix::net::UnixStream::connect(path)
                    .map_err(|why| format!("{}: {why}", self.url))?;
                return Ok(Endpoint::Unix(path.clone()));
            }
            Place::Host { name, port } => (name.as_str(), *port),
        };
        let found = (name, port).to_socket_addrs();
        let mut last = "no address".to_owned();
        for address in found.map_err(|why| format!("{}: {why}", self.url))? {
            match TcpStream::connect_timeout(&address, Duration::from_millis(TRY_MS_MAX)) {
                Ok(_) => return Ok(Endpoint::Tcp(address)),
                Err(why) => last = why.to_string(),
            }
        }
        Err(format!("{}: {last}", self.url))
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_authority(authority: &str) -> Result<(&str, u16), String> {
    let (name, port) = match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((name, "")) => (name, None),
        Some((name, rest)) => (name, Some(rest.strip_prefix(':').ok_or("what follows ]?")?)),
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        },
    };
    if name.is_empty() || name.contains('@') {
        return Err("write a host, without user".to_owned());
    }
    let port = port.map_or(Ok(80), |it| it.parse().map_err(|_| format!("{it:?} is no port")))?;
    Ok((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_path() {
        for (url, name, port, authority, path) in [
            ("http://a", "a", 80, "a", "/"),
            ("http://a:81/x?y#z", "a", 81, "a:81", "/x?y"),
            ("http://[::1]:82?q", "::1", 82, "[::1]:82", "/?q"),
            ("http://[::1]/", "::1", 80, "[::1]", "/"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!(target.place, Place::Host { name: name.to_owned(), port }, "{url}");
            assert_eq!((target.authority.as_str(), target.path.as_str()), (authority, path));
        }
    }

    #[test]
    fn a_socket_may_be_followed_by_a_path() {
        for (url, socket, path) in [("unix:/a/b", "/a/b", "/"), ("unix:/a:/b/5", "/a", "/b/5")] {
            let target = Target::parse(url).expect(url);
            assert_eq!(target.place, Place::Socket(socket.into()));
            assert_eq!((target.authority.as_str(), target.path.as_str()), ("localhost", path));
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_it() {
        for url in [
            "",
            "a:80",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://a:70000",
            "http://u@a",
            "http://a/ b",
            "unix:a",
            "unix:/a:b",
            "http://[::1",
            "http://[::1]x",
        ] {
            let why = Target::parse(url).expect_err(url);
            assert!(why.starts_with(url), "{why}");
        }
    }
}
