//! What an operator asks for by signal. Only translates; [`super::run`] acts.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// One request of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT: stop, gracefully at first, at once when asked again.
    Stop,
    /// SIGHUP: load the configuration again.
    Reload,
    /// SIGUSR1: the log files were moved away, open new ones.
    ReopenLogs,
}

/// Receives the signals, from the moment at which it was made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    /// Takes the signals over from their default action, which would end the process.
    ///
    /// # Errors
    /// When the kernel refuses, or outside a tokio runtime with I/O.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next request. Cancelling it loses none.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.hang_up.recv() => Request::Reload,
            _ = self.user.recv() => Request::ReopenLogs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal as Kill, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn each_signal_is_the_request_that_traefik_users_know() {
        let mut signals = Signals::new().unwrap();
        let cases = [
            (Kill::TERM, Request::Stop),
            (Kill::INT, Request::Stop),
            (Kill::HUP, Request::Reload),
            (Kill::USR1, Request::ReopenLogs),
        ];
        for (sent, want) in cases {
            kill_process(getpid(), sent).unwrap();
            let got = tokio::time::timeout(Duration::from_secs(5), signals.next()).await;
            assert_eq!(got, Ok(want), "{sent:?}");
        }
    }
}
