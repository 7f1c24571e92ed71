//! The event loop of a worker: the best that this kernel lets us have.
//!
//! The only place besides `io` that names monoio.

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};
use rustix::io::Errno;
use sundew_config::model::DriverChoice;

use crate::io::turn;

/// How long memory of rings that have just been given up may take to come back: the kernel frees
/// it after the exit of their process.
const RING_MEMORY_WAIT: Duration = Duration::from_millis(500);

/// Until when the process waits for it: once, not for each worker and rung.
static RING_MEMORY_DEADLINE: OnceLock<Instant> = OnceLock::new();

/// Fewest entries of a ring (monoio's own floor).
const RING_ENTRIES_MIN: u32 = 256;

/// A built event loop.
pub(super) struct EventLoop {
    kind: Kind,
    description: String,
}

enum Kind {
    Uring(Runtime<TimeDriver<IoUringDriver>>),
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

impl EventLoop {
    /// For the log: which one, and why not a better one.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    pub(super) fn block_on<R>(&mut self, future: impl Future<Output = R>) -> R {
        match &mut self.kind {
            Kind::Uring(runtime) => runtime.block_on(future),
            Kind::Epoll(runtime) => runtime.block_on(async {
                if let Err(error) = turn::begin() {
                    tracing::warn!("large bodies may keep others waiting: {error}");
                }
                future.await
            }),
        }
    }
}

/// Flags of a ring, best first. DEFER_TASKRUN saves about 18 % CPU against none.
#[derive(Clone, Copy, Debug)]
enum Rung {
    Defer,
    Coop,
    Plain,
}

impl Rung {
    const ALL: [Self; 3] = [Self::Defer, Self::Coop, Self::Plain];

    fn name(self) -> &'static str {
        match self {
            Self::Defer => "io_uring (DEFER_TASKRUN)",
            Self::Coop => "io_uring (COOP_TASKRUN)",
            Self::Plain => "io_uring",
        }
    }

    fn builder(self) -> io_uring::Builder {
        let mut builder = io_uring::IoUring::builder();
        match self {
            Self::Defer => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Self::Coop => {
                builder.setup_coop_taskrun();
            }
            Self::Plain => {}
        }
        builder
    }
}

/// Builds an event loop on the calling thread, which must be the one that runs it.
///
/// # Errors
/// With [`DriverChoice::Uring`], why there is no ring; with any, when even epoll fails.
pub(super) fn build(choice: DriverChoice, entries: u32) -> io::Result<EventLoop> {
    let mut why_not = String::new();
    if choice != DriverChoice::Epoll {
        match climb(entries) {
            Ok(found) => return Ok(found),
            Err(error) => why_not = explain(&error),
        }
        if choice == DriverChoice::Uring {
            return Err(io::Error::other(format!("driver: uring: {why_not}")));
        }
    }
    let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?;
    let mut description = String::from("epoll");
    if !why_not.is_empty() {
        // Cannot fail: a String grows.
        let _ = write!(description, " (no io_uring: {why_not})");
    }
    Ok(EventLoop { kind: Kind::Epoll(runtime), description })
}

/// The best rung that holds; the error of the last one otherwise.
fn climb(entries: u32) -> io::Result<EventLoop> {
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for rung in Rung::ALL {
        match build_ring(rung, entries) {
            Ok((runtime, actual)) => {
                let mut description = String::from(rung.name());
                if actual < entries {
                    let _ = write!(
                        description,
                        ", ring of {actual} instead of {entries} entries: \
                         raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity)"
                    );
                }
                return Ok(EventLoop { kind: Kind::Uring(runtime), description });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A ring of `entries`, or of as many as RLIMIT_MEMLOCK has room for.
fn build_ring(rung: Rung, entries: u32) -> io::Result<(Runtime<TimeDriver<IoUringDriver>>, u32)> {
    let mut entries = entries.max(RING_ENTRIES_MIN);
    loop {
        let built = RuntimeBuilder::<IoUringDriver>::new()
            .with_entries(entries)
            .uring_builder(rung.builder())
            .enable_timer()
            .build();
        match built {
            Ok(runtime) => return Ok((runtime, entries)),
            Err(error) if error.raw_os_error() != Some(Errno::NOMEM.raw_os_error()) => {
                return Err(error);
            }
            Err(_) if Instant::now() < ring_memory_deadline() => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(_) if entries > RING_ENTRIES_MIN => entries = (entries / 2).max(RING_ENTRIES_MIN),
            Err(error) => return Err(error),
        }
    }
}

fn ring_memory_deadline() -> Instant {
    *RING_MEMORY_DEADLINE.get_or_init(|| Instant::now() + RING_MEMORY_WAIT)
}

/// What an operator can do about a refused ring.
fn explain(error: &io::Error) -> String {
    let code = error.raw_os_error();
    if code == Some(Errno::NOMEM.raw_os_error()) {
        return String::from(
            "RLIMIT_MEMLOCK has no room for a ring; set LimitMEMLOCK=infinity or lower \
             sundew.ringEntries",
        );
    }
    if code == Some(Errno::NOSYS.raw_os_error()) {
        return String::from("this kernel has none");
    }
    if code == Some(Errno::PERM.raw_os_error()) || code == Some(Errno::ACCESS.raw_os_error()) {
        let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        return match setting.as_deref().map(str::trim) {
            Ok("1") => String::from(
                "kernel.io_uring_disabled=1 allows it to members of kernel.io_uring_group only",
            ),
            Ok("2") => String::from("kernel.io_uring_disabled=2 forbids it"),
            _ => String::from(
                "a seccomp filter forbids it (containers do by default; in a systemd unit, \
                 SystemCallFilter must allow @aio)",
            ),
        };
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoll_driver_can_always_be_had() {
        let runtime = build(DriverChoice::Epoll, 1024).unwrap();
        assert_eq!(runtime.description(), "epoll");
    }

    #[test]
    fn automatic_takes_a_ring_or_says_why_not() {
        let runtime = build(DriverChoice::Auto, 256).unwrap();
        let description = runtime.description();
        assert!(
            description.starts_with("io_uring") || description.contains("no io_uring: "),
            "{description}"
        );
    }

    #[test]
    fn a_refusal_names_its_fix() {
        let explained = explain(&io::Error::from(Errno::NOMEM));
        assert!(explained.contains("LimitMEMLOCK"), "{explained}");
    }
}
