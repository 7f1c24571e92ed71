//! Tells systemd how the process does (sd_notify(3)): ready, reloading, stopping, a status line and
//! the watchdog's heartbeat. Owns the datagram socket; never decides anything. Called by the control
//! loop alone. Without `NOTIFY_SOCKET` every call does nothing.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// The way to the service manager, or nothing.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog_interval: Option<Duration>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// # Errors
    /// When `NOTIFY_SOCKET` is set but cannot be reached; systemd would wait for READY in vain.
    pub fn from_environment() -> io::Result<Self> {
        let variable = |name| std::env::var_os(name);
        Self::new(
            variable("NOTIFY_SOCKET").as_deref(),
            watchdog_timeout(
                variable("WATCHDOG_USEC").as_deref(),
                variable("WATCHDOG_PID").as_deref(),
                std::process::id(),
            ),
        )
    }

    /// To the socket at `path` (`@…` is the abstract namespace), with the watchdog's timeout.
    ///
    /// # Errors
    /// When there is no socket at `path`.
    pub fn new(path: Option<&OsStr>, watchdog_timeout: Option<Duration>) -> io::Result<Self> {
        let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(Self::default()) };
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A service manager that does not read must not hold up the control thread.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some(socket), watchdog_interval: watchdog_timeout.map(|it| it / 2) })
    }

    /// How often [`Notifier::alive`] is due: half of the watchdog's timeout; `None`: never.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog_interval
    }

    /// Start-up, or a reload, is finished.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins; [`Notifier::ready`] must follow, also when it fails.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            // Without its time, systemd 253 kills the service over the message.
            Err(error) => tracing::debug!("not telling systemd of the reload: {error}"),
        }
    }

    /// A graceful stop begins.
    pub fn stopping(&self, status: &str) {
        self.send(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(status)]);
    }

    /// The watchdog's heartbeat.
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!("systemd was not told: {error}");
        }
    }
}

/// The watchdog's timeout, when it is meant for this process (`sd_watchdog_enabled(3)`).
fn watchdog_timeout(usec: Option<&OsStr>, pid: Option<&OsStr>, own_pid: u32) -> Option<Duration> {
    let usec: u64 = usec?.to_str()?.parse().ok().filter(|usec| *usec > 0)?;
    let is_ours = match pid {
        Some(pid) => pid.to_str()?.parse() == Ok(own_pid),
        None => true,
    };
    is_ours.then_some(Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let size = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    }

    fn listen(address: &SocketAddr) -> UnixDatagram {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    #[test]
    fn every_state_arrives_at_the_notify_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = listen(&SocketAddr::from_pathname(&path).unwrap());
        let notifier = Notifier::new(Some(path.as_os_str()), None).unwrap();

        notifier.ready("serving");
        assert_eq!(receive(&systemd), "READY=1\nSTATUS=serving\n");
        notifier.reloading();
        let reloading = receive(&systemd);
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!(micros.parse::<u64>().unwrap() > 0, "{reloading}");
        notifier.status("one server down");
        assert_eq!(receive(&systemd), "STATUS=one server down\n");
        notifier.alive();
        assert_eq!(receive(&systemd), "WATCHDOG=1\n");
        notifier.stopping("finishing");
        assert_eq!(receive(&systemd), "STOPPING=1\nSTATUS=finishing\n");
    }

    #[test]
    fn an_abstract_notify_socket_is_found() {
        let name = format!("sundew-notify-test-{}", std::process::id());
        let systemd = listen(&SocketAddr::from_abstract_name(&name).unwrap());
        let notifier = Notifier::new(Some(OsStr::new(&format!("@{name}"))), None).unwrap();
        notifier.alive();
        assert_eq!(receive(&systemd), "WATCHDOG=1\n");
    }

    #[test]
    fn without_a_socket_nothing_happens_and_a_missing_one_is_an_error() {
        let silent = Notifier::new(None, Some(Duration::from_secs(1))).unwrap();
        silent.ready("nobody hears this");
        assert_eq!(silent.watchdog_interval(), None);
        assert!(Notifier::new(Some(OsStr::new("/nonexistent/notify")), None).is_err());
    }

    #[test]
    fn the_watchdog_is_only_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        let cases = [
            ("ours", Some("1000000"), Some("7"), second),
            ("no pid", Some("1000000"), None, second),
            ("another process's", Some("1000000"), Some("8"), None),
            ("off", None, Some("7"), None),
            ("zero", Some("0"), Some("7"), None),
            ("not a number", Some("soon"), Some("7"), None),
        ];
        for (name, usec, pid, want) in cases {
            let got = watchdog_timeout(usec.map(OsStr::new), pid.map(OsStr::new), 7);
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn the_heartbeat_is_due_at_half_of_the_timeout() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _systemd = listen(&SocketAddr::from_pathname(&path).unwrap());
        let notifier =
            Notifier::new(Some(path.as_os_str()), Some(Duration::from_secs(30))).unwrap();
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(15)));
    }
}
