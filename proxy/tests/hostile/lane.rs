//! Drives the tables: a few lanes side by side, each a proxy with a server of its own, so that
//! what a server records belongs to one row.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::case::{Case, End, Seen};
use super::client::{Answer, Client, Fin};
use super::origin::{Recorder, Reply, text};
use super::support::{Driver, Setup, Sundew, app};

/// Proxies a driver: enough that the pauses between two pieces overlap.
const LANES: usize = 6;

/// Most points at which a row is cut on the slower driver, and of rows longer than
/// [`LONG_BYTES`] on both.
const CUTS_SAMPLED: usize = 40;

const LONG_BYTES: usize = 1024;

/// Failures that are reported; the rest is more of the same.
const REPORTED_MAX: usize = 30;

/// Follows a row that must leave the connection open.
const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: a\r\n\r\n";

/// Follows a row after which nothing on the connection may be taken for a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// The points at which `length` bytes are cut, 0 for not at all first.
pub(crate) fn cuts(driver: Driver, length: usize) -> Vec<usize> {
    let is_sampled = driver == Driver::Epoll || length > LONG_BYTES;
    let step = if is_sampled { length.div_ceil(CUTS_SAMPLED).max(1) } else { 1 };
    let last = length.saturating_sub(1);
    (0..=last).step_by(step).chain((last > 0).then_some(last)).collect()
}

/// A proxy, the server behind it, and what they have been through.
pub(crate) struct Lane {
    pub(crate) proxy: Sundew,
    pub(crate) origin: Recorder,
    /// Requests with a number of their own that were sent.
    numbered: usize,
    /// Of those, what the server saw the beginning of.
    begun: HashSet<String>,
}

impl Lane {
    pub(crate) fn new(driver: Driver, origin: Recorder) -> Self {
        let proxy = Setup::new(driver, app(&[&origin.url()])).start();
        Self { proxy, origin, numbered: 0, begun: HashSet::new() }
    }
}

/// Runs `check` for every row, spread over the lanes; panics with what it reports.
pub(crate) fn spread<C: Sync, L>(
    rows: &[C],
    start: impl Fn() -> L + Sync,
    check: impl Fn(&C, &mut L, &mut Vec<String>) + Sync,
) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let mut lane = start();
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut found = Vec::new();
                    check(row, &mut lane, &mut found);
                    wrong.lock().expect("the failures").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the failures");
    let shown: Vec<_> = wrong.iter().take(REPORTED_MAX).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} rows failed:\n{}", wrong.len(), shown.join("\n"));
}

/// Checks every row, whole and cut.
pub(crate) fn check_requests(driver: Driver, cases: &[Case]) {
    let start = || {
        let origin = Recorder::new(|got| {
            let bytes: &[u8] = match got.head.starts_with("HEAD ") {
                true => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                false => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            };
            Reply { bytes: bytes.to_vec(), ..Reply::default() }
        });
        Lane::new(driver, origin)
    };
    spread(cases, start, |case, lane, wrong| {
        for at in cuts(driver, case.send.len()) {
            if let Err(why) = check_request(case, at, lane) {
                wrong.push(format!("{} ({driver:?}, cut at {at}): {why}", case.name));
                // The same again at the other points says no more.
                break;
            }
        }
    });
}

fn check_request(case: &Case, at: usize, lane: &mut Lane) -> Result<(), String> {
    let mut client = Client::connect(lane.proxy.address());
    let after = if case.end == End::Open { PROBE } else { SMUGGLED };
    let send = numbered(case, lane);
    // The number moves the cut, not what is cut.
    let at = if at == 0 { 0 } else { at + send.len() - case.send.len() };
    client.send(&[&send, after.as_bytes()].concat(), at);
    let origin = &lane.origin;
    let mut is_head = case.send.starts_with(b"HEAD ");
    for (position, status) in case.statuses.iter().enumerate() {
        let answer = client.answer(is_head).map_err(|ended| {
            format!("{ended:?} in place of {status}; the server got {:?}", origin.take())
        })?;
        is_head = false;
        let is_last = position + 1 == case.statuses.len();
        let closes = is_last && case.end == End::Closed;
        if let Err(why) = check_answer(&answer, *status, closes) {
            return Err(format!("{why}: {answer:?}; the server got {:?}", origin.take()));
        }
    }
    if case.end == End::Open {
        let probe = client.answer(false);
        if !probe.as_ref().is_ok_and(|it| it.status == 200) {
            return Err(format!("the next request: {probe:?}; {:?}", origin.take()));
        }
    } else {
        let ended = client.end();
        let is_silent = case.statuses.is_empty();
        // Who is closed on without an answer may still be sending, and is reset then.
        if (ended.how != Fin::Clean && !is_silent) || !ended.rest.is_empty() {
            return Err(format!("{:?} after {:?}", ended.how, text(&ended.rest)));
        }
    }
    drop(client);
    check_seen(case, lane)
}

fn check_answer(answer: &Answer, status: u16, closes: bool) -> Result<(), &'static str> {
    let head = answer.head.to_ascii_lowercase();
    if answer.status != status {
        return Err("the status");
    }
    let says_close = head.contains("\r\nconnection: close");
    // An HTTP/1.0 client expects the close.
    if says_close != closes && !(closes && head.starts_with("http/1.0")) {
        return Err("Connection: close");
    }
    if head.contains("\r\nserver:") || answer.body.len() > 64 {
        return Err("more than an error page needs (D18)");
    }
    Ok(())
}

/// Requests that a server may see the beginning of carry a number, as the server may notice
/// their end only when the next row is on its way.
fn numbered<'c>(case: &'c Case, lane: &mut Lane) -> Cow<'c, [u8]> {
    const START: &[u8] = b"POST /";
    if case.seen != Seen::Unfinished {
        return Cow::Borrowed(&case.send);
    }
    lane.numbered += 1;
    let number = format!("?{:06}", lane.numbered);
    Cow::Owned([START, number.as_bytes(), &case.send[START.len()..]].concat())
}

fn check_seen(case: &Case, lane: &mut Lane) -> Result<(), String> {
    let got = lane.origin.take().map_err(|got| format!("the server still waits: {got:?}"))?;
    let (begun, mut got): (Vec<_>, Vec<_>) =
        got.into_iter().partition(|it| it.head.starts_with("POST /?"));
    for got in begun {
        if got.is_whole || !lane.begun.insert(got.head.clone()) {
            return Err(format!("whole, or twice: {got:?}"));
        }
    }
    if case.end == End::Open && got.last().is_some_and(|last| last.head.starts_with("GET /probe "))
    {
        got.pop();
    }
    let is_right = match &case.seen {
        Seen::Nothing | Seen::Unfinished => got.is_empty(),
        Seen::Requests(want) => {
            want.len() == got.len()
                && want.iter().zip(&got).all(|((head, body), got)| {
                    got.is_whole && *head == got.head && *body == got.body
                })
        }
    };
    is_right.then_some(()).ok_or_else(|| format!("the server got {got:?}"))
}
