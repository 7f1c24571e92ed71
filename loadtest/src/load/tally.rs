//! What was counted: by a thread since it last told, or by all of them in all. Decides nothing.
//! Filled in by clients, told once a second to the collector.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::connection::Failure;
use super::oracle::{Right, Wrong};
use super::report::{Errors, Verdict};

/// Longest latency that is told apart: an hour, in nanoseconds.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
/// Digits that latencies are kept with.
const DIGITS: u8 = 3;
/// Most wrong answers whose evidence is kept.
pub(super) const EVIDENCE_MAX: usize = 5;

/// Counts.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) latency_ns: Histogram<u64>,
    pub(super) lateness_ns: Histogram<u64>,
    pub(super) responses: u64,
    pub(super) unanswered: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) errors: Errors,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// The first error of each kind, in words.
    pub(super) first_errors: BTreeMap<&'static str, String>,
    /// The oracle's; counts in the warm-up too.
    pub(super) verdict: Verdict,
}

/// How one request ended.
pub(super) struct Ended {
    /// When it was due, and whether the measuring had begun.
    pub(super) due: Instant,
    pub(super) is_measured: bool,
    /// Bytes of the request.
    pub(super) bytes_out: u64,
    /// The status and the bytes of the response, or why there is none.
    pub(super) outcome: Result<(u16, u64), Failure>,
    /// What the oracle says of a whole response.
    pub(super) judged: Option<Result<Right, (Wrong, String)>>,
}

fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that the type accepts")]
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("valid bounds")
}

/// Nanoseconds; a histogram holds nothing below one.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            latency_ns: histogram(),
            lateness_ns: histogram(),
            responses: 0,
            unanswered: 0,
            bytes_in: 0,
            bytes_out: 0,
            errors: Errors::default(),
            statuses: BTreeMap::new(),
            first_errors: BTreeMap::new(),
            verdict: Verdict::default(),
        }
    }

    /// One request that ended, at `now`.
    pub(super) fn count(&mut self, ended: Ended, now: Instant) {
        let wrong = self.hear(ended.judged);
        if let Err(failure) = &ended.outcome {
            let (kind, text) = match failure {
                Failure::Connect(why) => ("connect", why.to_string()),
                Failure::Reset(why) => ("reset", why.to_string()),
                Failure::Timeout => ("timeout", "no whole answer in time".to_owned()),
                Failure::Protocol(why) => ("protocol", (*why).to_owned()),
            };
            self.first_errors.entry(kind).or_insert(text);
        }
        if !ended.is_measured {
            return;
        }
        self.bytes_out += ended.bytes_out;
        let age = ns(now.saturating_duration_since(ended.due));
        match ended.outcome {
            Ok((status, bytes)) => {
                self.bytes_in += bytes;
                *self.statuses.entry(status).or_default() += 1;
                match wrong {
                    None => {
                        self.responses += 1;
                        self.latency_ns.saturating_record(age);
                    }
                    Some(Wrong::Mispinned(_)) => self.errors.mispinned += 1,
                    Some(Wrong::Crossed(_)) => self.errors.crossed += 1,
                }
            }
            Err(Failure::Connect(_)) => self.errors.connect += 1,
            Err(Failure::Reset(_)) => self.errors.reset += 1,
            Err(Failure::Protocol(_)) => self.errors.protocol += 1,
            Err(Failure::Timeout) => {
                self.errors.timeout += 1;
                // It took this long at least; leaving it out would flatter.
                self.latency_ns.saturating_record(age);
            }
        }
    }

    /// A request that was due and has no answer at the end.
    pub(super) fn count_unanswered(&mut self, age: Duration) {
        self.unanswered += 1;
        self.latency_ns.saturating_record(ns(age));
    }

    fn hear(&mut self, judged: Option<Result<Right, (Wrong, String)>>) -> Option<Wrong> {
        match judged? {
            Ok(right) => {
                match right {
                    Right::Held => self.verdict.checked += 1,
                    Right::Repinned => {
                        self.verdict.checked += 1;
                        self.verdict.repins += 1;
                    }
                    Right::Proxy => self.verdict.proxy_answers += 1,
                }
                None
            }
            Err((wrong, evidence)) => {
                self.verdict.checked += 1;
                self.verdict.wrong += 1;
                if self.verdict.evidence.len() < EVIDENCE_MAX {
                    self.verdict.evidence.push(evidence);
                }
                Some(wrong)
            }
        }
    }

    /// Adds another's counts to these.
    pub(super) fn add(&mut self, other: &Self) {
        // The bounds are the same, so nothing can be out of them.
        self.latency_ns += &other.latency_ns;
        self.lateness_ns += &other.lateness_ns;
        self.responses += other.responses;
        self.unanswered += other.unanswered;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.errors.add(&other.errors);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, text) in &other.first_errors {
            self.first_errors.entry(kind).or_insert_with(|| text.clone());
        }
        self.verdict.add(&other.verdict, EVIDENCE_MAX);
    }
}
