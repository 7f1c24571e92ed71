//! Puts the threads' counts together: the line of progress, the timeline, the report. Runs on the
//! main thread, away from what is measured.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use super::client::Hours;
use super::plan::Plan;
use super::report::{Latency, Moment, Report, SCHEMA, percentiles, us};
use super::tally::Tally;

/// A shorter end of the timeline is left out: a few answers in it would be an odd rate.
const MOMENT_S_MIN: f64 = 0.2;

/// What a thread tells.
pub(super) enum Told {
    /// Counts of about a second.
    Second { at: Instant, tally: Tally },
    /// It was interrupted, and asks no more.
    Stopped { at: Instant },
    /// Its last counts.
    Last { at: Instant, tally: Tally },
}

/// What was heard so far.
pub(super) struct Collector {
    threads: usize,
    hours: Hours,
    end: Instant,
    is_shown: bool,
    all: Tally,
    timeline: Vec<Moment>,
    /// The second that not all threads have told of.
    open: Tally,
    heard: usize,
    since_s: f64,
}

impl Collector {
    /// Of so many threads; shows progress on a terminal, or where it is asked for.
    pub(super) fn new(threads: usize, hours: Hours, is_asked: bool) -> Self {
        let collector = Self {
            threads,
            hours,
            end: hours.end,
            is_shown: is_asked || std::io::stderr().is_terminal(),
            all: Tally::new(),
            timeline: Vec::new(),
            open: Tally::new(),
            heard: 0,
            since_s: 0.0,
        };
        collector.show("warming up");
        collector
    }

    /// Takes in what a thread tells.
    pub(super) fn hear(&mut self, told: Told) {
        let (at, tally) = match told {
            Told::Stopped { at } => {
                self.end = self.end.min(at);
                return;
            }
            Told::Second { at, tally } => (at, tally),
            Told::Last { at, tally } => (at.min(self.end), tally),
        };
        self.all.add(&tally);
        self.open.add(&tally);
        self.heard += 1;
        if self.heard == self.threads {
            self.close_moment(at);
        }
    }

    fn close_moment(&mut self, at: Instant) {
        self.heard = 0;
        let measured_s = at.saturating_duration_since(self.hours.measured).as_secs_f64();
        let width_s = measured_s - self.since_s;
        if width_s < MOMENT_S_MIN {
            return;
        }
        let tally = std::mem::replace(&mut self.open, Tally::new());
        self.since_s = measured_s;
        let quantile = |it: f64| us(tally.latency_ns.value_at_quantile(it) as f64);
        let moment = Moment {
            t_s: (measured_s * 1000.0).round() / 1000.0,
            rate: (tally.responses as f64 / width_s * 10.0).round() / 10.0,
            p50_us: quantile(0.50),
            p99_us: quantile(0.99),
            errors: tally.errors.total(),
        };
        self.timeline.push(moment);
        self.show(&format!(
            "{:6.1} s  {:9.0}/s  p50 {:.0} µs  p99 {:.0} µs  errors {}",
            moment.t_s,
            moment.rate,
            moment.p50_us,
            moment.p99_us,
            self.all.errors.total()
        ));
    }

    fn show(&self, line: &str) {
        if !self.is_shown {
            return;
        }
        let mut stream = std::io::stderr().lock();
        let is_terminal = stream.is_terminal();
        let (before, after) = if is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        // Progress that nobody can see is no reason to end a run.
        drop(write!(stream, "{before}{line}{after}"));
        drop(stream.flush());
    }

    /// The report, but for the command line and the date.
    pub(super) fn report(self, plan: &Plan) -> Report {
        if self.is_shown && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        let all = &self.all;
        let duration_s = self.end.saturating_duration_since(self.hours.measured).as_secs_f64();
        Report {
            schema: SCHEMA,
            url: plan.url.clone(),
            duration_s,
            connections: plan.connections,
            rate_intended: plan.rate,
            requests: all.responses + all.errors.total() + all.unanswered,
            responses: all.responses,
            unanswered: all.unanswered,
            rate: (all.responses as f64 / duration_s.max(1e-9) * 10.0).round() / 10.0,
            bytes_in: all.bytes_in,
            bytes_out: all.bytes_out,
            errors: all.errors,
            first_errors: all
                .first_errors
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.clone()))
                .collect(),
            statuses: all.statuses.iter().map(|(code, n)| (code.to_string(), *n)).collect(),
            latency_us: Latency::of(&all.latency_ns),
            latency_histogram: percentiles(&all.latency_ns),
            lateness_us: Latency::of(&all.lateness_ns),
            timeline: self.timeline,
            oracle: plan.oracle.then(|| all.verdict.clone()),
            ..Report::default()
        }
    }
}
