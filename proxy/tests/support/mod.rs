//! What the black-box tests stand on: the real binary, scripted origins, and a client that shares
//! no code with the parser under test. It asserts nothing about the proxy by itself.

mod client;
mod origin;
mod proxy;
mod wire;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, Response};
pub(crate) use origin::{ClosedPort, Exchange, FullQueue, Next, Origin, Request};
pub(crate) use proxy::{Setup, Sundew, app, app_with};

/// Longest that anything in a test may take, on a slow machine under load.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// Which event loop the proxy under test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Uring,
    Epoll,
}

/// Makes two tests of each named function, one a driver. A function that is not named here is
/// dead code, which the compiler reports.
macro_rules! on_both_drivers {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn uring() {
                super::$name($crate::support::Driver::Uring);
            }

            #[test]
            fn epoll() {
                super::$name($crate::support::Driver::Epoll);
            }
        })+
    };
}
pub(crate) use on_both_drivers;

/// Asks `probe` again and again until it answers, or panics with `what` at the deadline.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The sticky cookie's value for a server URL or a child service's name: Traefik's, which is the
/// first 16 hexadecimal digits of its SHA-256.
pub(crate) fn pin_of(name: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(name.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
