//! Binds every entry point for every worker before anything else starts, so that a port in use is
//! found while nothing runs yet. Owns the locks that keep a second sundew from sharing a port by
//! accident: `SO_REUSEPORT`, which the workers need, would let it. Never accepts; that is the
//! workers' part. Called once, by [`super::run`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use sundew_config::model::{EntryPoint, EntryPointIndex, ListenAddress, StaticModel};

use super::occupant;

/// Connections that wait for a worker, per listener; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A busy address is tried again for this long: the kernel keeps the listener of an `io_uring` for
/// some milliseconds after its process ended, and a restart must not fail over that.
const BUSY_WAIT_MAX: Duration = Duration::from_millis(100);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Every listener of the process.
#[derive(Debug)]
pub struct Listeners {
    /// Indexed by worker.
    pub workers: Vec<Vec<(EntryPointIndex, TcpListener)>>,
    /// Where each entry point listens, ports chosen by the kernel filled in.
    pub addresses: Vec<SocketAddr>,
    /// Held for as long as the process listens.
    pub locks: Locks,
}

impl Listeners {
    /// Takes the control thread's entry points from the workers: it accepts alone.
    pub fn take_own(&mut self, statics: &StaticModel) -> Vec<(EntryPointIndex, TcpListener)> {
        let points = (0..).map(EntryPointIndex).take(statics.entry_points.len());
        let own = points.filter(|it| statics.admin.owns(*it));
        own.filter_map(|it| Some((it, self.take(it)?))).collect()
    }

    fn take(&mut self, entry_point: EntryPointIndex) -> Option<TcpListener> {
        let mut taken = None;
        for worker in &mut self.workers {
            if let Some(at) = worker.iter().position(|(index, _)| *index == entry_point) {
                taken = Some(worker.remove(at).1);
            }
        }
        taken
    }
}

/// Says to other sundews of this network namespace which addresses are taken.
#[derive(Debug, Default)]
pub struct Locks(Vec<UnixDatagram>);

/// An entry point that cannot listen.
#[derive(Debug)]
pub struct BindError {
    entry_point: String,
    address: String,
    reason: String,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry_point, address, reason } = self;
        write!(f, "entry point {entry_point}: cannot listen on {address}: {reason}")
    }
}

/// Why an address cannot be had.
#[derive(Debug)]
enum Refusal {
    /// The lock is held.
    OtherSundew(SocketAddr),
    /// Somebody listens there.
    Busy(SocketAddr),
    /// Anything else.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Binds `entry_points` for `workers` workers.
///
/// # Errors
/// Every entry point that cannot listen, and why; all others are let go.
pub fn bind(entry_points: &[EntryPoint], workers: usize) -> Result<Listeners, Vec<BindError>> {
    let mut bound = Listeners {
        workers: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
        locks: Locks::default(),
    };
    let mut errors = Vec::new();
    for (index, entry_point) in (0..).map(EntryPointIndex).zip(entry_points) {
        match listen(&entry_point.address, workers) {
            Ok(Shared { listeners, address, lock }) => {
                for (worker, listener) in bound.workers.iter_mut().zip(listeners) {
                    worker.push((index, listener));
                }
                bound.addresses.push(address);
                bound.locks.0.push(lock);
            }
            Err(refusal) => errors.push(BindError {
                entry_point: entry_point.name.clone(),
                address: written(&entry_point.address),
                reason: explain(&refusal),
            }),
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// The backlog that the kernel really grants, when that is less than asked for.
#[must_use]
pub fn backlog_shortfall() -> Option<i32> {
    let granted = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?;
    granted.trim().parse().ok().filter(|granted| *granted < BACKLOG)
}

/// One address, listened on once for every worker.
struct Shared {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    lock: UnixDatagram,
}

fn listen(address: &ListenAddress, workers: usize) -> Result<Shared, Refusal> {
    let port = address.port;
    if !address.host.is_empty() {
        return share(resolve(&address.host, port)?, workers);
    }
    match share((Ipv6Addr::UNSPECIFIED, port).into(), workers) {
        Err(Refusal::Io(error)) if is_without_ipv6(&error) => {
            share((Ipv4Addr::UNSPECIFIED, port).into(), workers)
        }
        other => other,
    }
}

/// A kernel built or booted without IPv6.
fn is_without_ipv6(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    errno == Some(rustix::io::Errno::AFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable
}

/// The address of a name, IPv4 first as in Go's `net.Listen`.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let first = found.iter().find(|it| it.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

fn share(address: SocketAddr, workers: usize) -> Result<Shared, Refusal> {
    let deadline = Instant::now() + BUSY_WAIT_MAX;
    let mut held = None;
    if address.port() != 0 {
        held = Some(patiently(deadline, || lock(address))?.ok_or(Refusal::OtherSundew(address))?);
        // Without SO_REUSEPORT, so that it fails whoever listens, and dropped at once.
        let probe = || unless_busy(socket(address, false));
        patiently(deadline, probe)?.ok_or(Refusal::Busy(address))?;
    }
    // For port 0 the kernel chooses one that nobody has.
    let first = unless_busy(socket(address, true))?.ok_or(Refusal::Busy(address))?;
    let mut listeners: Vec<TcpListener> = vec![first.into()];
    let address = listeners.first().map_or(Ok(address), TcpListener::local_addr)?;
    for _ in 1..workers {
        listeners.push(socket(address, true)?.into());
    }
    for listener in &listeners {
        socket2::SockRef::from(listener).listen(BACKLOG)?;
    }
    let lock = match held {
        Some(lock) => lock,
        None => lock(address)?.ok_or(Refusal::OtherSundew(address))?,
    };
    Ok(Shared { listeners, address, lock })
}

/// Takes the address for this process; `None`: another sundew has it. The abstract namespace is
/// per network namespace, as ports are, and the kernel frees the name with the process.
fn lock(address: SocketAddr) -> io::Result<Option<UnixDatagram>> {
    let name = UnixAddress::from_abstract_name(format!("sundew/listen/{address}"))?;
    unless_busy(UnixDatagram::bind_addr(&name))
}

/// A bound, not yet listening socket.
fn socket(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process in TIME_WAIT are no obstacle.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit both, which saves the workers a system call each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn unless_busy<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks until it is granted or the deadline has passed.
fn patiently<T>(
    deadline: Instant,
    ask: impl Fn() -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    loop {
        match ask()? {
            Some(granted) => return Ok(Some(granted)),
            None if Instant::now() >= deadline => return Ok(None),
            None => std::thread::sleep(BUSY_PAUSE),
        }
    }
}

/// As in the configuration.
fn written(address: &ListenAddress) -> String {
    let ListenAddress { host, port } = address;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn explain(refusal: &Refusal) -> String {
    let (address, is_sundew) = match refusal {
        Refusal::OtherSundew(address) => (*address, true),
        Refusal::Busy(address) => (*address, false),
        Refusal::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
            return format!("{error}; a port below 1024 needs root or CAP_NET_BIND_SERVICE");
        }
        Refusal::Io(error) => return error.to_string(),
    };
    match (occupant::find(address), is_sundew) {
        (Some(occupant), _) if occupant.pid == std::process::id() => {
            "another entry point of this configuration has it".to_owned()
        }
        (Some(occupant), true) => {
            format!("already in use by another sundew (process {})", occupant.pid)
        }
        (None, true) => "already in use by another sundew".to_owned(),
        (Some(occupant), false) => {
            format!("already in use by {} (process {})", occupant.name, occupant.pid)
        }
        (None, false) => "already in use by a process of another user".to_owned(),
    }
}

#[cfg(test)]
mod tests;
