//! The report of a run: its JSON shape (schema 1), its figures from a histogram, and the page that
//! a person reads. Measures nothing itself. Filled in by `load`; the shape is also what
//! comparisons read back.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Version of the JSON shape; fields may be added without a new one.
pub(crate) const SCHEMA: u32 = 1;

/// One run. Times are microseconds unless the name says otherwise. What began in the warm-up is in
/// no figure.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// The command line.
    pub(crate) command: Vec<String>,
    /// The first URL.
    pub(crate) url: String,
    /// When the run began, RFC 3339.
    pub(crate) started: String,
    /// Seconds measured: as asked for, less when the run was interrupted.
    pub(crate) duration_s: f64,
    /// Clients.
    pub(crate) connections: usize,
    /// Requests a second asked for; absent in a closed loop.
    pub(crate) rate_intended: Option<f64>,
    /// Requests that were due, sent or not.
    pub(crate) requests: u64,
    /// Whole answers.
    pub(crate) responses: u64,
    /// Requests without answer or error when the run ended. Their age then is in the latencies,
    /// as what they took at least.
    pub(crate) unanswered: u64,
    /// Whole answers a second.
    pub(crate) rate: f64,
    /// Bytes of answers, heads included.
    pub(crate) bytes_in: u64,
    /// Bytes of requests.
    pub(crate) bytes_out: u64,
    /// What went wrong, each request at most once.
    pub(crate) errors: Errors,
    /// The first error of each kind, in words.
    pub(crate) first_errors: BTreeMap<String, String>,
    /// Answers by status code.
    pub(crate) statuses: BTreeMap<String, u64>,
    /// From the moment at which a request was due (open loop) or sent (closed loop) to its last
    /// byte.
    pub(crate) latency_us: Latency,
    /// `[percentile, µs]`, ever finer towards 100.
    pub(crate) latency_histogram: Vec<(f64, f64)>,
    /// How late this program itself sent requests that were due while a connection was free: what
    /// of the latencies is not the server's.
    pub(crate) lateness_us: Latency,
    /// Each second of the measuring.
    pub(crate) timeline: Vec<Moment>,
    /// What the oracle saw; absent without `--oracle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oracle: Option<Verdict>,
}

/// What went wrong, by who noticed what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Errors {
    /// No connection.
    pub(crate) connect: u64,
    /// The connection ended before the answer did.
    pub(crate) reset: u64,
    /// No whole answer in time.
    pub(crate) timeout: u64,
    /// Not HTTP/1.1 as RFC 9112 has it.
    pub(crate) protocol: u64,
    /// From another server than the client's pin names, or moved without `--allow-repin`.
    pub(crate) mispinned: u64,
    /// Not this request's answer, or not wholly.
    pub(crate) crossed: u64,
}

impl Errors {
    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.connect + self.reset + self.timeout + self.protocol + self.mispinned + self.crossed
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connect += other.connect;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.protocol += other.protocol;
        self.mispinned += other.mispinned;
        self.crossed += other.crossed;
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p75: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

/// One second of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Its end, in seconds since the measuring began.
    pub(crate) t_s: f64,
    /// Answers a second.
    pub(crate) rate: f64,
    /// Median of the answers that came in it.
    pub(crate) p50_us: f64,
    /// Their 99th percentile.
    pub(crate) p99_us: f64,
    /// Errors in it, of every kind.
    pub(crate) errors: u64,
}

/// What the oracle saw, warm-up included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Answers that were checked against their request and the pin.
    pub(crate) checked: u64,
    /// Those of them that were wrong; one fails the run.
    pub(crate) wrong: u64,
    /// Answers that a proxy gave itself: an error status and no server's name.
    pub(crate) proxy_answers: u64,
    /// Clients that hold a pin at the end.
    pub(crate) pinned: u64,
    /// Clients moved by a new cookie.
    pub(crate) repins: u64,
    /// The first wrong answers, each with its evidence.
    pub(crate) evidence: Vec<String>,
}

impl Verdict {
    /// Adds another thread's, with no more than `evidence_max` pieces of evidence in all.
    pub(crate) fn add(&mut self, other: &Self, evidence_max: usize) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.proxy_answers += other.proxy_answers;
        self.pinned += other.pinned;
        self.repins += other.repins;
        let room = evidence_max.saturating_sub(self.evidence.len());
        self.evidence.extend(other.evidence.iter().take(room).cloned());
    }
}

/// Nanoseconds, as histograms hold them, to microseconds with one decimal.
pub(crate) fn us(ns: f64) -> f64 {
    (ns / 100.0).round() / 10.0
}

impl Latency {
    /// Of a histogram in nanoseconds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| us(histogram.value_at_quantile(quantile) as f64);
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            min: us(histogram.min() as f64),
            mean: us(histogram.mean()),
            p50: at(0.50),
            p75: at(0.75),
            p90: at(0.90),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: us(histogram.max() as f64),
        }
    }
}

/// `[percentile, µs]` of a histogram in nanoseconds, five steps to each halving of what is left.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let steps = histogram.iter_quantiles(5);
    steps.map(|it| (it.quantile() * 100.0, us(it.value_iterated_to() as f64))).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loop_kind = match self.rate_intended {
            Some(rate) => format!("open loop at {rate}/s, latency from when a request was due"),
            None => "closed loop".to_owned(),
        };
        writeln!(out, "{} · {} connections · {loop_kind}", self.url, self.connections)?;
        writeln!(
            out,
            "{:>10.0} responses/s   {} in {:.1} s   {:.1} MB/s in   {:.1} MB/s out",
            self.rate,
            self.responses,
            self.duration_s,
            self.bytes_in as f64 / self.duration_s.max(1e-9) / 1e6,
            self.bytes_out as f64 / self.duration_s.max(1e-9) / 1e6,
        )?;
        let it = &self.latency_us;
        writeln!(out, "   latency  {}", row(it))?;
        if self.rate_intended.is_some() {
            writeln!(out, " sent late  {}", row(&self.lateness_us))?;
        }
        let statuses = self.statuses.iter().map(|(code, n)| format!("{code}: {n}"));
        writeln!(out, "  statuses  {}", statuses.collect::<Vec<_>>().join("  "))?;
        let e = &self.errors;
        writeln!(
            out,
            "    errors  {} (connect {}, reset {}, timeout {}, protocol {}, mispinned {}, crossed {})",
            e.total(),
            e.connect,
            e.reset,
            e.timeout,
            e.protocol,
            e.mispinned,
            e.crossed,
        )?;
        for (kind, text) in &self.first_errors {
            writeln!(out, "            first {kind}: {text}")?;
        }
        if self.unanswered > 0 {
            writeln!(
                out,
                "            {} requests had no answer when the run ended; they are in the \
                 latencies with their age",
                self.unanswered
            )?;
        }
        let Some(oracle) = &self.oracle else { return Ok(()) };
        writeln!(
            out,
            "    oracle  {} checked, {} wrong, {} clients pinned, {} moved by a new cookie, {} answers \
             of the proxy's own",
            oracle.checked, oracle.wrong, oracle.pinned, oracle.repins, oracle.proxy_answers
        )?;
        oracle.evidence.iter().try_for_each(|it| writeln!(out, "\n{it}"))
    }
}

fn row(it: &Latency) -> String {
    let named = [
        ("min", it.min),
        ("p50", it.p50),
        ("p90", it.p90),
        ("p99", it.p99),
        ("p99.9", it.p999),
        ("max", it.max),
    ];
    let parts = named.iter().map(|(name, us)| match us {
        us if *us >= 10_000.0 => format!("{name} {:.1} ms", us / 1000.0),
        us => format!("{name} {us:.0} µs"),
    });
    parts.collect::<Vec<_>>().join("   ")
}
