//! What the sweeper knows about every connection: its phase, its deadline, its descriptors.
//!
//! A connection notes where it is by setting cells; the sweeper looks ten times a second and acts
//! from outside: it shuts sockets down (the pending operation ends, the connection finds
//! [`Watch::expiry`]), takes back reads that have waited long with a buffer ([`Patience`]), and
//! notices clients that left. So no operation carries a timer.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;

use monoio::io::{CancelHandle, Canceller};
use slab::Slab;

use crate::sys::{self, Direction, Readiness};

/// A read that has waited this long gives its buffer back.
pub const PATIENCE_MS: u64 = 1_000;

/// A read of a server's answer gives its large buffer back sooner: 5,000 slow requests must not
/// pin 160 MiB.
pub const UPSTREAM_PATIENCE_MS: u64 = 100;

/// An exchange that has waited this long for its server has its client looked at.
pub const CLIENT_CHECK_AFTER_MS: u64 = 250;

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// Where a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Between two requests, nothing received of the next.
    #[default]
    Idle,
    /// Part of a head is there.
    Head,
    /// Receiving a body that the server is waiting for.
    RequestBody,
    /// The server is at work: a client that leaves is noticed.
    Waiting,
    /// Sending to the client.
    Responding,
    /// Swallowing what a refused client still sends.
    Lingering,
    /// Upgraded.
    Tunnel,
}

/// Why the sweeper ended an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The deadline that the connection had set passed.
    Deadline,
    /// The server's deadline passed.
    UpstreamDeadline,
    /// The client left.
    ClientGone,
    /// The worker is stopping.
    Stopping,
}

/// One connection, as the sweeper sees it.
#[derive(Debug)]
pub struct Watch {
    downstream: Cell<RawFd>,
    upstream: Cell<RawFd>,
    phase: Cell<Phase>,
    idle_since_ms: Cell<u64>,
    deadline_ms: Cell<u64>,
    cap_ms: Cell<u64>,
    upstream_deadline_ms: Cell<u64>,
    waiting_since_ms: Cell<u64>,
    expiry: Cell<Option<Expiry>>,
    /// We have ended the client's direction, which then looks as if the client had.
    is_read_ended: Cell<bool>,
    served: Cell<u64>,
    progress_bytes: Cell<u64>,
    window_ms: Cell<u64>,
    window_bytes_min: Cell<u64>,
    window_began_bytes: Cell<u64>,
    /// Sent since the connection let others go first.
    pub(super) burst_bytes: Cell<usize>,
    /// The read of the client.
    pub downstream_patience: Patience,
    /// The read of the server.
    pub upstream_patience: Patience,
}

impl Watch {
    fn new(downstream: RawFd) -> Self {
        Self {
            downstream: Cell::new(downstream),
            upstream: Cell::new(-1),
            phase: Cell::new(Phase::Idle),
            idle_since_ms: Cell::new(NEVER),
            deadline_ms: Cell::new(NEVER),
            cap_ms: Cell::new(NEVER),
            upstream_deadline_ms: Cell::new(NEVER),
            waiting_since_ms: Cell::new(NEVER),
            expiry: Cell::new(None),
            is_read_ended: Cell::new(false),
            served: Cell::new(0),
            progress_bytes: Cell::new(0),
            window_ms: Cell::new(0),
            window_bytes_min: Cell::new(0),
            window_began_bytes: Cell::new(0),
            burst_bytes: Cell::new(0),
            downstream_patience: Patience::default(),
            upstream_patience: Patience::default(),
        }
    }

    /// Enters a phase that may last until `deadline_ms` ([`NEVER`] for ever).
    pub fn enter(&self, phase: Phase, deadline_ms: u64) {
        self.phase.set(phase);
        self.deadline_ms.set(deadline_ms);
        self.window_ms.set(0);
    }

    /// Waits for a request from `now_ms` on.
    pub fn enter_idle(&self, now_ms: u64, deadline_ms: u64) {
        self.enter(Phase::Idle, deadline_ms);
        self.idle_since_ms.set(now_ms);
    }

    /// Since when it waits for a request; `None` while it does something else, or is being ended.
    fn idle_since_ms(&self) -> Option<u64> {
        let since_ms = self.idle_since_ms.get();
        let is_idle = self.phase.get() == Phase::Idle && self.expiry.get().is_none();
        (is_idle && since_ms != NEVER).then_some(since_ms)
    }

    /// Whatever phases follow, they end at `cap_ms` at the latest ([`NEVER`]: no such limit).
    pub fn set_cap(&self, cap_ms: u64) {
        self.cap_ms.set(cap_ms);
    }

    /// A request has come.
    pub fn note_served(&self) {
        self.served.set(self.served.get() + 1);
    }

    /// Requests so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.get()
    }

    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Enters a phase that may last as long as it makes progress: at least `bytes_min` bytes in
    /// every `window_ms`.
    pub fn enter_while_moving(&self, phase: Phase, now_ms: u64, window_ms: u64, bytes_min: u64) {
        self.enter(phase, now_ms.saturating_add(window_ms));
        self.window_ms.set(window_ms);
        self.window_bytes_min.set(bytes_min);
        self.window_began_bytes.set(self.progress_bytes.get());
    }

    /// So many bytes were received or sent.
    pub fn note_progress(&self, bytes: usize) {
        self.progress_bytes.set(self.progress_bytes.get().wrapping_add(bytes as u64));
    }

    /// Begins to wait for a server's answer at `now_ms`, at most until `deadline_ms`.
    pub fn await_upstream(&self, now_ms: u64, deadline_ms: u64) {
        self.phase.set(Phase::Waiting);
        self.deadline_ms.set(NEVER);
        self.waiting_since_ms.set(now_ms);
        self.upstream_deadline_ms.set(deadline_ms);
    }

    /// The answer has begun.
    pub fn upstream_answered(&self) {
        self.waiting_since_ms.set(NEVER);
        self.upstream_deadline_ms.set(NEVER);
    }

    /// The exchange talks to this server's socket from now on.
    pub fn set_upstream(&self, fd: RawFd) {
        self.upstream.set(fd);
    }

    /// The exchange has no server's socket any more; must come before that socket is closed.
    pub fn clear_upstream(&self) {
        self.upstream.set(-1);
        self.upstream_answered();
    }

    /// Why the sweeper ended the last operation, if it did.
    #[must_use]
    pub fn expiry(&self) -> Option<Expiry> {
        self.expiry.get()
    }

    /// Takes the reason, so that what comes next is judged by itself.
    pub fn take_expiry(&self) -> Option<Expiry> {
        self.expiry.take()
    }

    /// Ends whatever the connection waits for, at once.
    pub fn abort(&self, reason: Expiry) {
        self.expiry.set(Some(reason));
        sys::shutdown(self.downstream.get(), Direction::Both);
        sys::shutdown(self.upstream.get(), Direction::Both);
    }

    /// Ends an idle connection: what is queued is still read, then comes the end.
    pub fn finish_idle(&self) {
        self.expiry.set(Some(Expiry::Stopping));
        self.is_read_ended.set(true);
        sys::shutdown(self.downstream.get(), Direction::Read);
    }

    /// One look at `now_ms`.
    pub fn sweep(&self, now_ms: u64) {
        self.downstream_patience.sweep(now_ms, PATIENCE_MS);
        self.upstream_patience.sweep(now_ms, UPSTREAM_PATIENCE_MS);
        self.sweep_upstream(now_ms);
        self.sweep_deadline(now_ms);
    }

    fn sweep_upstream(&self, now_ms: u64) {
        if self.upstream_deadline_ms.get() <= now_ms {
            self.upstream_deadline_ms.set(NEVER);
            self.expiry.set(Some(Expiry::UpstreamDeadline));
            sys::shutdown(self.upstream.get(), Direction::Both);
            return;
        }
        let since_ms = self.waiting_since_ms.get();
        let is_due = since_ms != NEVER
            && now_ms.saturating_sub(since_ms) >= CLIENT_CHECK_AFTER_MS
            && !self.is_read_ended.get();
        if is_due && sys::readiness(self.downstream.get()) == Readiness::Gone {
            self.waiting_since_ms.set(NEVER);
            self.expiry.set(Some(Expiry::ClientGone));
            sys::shutdown(self.upstream.get(), Direction::Both);
        }
    }

    fn sweep_deadline(&self, now_ms: u64) {
        if self.cap_ms.get() <= now_ms {
            self.cap_ms.set(NEVER);
            self.abort(Expiry::Deadline);
            return;
        }
        if self.deadline_ms.get() > now_ms {
            return;
        }
        let moved = self.progress_bytes.get().wrapping_sub(self.window_began_bytes.get());
        if self.window_ms.get() > 0 && moved >= self.window_bytes_min.get() {
            self.window_began_bytes.set(self.progress_bytes.get());
            self.deadline_ms.set(now_ms.saturating_add(self.window_ms.get()));
            return;
        }
        self.deadline_ms.set(NEVER);
        self.expiry.set(Some(Expiry::Deadline));
        match self.phase.get() {
            // The client is still to be answered with 408.
            Phase::Head | Phase::RequestBody => {
                sys::shutdown(self.downstream.get(), Direction::Read);
            }
            Phase::Tunnel => {
                sys::shutdown(self.downstream.get(), Direction::Both);
                sys::shutdown(self.upstream.get(), Direction::Both);
            }
            Phase::Idle | Phase::Waiting | Phase::Responding | Phase::Lingering => {
                sys::shutdown(self.downstream.get(), Direction::Both);
            }
        }
    }
}

/// A read that can be taken back: it may hold a buffer for a while, not for ever.
#[derive(Debug, Default)]
pub struct Patience {
    canceller: RefCell<Taker>,
    since_ms: Cell<Option<u64>>,
}

/// A [`Canceller`], which has no `Debug` of its own.
#[derive(Default)]
struct Taker(Canceller);

impl std::fmt::Debug for Taker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canceller")
    }
}

impl Patience {
    /// A read begins at `now_ms`; the handle goes with it.
    #[must_use]
    pub(super) fn begin(&self, now_ms: u64) -> CancelHandle {
        self.since_ms.set(Some(now_ms));
        self.canceller.borrow().0.handle()
    }

    /// The read has ended.
    pub(super) fn end(&self) {
        self.since_ms.set(None);
    }

    fn sweep(&self, now_ms: u64, limit_ms: u64) {
        let Some(since_ms) = self.since_ms.get() else { return };
        if now_ms.saturating_sub(since_ms) < limit_ms {
            return;
        }
        self.since_ms.set(None);
        let mut canceller = self.canceller.borrow_mut();
        let current = std::mem::take(&mut *canceller);
        *canceller = Taker(current.0.cancel());
    }
}

/// Every connection of a worker.
#[derive(Debug, Default)]
pub struct Watches {
    slots: RefCell<Slab<Rc<Watch>>>,
}

/// A place in [`Watches`]; leaving it takes the connection out.
#[derive(Debug)]
pub struct Watched {
    watch: Rc<Watch>,
    key: usize,
    watches: Rc<Watches>,
}

impl std::ops::Deref for Watched {
    type Target = Watch;

    fn deref(&self) -> &Watch {
        &self.watch
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The sockets are closed after this, so the sweeper must not know their numbers.
        self.watch.downstream.set(-1);
        self.watch.upstream.set(-1);
        self.watches.slots.borrow_mut().try_remove(self.key);
    }
}

impl Watches {
    /// Begins to watch a connection.
    #[must_use]
    pub fn add(self: &Rc<Self>, downstream: RawFd) -> Watched {
        let watch = Rc::new(Watch::new(downstream));
        let key = self.slots.borrow_mut().insert(Rc::clone(&watch));
        Watched { watch, key, watches: Rc::clone(self) }
    }

    /// Connections now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// No connection now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    /// Looks at every connection. Nothing that it does to one wakes a task before it returns.
    pub fn sweep(&self, now_ms: u64) {
        for (_, watch) in self.slots.borrow().iter() {
            watch.sweep(now_ms);
        }
    }

    /// Ends up to `count` connections that have waited for a request since `before_ms` or longer,
    /// those that have waited longest first (http1 G4).
    pub fn end_idle(&self, count: usize, before_ms: u64) {
        let slots = self.slots.borrow();
        let waiting = slots.iter().filter_map(|(_, watch)| Some((watch.idle_since_ms()?, watch)));
        let mut waiting: Vec<_> = waiting.filter(|(since_ms, _)| *since_ms <= before_ms).collect();
        if waiting.len() > count {
            waiting.select_nth_unstable_by_key(count, |(since_ms, _)| *since_ms);
        }
        for (_, watch) in waiting.iter().take(count) {
            watch.finish_idle();
        }
    }

    /// Calls `act` for every connection.
    pub fn for_each(&self, mut act: impl FnMut(&Watch)) {
        for (_, watch) in self.slots.borrow().iter() {
            act(watch);
        }
    }
}

#[cfg(test)]
mod tests;
