//! One client: a connection, a jar, and its requests one after the other. In an open loop it asks
//! when its thread's pacer says so, in a closed loop as soon as it has its answer. Called by the
//! thread, which ends with its clients.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::{Connection, Failure, Witness};
use super::jar::Jar;
use super::options::Cookies;
use super::oracle::{self, Answer, BodyCheck, ID_BYTES, Oracle, Right, Wrong};
use super::pacer::Pacer;
use super::plan::{Plan, Template};
use super::tally::{Ended, Tally};
use super::target::Endpoint;

/// Pause of a closed loop after a refused connection, so that it does not spin.
const REFUSED_MS: u64 = 20;

/// What the clients of a thread have in common.
pub(super) struct Shared {
    /// The run.
    pub(super) plan: Plan,
    /// When it asks, and until when.
    pub(super) hours: Hours,
    /// Due times; none in a closed loop.
    pub(super) pacer: Option<Rc<Pacer>>,
    /// Counts since the last telling.
    pub(super) tally: RefCell<Tally>,
    /// The run was interrupted.
    pub(super) is_stopped: Cell<bool>,
    /// Of each client that awaits an answer, when the request was due.
    pub(super) awaited: RefCell<Vec<Option<Instant>>>,
    /// Told apart from runs at the same time.
    pub(super) run: u16,
}

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    /// The first connection opens.
    pub(super) open: Instant,
    /// What is due from here on is measured.
    pub(super) measured: Instant,
    /// Nothing is asked from here on.
    pub(super) end: Instant,
}

/// What is noticed of one response.
struct Notice {
    jar: Option<Jar>,
    /// The jar differs since an answer of a server was judged.
    is_new_cookie: bool,
    oracle: Option<(Oracle, Answer, BodyCheck)>,
    raw_head: Vec<u8>,
}

impl Witness for Notice {
    fn head(&mut self, raw: &[u8]) {
        if self.oracle.is_some() {
            self.raw_head.clear();
            self.raw_head.extend_from_slice(raw);
        }
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        if let Some(jar) = &mut self.jar
            && name.eq_ignore_ascii_case("set-cookie")
        {
            self.is_new_cookie |= jar.take_in(&String::from_utf8_lossy(value));
        }
        let Some((_, answer, _)) = &mut self.oracle else { return };
        if name.eq_ignore_ascii_case(oracle::SERVER_FIELD) {
            answer.server = Some(String::from_utf8_lossy(value).into_owned());
        } else if name.eq_ignore_ascii_case(oracle::ID_FIELD) {
            answer.id = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case(oracle::FOREIGN_BODY_FIELD) {
            answer.is_foreign_body = true;
        }
    }

    fn content(&mut self, piece: &[u8]) {
        if let Some((.., body)) = &mut self.oracle {
            body.feed(piece);
        }
    }
}

/// A client, between its requests.
pub(super) struct Client {
    number: usize,
    slot: usize,
    shared: Rc<Shared>,
    endpoint: Endpoint,
    template: Template,
    connection: Option<Connection>,
    notice: Notice,
    /// The next request; empty when it must be put together anew.
    request: Vec<u8>,
    /// Where in it the id stands.
    id_at: usize,
    asked: u32,
}

impl Client {
    /// Client `number` of the run, `slot` of its thread.
    pub(super) fn new(shared: Rc<Shared>, number: usize, slot: usize) -> Option<Self> {
        let asks = &shared.plan.asks;
        let (endpoint, template) = asks.get(number % asks.len().max(1))?.clone();
        let plan = &shared.plan;
        let oracle = plan.oracle.then(|| {
            let none = BodyCheck::new([b'0'; ID_BYTES]);
            (Oracle::new(plan.allow_repin), Answer::default(), none)
        });
        let jar = (plan.cookies == Cookies::Jar).then(Jar::default);
        let notice = Notice { jar, is_new_cookie: false, oracle, raw_head: Vec::new() };
        Some(Self {
            number,
            slot,
            shared,
            endpoint,
            template,
            connection: None,
            notice,
            request: Vec::new(),
            id_at: 0,
            asked: 0,
        })
    }

    /// Asks until the run is over.
    pub(super) async fn run(mut self) {
        let plan = &self.shared.plan;
        let turn = self.number as f64 / plan.connections.max(1) as f64;
        let opens = self.shared.hours.open + plan.ramp.mul_f64(turn);
        monoio::time::sleep_until(opens.into()).await;
        if self.shared.pacer.is_some() && !plan.new_connection_per_request {
            // Open before the first request is due; a refusal shows then.
            let opened = monoio::time::timeout(plan.timeout, Connection::open(&self.endpoint));
            self.connection = opened.await.ok().and_then(Result::ok);
        }
        while let Some(due) = self.next_due().await {
            self.ask(due).await;
        }
        if self.notice.oracle.as_ref().is_some_and(|(it, ..)| it.pin().is_some()) {
            self.shared.tally.borrow_mut().verdict.pinned += 1;
        }
    }

    async fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let Some(pacer) = &self.shared.pacer else {
            let is_over = now >= self.shared.hours.end || self.shared.is_stopped.get();
            return (!is_over).then_some(now);
        };
        let due = pacer.take(now)?;
        if now >= due {
            return Some(due);
        }
        if !pacer.wait(due).await {
            return None;
        }
        let late = Instant::now().saturating_duration_since(due);
        if due >= self.shared.hours.measured {
            let mut tally = self.shared.tally.borrow_mut();
            tally.lateness_ns.saturating_record(super::tally::ns(late));
        }
        Some(due)
    }

    async fn ask(&mut self, due: Instant) {
        let is_measured = due >= self.shared.hours.measured;
        let id = self.prepare();
        let bytes_out = self.request.len() as u64;
        self.await_since(is_measured.then_some(due));
        let timeout = self.shared.plan.timeout;
        let exchange = monoio::time::timeout(timeout, self.exchange()).await;
        let outcome = exchange.unwrap_or(Err(Failure::Timeout));
        let now = Instant::now();
        self.await_since(None);
        let mut judged = None;
        match &outcome {
            Ok((status, _)) => judged = self.judge(*status, &id),
            Err(why) => {
                self.connection = None;
                // A request that was under way when it was given up is gone.
                self.request.clear();
                if self.shared.pacer.is_none() && matches!(why, Failure::Connect(_)) {
                    monoio::time::sleep(Duration::from_millis(REFUSED_MS)).await;
                }
            }
        }
        if self.notice.is_new_cookie {
            self.request.clear();
        }
        // A cookie of an answer that was cut, or that the proxy gave, moves the client all the same:
        // the next answer of a server is judged with it.
        let is_of_server = !matches!(judged, Some(Ok(Right::Proxy)));
        self.notice.is_new_cookie &= outcome.is_err() || !is_of_server;
        let ended = Ended { due, is_measured, bytes_out, outcome, judged };
        self.shared.tally.borrow_mut().count(ended, now);
    }

    fn await_since(&self, due: Option<Instant>) {
        if let Some(slot) = self.shared.awaited.borrow_mut().get_mut(self.slot) {
            *slot = due;
        }
    }

    async fn exchange(&mut self) -> Result<(u16, u64), Failure> {
        let connection = match &mut self.connection {
            Some(it) => it,
            None => self.connection.insert(Connection::open(&self.endpoint).await?),
        };
        let is_head = self.shared.plan.is_head;
        let (head, bytes) =
            connection.exchange(&mut self.request, is_head, &mut self.notice).await?;
        if head.is_last || self.shared.plan.new_connection_per_request {
            self.connection = None;
        }
        Ok((head.status, bytes))
    }

    /// Puts the next request together, or only its id into the last one.
    fn prepare(&mut self) -> [u8; ID_BYTES] {
        let is_checked = self.shared.plan.oracle;
        if self.request.is_empty() {
            self.request.extend_from_slice(&self.template.head);
            let cookie = match (&self.shared.plan.cookies, &self.notice.jar) {
                (Cookies::Fixed(value), _) => value.clone(),
                (_, Some(jar)) => jar.field_value(),
                (_, None) => String::new(),
            };
            if !cookie.is_empty() {
                self.request.extend_from_slice(format!("Cookie: {cookie}\r\n").as_bytes());
            }
            if is_checked {
                self.request.extend_from_slice(format!("{}: ", oracle::ID_FIELD).as_bytes());
                self.id_at = self.request.len();
                self.request.extend_from_slice(&[b'0'; ID_BYTES]);
                self.request.extend_from_slice(b"\r\n");
            }
            self.request.extend_from_slice(b"\r\n");
            self.request.extend_from_slice(&self.template.body);
        }
        if !is_checked {
            return [b'0'; ID_BYTES];
        }
        self.asked = self.asked.wrapping_add(1);
        let id = oracle::id(self.shared.run, self.number, self.asked);
        if let Some(place) = self.request.get_mut(self.id_at..self.id_at + ID_BYTES) {
            place.copy_from_slice(&id);
        }
        let body_at = self.request.len() - self.template.body.len();
        oracle::fill(self.request.get_mut(body_at..).unwrap_or_default(), &id);
        if let Some((_, answer, body)) = &mut self.notice.oracle {
            *answer = Answer::default();
            *body = BodyCheck::new(id);
        }
        id
    }

    fn judge(
        &mut self,
        status: u16,
        id: &[u8; ID_BYTES],
    ) -> Option<Result<Right, (Wrong, String)>> {
        let jar = self.notice.jar.as_ref();
        let has_cookie = jar.is_some_and(|it| !it.field_value().is_empty());
        let request_head_bytes = self.request.len().saturating_sub(self.template.body.len());
        let (oracle, answer, body) = self.notice.oracle.as_mut()?;
        answer.status = status;
        answer.is_new_cookie = self.notice.is_new_cookie;
        answer.has_cookie = has_cookie;
        let pin = oracle.pin().unwrap_or("nobody").to_owned();
        let judged = oracle.judge(answer, body);
        Some(judged.map_err(|wrong| {
            let (kind, why) = match &wrong {
                Wrong::Mispinned(why) => ("mispinned", why),
                Wrong::Crossed(why) => ("crossed", why),
            };
            let evidence = format!(
                "{kind}: {why}\n  client {}, request {}, pinned to {pin}, answered by {}\n\
                 --- request\n{}--- response\n{}",
                self.number,
                String::from_utf8_lossy(id),
                answer.server.as_deref().unwrap_or("nobody"),
                lines(self.request.get(..request_head_bytes).unwrap_or_default()),
                lines(&self.notice.raw_head),
            );
            (wrong, evidence)
        }))
    }
}

/// A head as a person reads it.
fn lines(head: &[u8]) -> String {
    String::from_utf8_lossy(head).replace("\r\n", "\n")
}
