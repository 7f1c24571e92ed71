//! Loads the configuration again: when a watched file changed, or when the operator asks. Loading
//! runs on a blocking thread, so that a large directory delays no health check.
//!
//! Owns the loader, the watches and the schedule. Never applies anything: [`super::run`] does.

mod schedule;
mod watch;

use std::time::Duration;

use sundew_config::Diagnostics;
use sundew_config::load::{Loader, Reload};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use schedule::Schedule;
use watch::Watcher;

/// How often the watched directories are compared with what is watched: a directory that was
/// replaced or created tells nobody.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The outcome of a load.
pub type Loaded = Result<Reload, Diagnostics>;

/// What [`Reloader::next`] reports.
#[derive(Debug)]
pub enum Event {
    /// Loading began.
    Started,
    /// Loading ended.
    Finished {
        /// What it gave.
        loaded: Loaded,
        /// Whether the operator asked for it, and so wants an answer in any case.
        is_forced: bool,
    },
    /// Loading failed within itself; there will be no other reload.
    Broken,
}

#[derive(Debug)]
enum State {
    /// Nothing to load from.
    Absent,
    Idle(Box<Loader>),
    Loading {
        job: JoinHandle<(Box<Loader>, Loaded)>,
        is_forced: bool,
    },
}

/// Decides when to load, and loads.
#[derive(Debug)]
pub struct Reloader {
    state: State,
    schedule: Schedule,
    watcher: Option<Watcher>,
    follow_next: Instant,
}

impl Reloader {
    /// For a configuration from files (`None`: from flags, never loaded again). `throttle` is the
    /// least time between two configurations that are applied. Needs a tokio runtime.
    #[must_use]
    pub fn new(loader: Option<Loader>, throttle: Duration, is_watching: bool) -> Self {
        let mut watcher = None;
        let mut schedule = Schedule::new(throttle);
        if let Some(loader) = loader.as_ref().filter(|_| is_watching) {
            match Watcher::new() {
                Ok(mut fresh) => {
                    fresh.follow(&loader.watched_directories());
                    watcher = Some(fresh);
                    // A file may have changed since it was read, before anybody watched it.
                    schedule.note(Instant::now());
                }
                Err(error) => tracing::warn!(
                    "changed files will not be noticed ({error}); send SIGHUP to reload"
                ),
            }
        }
        Self {
            state: loader.map_or(State::Absent, |loader| State::Idle(Box::new(loader))),
            schedule,
            watcher,
            follow_next: Instant::now() + FOLLOW_INTERVAL,
        }
    }

    /// Loads at once, or right after the load under way. Returns whether there is anything to load.
    pub fn force(&mut self) -> bool {
        self.schedule.force(Instant::now());
        !matches!(self.state, State::Absent)
    }

    /// What was loaded is applied; the throttle counts from now.
    pub fn applied(&mut self) {
        self.schedule.applied(Instant::now());
    }

    /// The next event. Cancelling it loses none.
    pub async fn next(&mut self) -> Event {
        loop {
            match &mut self.state {
                State::Absent => return std::future::pending().await,
                State::Loading { job, is_forced } => {
                    let is_forced = *is_forced;
                    let Ok((loader, loaded)) = job.await else {
                        self.state = State::Absent;
                        return Event::Broken;
                    };
                    self.follow(&loader);
                    self.state = State::Idle(loader);
                    return Event::Finished { loaded, is_forced };
                }
                State::Idle(_) => {
                    self.wait().await;
                    if self.begin() {
                        return Event::Started;
                    }
                }
            }
        }
    }

    /// Until it is time to load, a file changed, or the watches are to be compared.
    async fn wait(&mut self) {
        let due = self.schedule.due();
        tokio::select! {
            () = sleep_until(due.unwrap_or(self.follow_next)), if due.is_some() => {}
            () = changed(self.watcher.as_ref()) => self.schedule.note(Instant::now()),
            () = sleep_until(self.follow_next) => {
                self.follow_next = Instant::now() + FOLLOW_INTERVAL;
                if let State::Idle(loader) = &self.state {
                    let directories = loader.watched_directories();
                    if self.watcher.as_mut().is_some_and(|it| it.follow(&directories)) {
                        self.schedule.note(Instant::now());
                    }
                }
            }
        }
    }

    /// Starts loading if it is time. Returns whether it was.
    fn begin(&mut self) -> bool {
        if self.schedule.due().is_none_or(|due| due > Instant::now()) {
            return false;
        }
        let State::Idle(mut loader) = std::mem::replace(&mut self.state, State::Absent) else {
            return false;
        };
        let is_forced = self.schedule.begin();
        let job = spawn_blocking(move || {
            let loaded = loader.reload();
            (loader, loaded)
        });
        self.state = State::Loading { job, is_forced };
        true
    }

    /// A load may have found other directories to watch.
    fn follow(&mut self, loader: &Loader) {
        if let Some(watcher) = &mut self.watcher {
            // A new one was just read, or is read again because of what happens in it.
            watcher.follow(&loader.watched_directories());
        }
    }
}

async fn changed(watcher: Option<&Watcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
