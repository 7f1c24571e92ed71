//! When requests are due in an open loop, and waking the connections that wait for it. One a
//! thread. Each due time is handed out once and in order, so that requests queue while every
//! connection is busy, and their latency counts from when they were due: a stall delays what is
//! measured, never what is asked. Called by the thread and its clients.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use monoio::net::UnixStream;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The due times of one thread: `first`, and every `interval` after it, before `end`.
#[derive(Debug)]
pub(super) struct Pacer {
    first: Instant,
    interval_s: f64,
    end: Cell<Instant>,
    next: Cell<u64>,
    waiting: RefCell<VecDeque<(Instant, Waker)>>,
    sleeper: RefCell<Option<Waker>>,
}

impl Pacer {
    /// The share of thread `thread` of `threads` in `rate` requests a second.
    pub(super) fn new(
        begin: Instant,
        end: Instant,
        rate: f64,
        thread: usize,
        threads: usize,
    ) -> Self {
        Self {
            first: begin + Duration::from_secs_f64(thread as f64 / rate),
            interval_s: threads as f64 / rate,
            end: Cell::new(end),
            next: Cell::new(0),
            waiting: RefCell::default(),
            sleeper: RefCell::default(),
        }
    }

    fn due(&self, number: u64) -> Instant {
        self.first + Duration::from_secs_f64(number as f64 * self.interval_s)
    }

    /// The next due time, which is the caller's from now on; `None` when the run is over.
    pub(super) fn take(&self, now: Instant) -> Option<Instant> {
        let due = self.due(self.next.get());
        if due >= self.end.get() || now >= self.end.get() {
            return None;
        }
        self.next.set(self.next.get() + 1);
        Some(due)
    }

    /// The due times before the end that nobody took.
    pub(super) fn left(&self) -> impl Iterator<Item = Instant> {
        let numbers = self.next.get()..;
        numbers.map(|it| self.due(it)).take_while(|it| *it < self.end.get())
    }

    /// Ends the run early; who waits is woken.
    pub(super) fn stop(&self, now: Instant) {
        self.end.set(self.end.get().min(now));
        self.waiting.borrow_mut().drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// Waits until `due`; false when the run ended before it.
    pub(super) async fn wait(&self, due: Instant) -> bool {
        Waiting { pacer: self, due, is_listed: false }.await;
        due < self.end.get()
    }

    fn wake_due(&self) {
        let now = Instant::now();
        let mut waiting = self.waiting.borrow_mut();
        while waiting.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, waker)) = waiting.pop_front() {
                waker.wake();
            }
        }
    }

    fn first_due(&self) -> Option<Instant> {
        self.waiting.borrow().front().map(|(due, _)| *due)
    }

    /// Wakes who waits, each when it is due; never returns unless the timer breaks.
    ///
    /// The runtime's own timers tick in milliseconds, which would be most of a latency: this one is
    /// a descriptor of the kernel's.
    pub(super) async fn run(self: Rc<Self>) -> io::Result<()> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // Nothing is read through this: a stream is what the runtime can wait on.
        let readiness = UnixStream::from_std(StdUnixStream::from(timer.try_clone()?))?;
        loop {
            let Some(due) = self.first_due() else {
                self.someone().await;
                continue;
            };
            arm(&timer, due)?;
            readiness.readable(false).await?;
            let mut ticks = [0; 8];
            match rustix::io::read(&timer, &mut ticks) {
                Ok(_) | Err(rustix::io::Errno::AGAIN) => self.wake_due(),
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// Until someone waits.
    fn someone(&self) -> impl Future<Output = ()> {
        poll_fn(|turn| {
            if self.waiting.borrow().is_empty() {
                *self.sleeper.borrow_mut() = Some(turn.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }
}

fn arm(timer: &OwnedFd, due: Instant) -> io::Result<()> {
    // Zero would disarm it.
    let left = due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    let once = Itimerspec {
        it_interval: none,
        it_value: Timespec {
            tv_sec: left.as_secs().try_into().map_err(io::Error::other)?,
            tv_nsec: left.subsec_nanos().into(),
        },
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

/// Due times are taken in order and waited for at once, so the list is sorted by construction.
struct Waiting<'a> {
    pacer: &'a Pacer,
    due: Instant,
    is_listed: bool,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, turn: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if now >= self.due || now >= self.pacer.end.get() {
            return Poll::Ready(());
        }
        if !self.is_listed {
            self.pacer.waiting.borrow_mut().push_back((self.due, turn.waker().clone()));
            self.is_listed = true;
            if let Some(sleeper) = self.pacer.sleeper.borrow_mut().take() {
                sleeper.wake();
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_rate_evenly_and_each_due_time_is_taken_once() {
        let begin = Instant::now();
        let end = begin + Duration::from_millis(10);
        let mut taken = Vec::new();
        for thread in 0..3 {
            let pacer = Pacer::new(begin, end, 1000.0, thread, 3);
            while let Some(due) = pacer.take(begin) {
                taken.push((due - begin).as_micros());
            }
            assert_eq!(pacer.left().count(), 0);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..10).map(|it| it * 1000).collect::<Vec<u128>>());
    }

    #[test]
    fn what_nobody_took_is_left() {
        let begin = Instant::now();
        let end = begin + Duration::from_millis(10);
        let pacer = Pacer::new(begin, end, 1000.0, 0, 1);
        assert!(pacer.take(begin).is_some());
        assert_eq!(pacer.take(end), None, "the run is over");
        assert_eq!(pacer.left().count(), 9);
    }
}
