//! The only file with unsafe code: system calls on descriptors that other code owns.
//!
//! Descriptors come as plain numbers, because the event loop owns the sockets while an operation
//! waits on them. Whoever keeps such a number ([`crate::io::Watch`]) forgets it before the socket
//! is closed; a wrong number could at worst act on another socket of this process.
#![expect(unsafe_code, reason = "borrows descriptors that an in-flight operation owns")]

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send};

/// Which direction to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A pending read returns what is queued, then 0; writes still work.
    Read,
    /// The peer sees the end of what was sent.
    Write,
    /// Every pending operation ends.
    Both,
}

fn borrow(fd: RawFd) -> Option<BorrowedFd<'static>> {
    if fd < 0 {
        return None;
    }
    // SAFETY: `fd` is not -1. The borrow does not outlive the call that it is made for, and its
    // owner is on this same thread, so it cannot be closed meanwhile.
    Some(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// `shutdown(2)`; a socket that is not connected any more is left alone.
pub fn shutdown(fd: RawFd, direction: Direction) {
    let how = match direction {
        Direction::Read => Shutdown::Read,
        Direction::Write => Shutdown::Write,
        Direction::Both => Shutdown::Both,
    };
    if let Some(fd) = borrow(fd) {
        // ENOTCONN means that the peer was faster, which is what was wanted.
        let _ = rustix::net::shutdown(fd, how);
    }
}

/// Makes the coming close a reset, which the peer cannot mistake for an orderly end.
pub fn reset_on_close(fd: RawFd) {
    if let Some(fd) = borrow(fd) {
        // On failure the close is an orderly one: no worse than not trying.
        let _ = rustix::net::sockopt::set_socket_linger(fd, Some(std::time::Duration::ZERO));
    }
}

/// What a zero-wait poll of a socket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing to read, not closed.
    Quiet,
    /// Bytes wait; whether the peer has closed behind them is not known.
    Bytes,
    /// The peer has reset the connection, or closed it with nothing unread.
    Gone,
}

/// Polls `fd` without waiting. A FIN behind unread bytes is [`Readiness::Bytes`].
#[must_use]
pub fn readiness(fd: RawFd) -> Readiness {
    let Some(fd) = borrow(fd) else { return Readiness::Gone };
    let mut fds = [PollFd::new(&fd, PollFlags::IN | PollFlags::RDHUP)];
    let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    let flags = fds.first().map_or(PollFlags::empty(), PollFd::revents);
    if flags.is_empty() {
        return Readiness::Quiet;
    }
    if flags.intersects(PollFlags::ERR | PollFlags::NVAL) {
        return Readiness::Gone;
    }
    let mut byte = [0_u8; 1];
    match recv(fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 1..)) => Readiness::Bytes,
        Ok(_) => Readiness::Gone,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Readiness::Quiet,
        Err(_) => Readiness::Gone,
    }
}

/// Whether nothing has arrived, neither bytes nor an end: one system call.
#[must_use]
pub fn is_quiet(fd: RawFd) -> bool {
    let Some(fd) = borrow(fd) else { return false };
    let mut byte = [0_u8; 1];
    let seen = recv(fd, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(seen, Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR))
}

/// Polls many descriptors at once without waiting; `on_event(position)` for each that has any
/// event, an idle connection having none.
pub fn poll_any(fds: &[RawFd], mut on_event: impl FnMut(usize)) {
    let borrowed: Vec<BorrowedFd<'static>> = fds.iter().filter_map(|fd| borrow(*fd)).collect();
    debug_assert_eq!(borrowed.len(), fds.len(), "idle connections have descriptors");
    let mut entries: Vec<PollFd<'_>> =
        borrowed.iter().map(|fd| PollFd::new(fd, PollFlags::IN | PollFlags::RDHUP)).collect();
    if poll(&mut entries, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_err() {
        return;
    }
    for (position, entry) in entries.iter().enumerate() {
        if !entry.revents().is_empty() {
            on_event(position);
        }
    }
}

/// Receives what is there now into the spare capacity of `buffer`, without waiting; 0 when
/// nothing is there. Errors and the end of the stream also read as 0: the next waiting read meets
/// them again.
pub fn try_recv(fd: RawFd, buffer: &mut Vec<u8>) -> usize {
    let Some(fd) = borrow(fd) else { return 0 };
    let spare = rustix::buffer::spare_capacity(buffer);
    recv(fd, spare, RecvFlags::DONTWAIT).map_or(0, |(received, _)| received)
}

/// Sends `bytes` without waiting; false unless all of them were taken.
#[must_use]
pub fn try_send_all(fd: RawFd, bytes: &[u8]) -> bool {
    let Some(fd) = borrow(fd) else { return false };
    matches!(send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL), Ok(sent) if sent == bytes.len())
}

/// Accepts one queued connection of a non-blocking listener; `None` when its queue is empty.
#[must_use]
pub fn try_accept(listener: RawFd) -> Option<TcpStream> {
    let accepted = accept_with(borrow(listener)?, SocketFlags::CLOEXEC).ok()?;
    let accepted: OwnedFd = accepted;
    Some(accepted.into())
}

/// A descriptor to be held for [`next_descriptor`]; `None` when there is none.
#[must_use]
pub fn new_reserve() -> Option<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()
}

/// The number that the next new descriptor of this process gets; `None` when there is none left.
#[must_use]
pub fn next_descriptor(reserve: &OwnedFd) -> Option<RawFd> {
    rustix::io::fcntl_dupfd_cloexec(reserve, 0).ok().map(|next| next.as_raw_fd())
}

/// Pins the calling thread to one CPU.
///
/// # Errors
/// EINVAL for a CPU that is not there, EPERM where a seccomp filter denies it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    /// Waits until something has arrived: loopback is quick, not instant.
    fn arrived(socket: &TcpStream) {
        let mut fds = [PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP)];
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1);
    }

    #[test]
    fn readiness_tells_who_is_gone_from_who_is_quiet() {
        let (ours, mut peer) = pair();
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Quiet);
        peer.write_all(b"x").unwrap();
        arrived(&ours);
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Bytes);
        drop(peer);
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Bytes, "a FIN behind unread bytes");
        let _ = (&ours).read(&mut [0; 8]).unwrap();
        arrived(&ours);
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Gone, "a FIN");

        let (ours, peer) = pair();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        arrived(&ours);
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Gone, "a half-close");

        let (mut ours, peer) = pair();
        ours.write_all(b"unread").unwrap();
        arrived(&peer);
        reset_on_close(peer.as_raw_fd());
        drop(peer);
        arrived(&ours);
        assert_eq!(readiness(ours.as_raw_fd()), Readiness::Gone, "a reset");
        assert_eq!(readiness(-1), Readiness::Gone, "no socket");
    }

    #[test]
    fn many_are_polled_at_once() {
        let (quiet, _quiet_peer) = pair();
        let (gone, gone_peer) = pair();
        let (noisy, mut noisy_peer) = pair();
        drop(gone_peer);
        noisy_peer.write_all(b"x").unwrap();
        arrived(&gone);
        arrived(&noisy);
        let mut seen = Vec::new();
        let fds = [quiet.as_raw_fd(), gone.as_raw_fd(), noisy.as_raw_fd()];
        poll_any(&fds, |position| seen.push(position));
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn a_read_side_shut_down_still_writes() {
        let (mut ours, mut peer) = pair();
        shutdown(ours.as_raw_fd(), Direction::Read);
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 0);
        ours.write_all(b"408").unwrap();
        shutdown(ours.as_raw_fd(), Direction::Write);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "408");
        shutdown(-1, Direction::Both);
    }

    #[test]
    fn what_is_there_is_received_without_waiting_and_what_fits_is_sent() {
        let (ours, mut peer) = pair();
        let mut buffer = Vec::with_capacity(4);
        assert_eq!(try_recv(ours.as_raw_fd(), &mut buffer), 0, "nothing is there");
        peer.write_all(b"hello").unwrap();
        arrived(&ours);
        assert_eq!(try_recv(ours.as_raw_fd(), &mut buffer), 4);
        assert_eq!((&buffer[..], buffer.capacity()), (&b"hell"[..], 4), "its capacity, no more");
        assert!(try_send_all(ours.as_raw_fd(), b"ok"));
        assert!(!try_send_all(ours.as_raw_fd(), &vec![0; 64 << 20]), "more than a socket takes");
        assert!(!try_send_all(-1, b"x"));
    }

    #[test]
    fn queued_connections_are_accepted_until_there_are_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(try_accept(listener.as_raw_fd()).is_none());
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = try_accept(listener.as_raw_fd()).expect("a queued connection");
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
    }
}
