//! Drives the table of responses: what a client gets of what a server sends, and whether the
//! server's connection is used again.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::client::{Answer, Client, Ended, Fin};
use super::lane::{Lane, cuts, spread};
use super::origin::{Recorder, Reply, Then, text};
use super::support::Driver;

/// The request that a response answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Get,
    Head,
    /// HTTP/1.0.
    Old,
    /// `Upgrade: websocket`.
    Upgrade,
}

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gets {
    /// 502 and a connection that goes on; the server's does not.
    BadGateway,
    /// 502, or a message that is visibly not whole.
    Broken,
    /// Status, body; the server's connection is used again.
    Whole(u16, &'static str),
    /// Status, body; the server's connection is closed.
    WholeThenClosed(u16, &'static str),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'b> {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) reply: &'b [u8],
    pub(crate) then: Then,
    /// The server's connection has carried an exchange before.
    pub(crate) is_pooled: bool,
    /// Cut here only, and the next exchange begins once the second piece has come.
    pub(crate) late_from: Option<usize>,
    pub(crate) gets: Gets,
    /// Statuses of interim responses.
    pub(crate) interims: &'static [u16],
    /// In the head or the trailers for the client.
    pub(crate) has: &'static [&'static str],
    /// Not in there, in lower case.
    pub(crate) lacks: &'static [&'static str],
}

impl<'b> Row<'b> {
    pub(crate) const fn new(name: &'static str, reply: &'b [u8], gets: Gets) -> Self {
        let (interims, has, lacks): (&[u16], &[&str], &[&str]) = (&[], &[], &[]);
        let (ask, then, is_pooled, late_from) = (Ask::Get, Then::Wait, false, None);
        Self { name, ask, reply, then, is_pooled, late_from, gets, interims, has, lacks }
    }

    pub(crate) const fn to(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    pub(crate) const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    pub(crate) const fn on_pooled(self) -> Self {
        Self { is_pooled: true, ..self }
    }

    pub(crate) const fn late_from(self, at: usize) -> Self {
        Self { late_from: Some(at), ..self }
    }

    pub(crate) const fn after(self, interims: &'static [u16]) -> Self {
        Self { interims, ..self }
    }

    pub(crate) const fn with(
        self,
        has: &'static [&'static str],
        lacks: &'static [&'static str],
    ) -> Self {
        Self { has, lacks, ..self }
    }
}

impl Ask {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Get => b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Self::Head => b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            Self::Old => b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            Self::Upgrade => {
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            }
        }
    }

    /// What the server gets of it.
    fn head(self) -> &'static str {
        match self {
            Self::Get | Self::Old => "GET / HTTP/1.1\nHost: a",
            Self::Head => "HEAD / HTTP/1.1\nHost: a",
            Self::Upgrade => {
                "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\n\
                 X-Forwarded-Proto: ws"
            }
        }
    }
}

/// Follows every row.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers the request behind every row; closes, so that each row begins with a new connection.
const CLEAN: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nclean";

/// Answers the request before a row, and leaves the server's connection in the pool.
const FIRST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Checks every row, whole and cut.
pub(crate) fn check_responses(driver: Driver, rows: &[Row<'_>]) {
    // The lane's server learns from here what to send next.
    let start = || {
        let reply = Arc::new(Mutex::new(Reply::default()));
        let next = Arc::clone(&reply);
        let origin = Recorder::new(move |got| match got.head.split(' ').nth(1) {
            Some("/next") => Reply { bytes: CLEAN.to_vec(), split: None, then: Then::Close },
            Some("/first") => Reply { bytes: FIRST.to_vec(), ..Reply::default() },
            _ => next.lock().expect("a reply").clone(),
        });
        (Lane::new(driver, origin), reply)
    };
    spread(rows, start, |row, (lane, reply), wrong| {
        let cuts = row.late_from.map_or_else(|| cuts(driver, row.reply.len()), |at| vec![at]);
        for at in cuts {
            *reply.lock().expect("a reply") =
                Reply { bytes: row.reply.to_vec(), split: Some(at), then: row.then };
            if let Err(why) = check_response(row, lane) {
                wrong.push(format!("{} ({driver:?}, cut at {at}): {why}", row.name));
                clear(lane);
                break;
            }
        }
    });
}

/// Leaves nothing of a failed row to the next one.
fn clear(lane: &Lane) {
    let mut client = Client::connect(lane.proxy.address());
    client.send(NEXT, 0);
    let _ = (client.answer(false), lane.origin.take());
}

fn check_response(row: &Row<'_>, lane: &Lane) -> Result<(), String> {
    let mut client = Client::connect(lane.proxy.address());
    if row.is_pooled {
        client.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", 0);
        let _ = (client.answer(false), lane.origin.take());
    }
    let replies = lane.origin.replies();
    client.send(row.ask.bytes(), 0);
    let answer = client.answer(row.ask == Ask::Head);
    let is_open = check_answer(row, &answer)?;
    let first = lane.origin.so_far();
    let [first] = first.as_slice() else { return Err(format!("the server got {first:?}")) };
    if first.head != row.ask.head() {
        return Err(format!("the server got {first:?}"));
    }
    let is_reused = matches!(row.gets, Gets::Whole(..));
    if row.late_from.is_some() {
        lane.origin.wait_for_replies(replies + 1);
        // A connection put back less than a millisecond ago is taken without a look.
        thread::sleep(Duration::from_millis(5));
    } else if !is_reused && row.then == Then::Wait && !lane.origin.wait_for_end(first.connection) {
        return Err("the server's connection is not closed".to_owned());
    }
    if !is_open {
        client = Client::connect(lane.proxy.address());
    }
    client.send(NEXT, 0);
    match client.answer(false) {
        Ok(next) if next.status == 200 && next.body == b"clean" => {}
        other => return Err(format!("the next exchange got {other:?}")),
    }
    let got = lane.origin.take();
    match got.as_deref() {
        Ok([one, next])
            if next.head == "GET /next HTTP/1.1\nHost: a"
                && (one.connection == next.connection) == is_reused =>
        {
            Ok(())
        }
        got => Err(format!("reused: {is_reused}; the server got {got:?}")),
    }
}

/// Whether the client's connection can take another request.
fn check_answer(row: &Row<'_>, answer: &Result<Answer, Ended>) -> Result<bool, String> {
    let (status, body) = match (row.gets, answer) {
        (Gets::Broken, Err(Ended { how: Fin::Clean | Fin::Reset, .. })) => return Ok(false),
        (Gets::BadGateway | Gets::Broken, _) => (502, "Bad Gateway"),
        (Gets::Whole(status, body) | Gets::WholeThenClosed(status, body), _) => (status, body),
    };
    let Ok(answer) = answer else { return Err(format!("{answer:?}")) };
    let lines = format!("{}\r\n{}", answer.head, answer.trailers);
    let lower = lines.to_ascii_lowercase();
    if (answer.status, text(&answer.body).as_str()) != (status, body) {
        return Err(format!("status or body: {answer:?}"));
    }
    if answer.interims != row.interims {
        return Err(format!("interim responses: {answer:?}"));
    }
    if lower.contains('\n') && lower.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(format!("loose bytes in the head: {answer:?}"));
    }
    let missing = row.has.iter().find(|line| !lines.contains(**line));
    let unwanted = row.lacks.iter().find(|line| lower.contains(**line));
    if let Some(line) = missing.or(unwanted) {
        return Err(format!("{line}: {answer:?}"));
    }
    Ok(row.ask != Ask::Old && status != 101 && !lower.contains("connection: close"))
}
