//! What one worker counts for operators: plain numbers with one writer, copied out when somebody
//! asks. Owns the shapes and what bounds them; never shares anything with another thread. Written
//! by `conn` at the end of an exchange, read by `worker` when the control thread asks.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::time::Duration;

use super::outcome::StickyOutcome;

/// The methods that series tell apart, as Traefik; any other is [`EXTENSION_METHOD`].
const METHODS: [&str; 9] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// What Traefik calls every other method.
const EXTENSION_METHOD: &str = "EXTENSION_METHOD";

/// Series of one entry point, router or service; with more, only the class of a status counts.
/// A server that invents statuses must not fill the memory.
const SERIES_MAX: usize = 256;

/// Slots of a [`PinsSeen`]: exact for a few clients, 3 % off for 1,000, blind above 7,000.
const PIN_SLOTS: usize = 1024;

/// What was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpokenProtocol {
    /// A request and its response.
    Http,
    /// An upgraded connection; its code is 0, as in Traefik.
    Websocket,
    /// The client asked for `text/event-stream`.
    Sse,
}

impl SpokenProtocol {
    /// Traefik's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Websocket => "websocket",
            Self::Sse => "sse",
        }
    }
}

/// What makes a series one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesKey {
    /// Status that the client got.
    pub code: u16,
    method: u8,
    /// What was spoken.
    pub protocol: SpokenProtocol,
}

impl SeriesKey {
    /// Of an exchange with this method.
    #[must_use]
    pub fn new(code: u16, method: &[u8], protocol: SpokenProtocol) -> Self {
        let known = METHODS.iter().position(|it| it.as_bytes() == method);
        let method = known.and_then(|it| u8::try_from(it).ok()).unwrap_or(u8::MAX);
        Self { code, method, protocol }
    }

    /// The method as series name it.
    #[must_use]
    pub fn method(self) -> &'static str {
        METHODS.get(usize::from(self.method)).copied().unwrap_or(EXTENSION_METHOD)
    }

    /// Where there are too many series already.
    fn folded(self) -> Self {
        Self { code: self.code / 100 * 100, method: u8::MAX, protocol: self.protocol }
    }
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its series.
    pub key: SeriesKey,
    /// Body bytes of the request.
    pub request_bytes: u64,
    /// Body bytes of the response.
    pub response_bytes: u64,
    /// From the request's head to the end of the response.
    pub duration: Duration,
}

/// The sums of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which one.
    pub key: SeriesKey,
    /// Exchanges.
    pub requests: u64,
    /// Body bytes of their requests.
    pub request_bytes: u64,
    /// Body bytes of their responses.
    pub response_bytes: u64,
    /// Their durations, added up.
    pub duration_ns: u64,
    /// How many of them fell into each bucket, not added up; slower ones are in none.
    pub buckets: Box<[u64]>,
}

impl Series {
    fn new(key: SeriesKey, buckets: usize) -> Self {
        let buckets = vec![0; buckets].into_boxed_slice();
        Self { key, requests: 0, request_bytes: 0, response_bytes: 0, duration_ns: 0, buckets }
    }

    fn add(&mut self, sample: &Sample, bounds_ns: &[u64]) {
        let duration_ns = u64::try_from(sample.duration.as_nanos()).unwrap_or(u64::MAX);
        self.requests += 1;
        self.request_bytes += sample.request_bytes;
        self.response_bytes += sample.response_bytes;
        self.duration_ns = self.duration_ns.saturating_add(duration_ns);
        let reached = bounds_ns.iter().position(|bound| duration_ns <= *bound);
        if let Some(bucket) = reached.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
    }

    /// Adds what another worker counted for the same series.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
    }
}

/// The series of one entry point, router or service.
#[derive(Debug, Default)]
pub struct Meter(RefCell<Vec<Series>>);

impl Meter {
    /// Counts an exchange; allocates for the first of a series alone.
    pub fn add(&self, sample: &Sample, bounds_ns: &[u64]) {
        let mut all = self.0.borrow_mut();
        let is_full = all.len() >= SERIES_MAX;
        let key = sample.key;
        if let Some(series) = all.iter_mut().find(|it| it.key == key) {
            return series.add(sample, bounds_ns);
        }
        let key = if is_full { key.folded() } else { key };
        if let Some(series) = all.iter_mut().find(|it| it.key == key) {
            return series.add(sample, bounds_ns);
        }
        let mut series = Series::new(key, bounds_ns.len());
        series.add(sample, bounds_ns);
        all.push(series);
    }

    /// A copy of all series.
    #[must_use]
    pub fn read(&self) -> Vec<Series> {
        self.0.borrow().clone()
    }
}

/// Adds the series of another worker to `all`.
pub fn merge_series(all: &mut Vec<Series>, others: &[Series]) {
    for other in others {
        match all.iter_mut().find(|it| it.key == other.key) {
            Some(series) => series.merge(other),
            None => all.push(other.clone()),
        }
    }
}

/// How often each sticky outcome came.
#[derive(Debug, Default)]
pub struct Outcomes([Cell<u64>; StickyOutcome::ALL.len()]);

impl Outcomes {
    /// Counts one.
    pub fn add(&self, outcome: StickyOutcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.set(counter.get() + 1);
        }
    }

    /// In the order of [`StickyOutcome::ALL`].
    #[must_use]
    pub fn read(&self) -> [u64; StickyOutcome::ALL.len()] {
        self.0.each_ref().map(Cell::get)
    }
}

/// Which clients came with a pin, and when last: a slot for each, by a hash of its address.
/// Counting the slots that were touched counts clients (linear counting) over any time, with one
/// store a request. Clients behind one address are one.
#[derive(Debug, Default)]
pub struct PinsSeen {
    /// Second of the last request, plus one; 0 for never. Made for the first pin.
    slots: OnceCell<Box<[Cell<u32>]>>,
    last_ms: Cell<Option<u64>>,
}

impl PinsSeen {
    /// A client came.
    pub fn note(&self, client: IpAddr, now_ms: u64) {
        let slots = self.slots.get_or_init(|| vec![Cell::new(0); PIN_SLOTS].into_boxed_slice());
        if let Some(slot) = slots.get(slot_of(client)) {
            slot.set(u32::try_from(now_ms / 1000).unwrap_or(u32::MAX - 1) + 1);
        }
        self.last_ms.set(Some(now_ms));
    }

    /// How long ago each slot was touched, and when the last pin came.
    #[must_use]
    pub fn read(&self, now_ms: u64) -> PinAges {
        let now_s = now_ms / 1000;
        let age = |slot: &Cell<u32>| match u64::from(slot.get()) {
            0 => u32::MAX,
            second => u32::try_from(now_s.saturating_sub(second - 1)).unwrap_or(u32::MAX),
        };
        let slots = self.slots.get();
        PinAges {
            ages_s: slots.map(|slots| slots.iter().map(age).collect()).unwrap_or_default(),
            last_age_ms: self.last_ms.get().map(|last| now_ms.saturating_sub(last)),
        }
    }
}

/// A hash that is the same on every worker (the finaliser of SplitMix64).
fn slot_of(client: IpAddr) -> usize {
    let bits = match client.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        // A client has its whole /64 to itself.
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    };
    let mixed = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) as usize) % PIN_SLOTS
}

/// What [`PinsSeen`] knew at some moment; of several workers, or of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinAges {
    /// Seconds since each slot was touched; empty: no pin ever came.
    ages_s: Vec<u32>,
    /// Milliseconds since the last pin.
    pub last_age_ms: Option<u64>,
}

impl PinAges {
    /// Adds what another worker saw.
    pub fn merge(&mut self, other: &Self) {
        if self.ages_s.len() < other.ages_s.len() {
            self.ages_s.resize(other.ages_s.len(), u32::MAX);
        }
        for (own, others) in self.ages_s.iter_mut().zip(&other.ages_s) {
            *own = (*own).min(*others);
        }
        let ages = [self.last_age_ms, other.last_age_ms];
        self.last_age_ms = ages.into_iter().flatten().min();
    }

    /// About how many clients came within the last `window`.
    #[must_use]
    pub fn clients_within(&self, window: Duration) -> u64 {
        let total = self.ages_s.len();
        let touched = self.ages_s.iter().filter(|age| u64::from(**age) < window.as_secs()).count();
        if touched == 0 {
            return 0;
        }
        // Linear counting: −m ln(V/m), V the slots left empty; with none left it cannot tell more.
        let (slots, empty) = (total as f64, (total - touched).max(1) as f64);
        (slots * (slots / empty).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests;
