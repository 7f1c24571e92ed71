//! How fast a load balancer's servers get what is their share: new clients by `slowStart`, old pins
//! by `rebalance`. A balancer with neither has none of this, and its requests never come here.
//!
//! Owns dice and what is counted for fair shares; the sweeper's tick moves time on. `pick` asks who
//! is admitted and which pins move; never looks at a clock.

use std::cell::Cell;
use std::rc::Rc;

use sundew_config::model::{LoadBalancer, Rebalance};

use super::Server;
use super::readiness::{Moment, Since};
use crate::balance::Random;
use crate::sticky::{Renewal, current_value};

/// How counts of requests fade in a second: a half in about a minute.
const FADE: f64 = 0.9885;

/// The pace of one load balancer.
#[derive(Debug)]
pub(super) struct Pace {
    /// 0 without a slow start.
    slow_start_ms: u64,
    random: Cell<Random>,
    rebalancing: Option<Rebalancing>,
}

/// The moving of old pins.
#[derive(Debug)]
struct Rebalancing {
    rule: Rebalance,
    /// Of each member.
    shares: Box<[Share]>,
    /// A pin whose hash is below moves; 0: none does.
    below: Cell<u64>,
    /// Of the newest member: hashes are made with it, so that each newcomer draws other pins.
    salt: Cell<u64>,
    /// Only pins from before the newest member was ready move: once each, whatever it takes.
    before_s: Cell<u64>,
    /// When counts faded last.
    faded_ms: Cell<u64>,
}

#[derive(Debug)]
struct Share {
    weight: u32,
    salt: u64,
    /// Requests of the last minute or so.
    requests: Cell<f64>,
}

impl Pace {
    /// `None` for a balancer that does as Traefik.
    pub(super) fn new(balancer: &LoadBalancer) -> Option<Box<Self>> {
        let rules = &balancer.load;
        if rules.slow_start.is_none() && rules.rebalance.is_none() {
            return None;
        }
        let shares = balancer.servers.iter().map(|server| Share {
            weight: server.weight,
            salt: salt(server.pin_name()),
            requests: Cell::new(0.0),
        });
        let rebalancing = rules.rebalance.map(|rule| Rebalancing {
            rule,
            shares: shares.collect(),
            below: Cell::new(0),
            salt: Cell::new(0),
            before_s: Cell::new(0),
            faded_ms: Cell::new(0),
        });
        let slow_start_ms =
            rules.slow_start.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        let random = Cell::new(Random::from_system());
        Some(Box::new(Self { slow_start_ms, random, rebalancing }))
    }

    /// Goes on counting where `previous` was; `same` says which member one of it is now.
    pub(super) fn carry_over(&self, previous: &Self, same: impl Fn(u16) -> Option<u16>) {
        let (Some(now), Some(before)) = (&self.rebalancing, &previous.rebalancing) else { return };
        for (member, share) in (0_u16..).zip(&before.shares) {
            let place = same(member).and_then(|it| now.shares.get(usize::from(it)));
            if let Some(place) = place {
                place.requests.set(share.requests.get());
            }
        }
        now.faded_ms.set(before.faded_ms.get());
    }

    /// A throw for one pick: servers whose admission is above it take part. `None`: all do.
    pub(super) fn throw(&self) -> Option<u16> {
        if self.slow_start_ms == 0 {
            return None;
        }
        let mut random = self.random.get();
        let thrown = random.below(usize::from(u16::MAX));
        self.random.set(random);
        u16::try_from(thrown).ok()
    }

    /// A request went to `member`.
    pub(super) fn note_request(&self, member: u16) {
        let shares = self.rebalancing.as_ref().map_or(&[][..], |it| &it.shares);
        if let Some(share) = shares.get(usize::from(member)) {
            share.requests.set(share.requests.get() + 1.0);
        }
    }

    /// Where the pin to `member` moves, if it does; `asked_s` is the wall clock's.
    pub(super) fn destination(
        &self,
        servers: &[Rc<Server>],
        member: u16,
        pin: Renewal,
        asked_s: u64,
    ) -> Option<u16> {
        let rebalancing = self.rebalancing.as_ref()?;
        let issued_s = u64::from(pin.issued_s);
        let is_old = asked_s.saturating_sub(issued_s) >= rebalancing.rule.older_than.as_secs()
            && issued_s < rebalancing.before_s.get();
        if !is_old || draw(pin, rebalancing.salt.get()) >= rebalancing.below.get() {
            return None;
        }
        let ready = || {
            let all = (0_u16..).zip(servers).zip(&rebalancing.shares);
            all.filter(|((_, server), _)| server.takes_new() && !server.is_full())
        };
        let total = ready().fold((0.0, 0.0), |(requests, weight), (_, share)| {
            (requests + share.requests.get(), weight + f64::from(share.weight))
        });
        let own = rebalancing.shares.get(usize::from(member))?;
        // A server that is drained keeps those that it has.
        let is_drained = servers.get(usize::from(member)).is_none_or(|it| it.is_draining());
        if is_drained || own.excess(total) <= 0.0 {
            return None;
        }
        // Requests that a client sends at once must agree, so no dice: its nonce decides.
        let is_newer = |server: &Server| match server.readiness.since() {
            Since::At(began) => issued_s < began.wall_s,
            Since::Always | Since::News => false,
        };
        let poor = ready().filter(|((_, server), share)| {
            share.weight > 0 && share.excess(total) < 0.0 && is_newer(server)
        });
        poor.max_by_key(|(_, share)| draw(pin, share.salt)).map(|((member, _), _)| member)
    }

    /// Time has passed.
    pub(super) fn tick(&self, servers: &[Rc<Server>], moment: Moment) {
        for server in servers {
            server.readiness.tick(server.takes_new(), moment, self.slow_start_ms);
        }
        if let Some(rebalancing) = &self.rebalancing {
            rebalancing.tick(servers, moment);
        }
    }
}

impl Share {
    /// How far its requests are above its part of a total of (requests, weights).
    fn excess(&self, (requests, weights): (f64, f64)) -> f64 {
        self.requests.get() * weights - requests * f64::from(self.weight)
    }
}

impl Rebalancing {
    fn tick(&self, servers: &[Rc<Server>], moment: Moment) {
        let elapsed_s = moment.now_ms.saturating_sub(self.faded_ms.get()) / 1000;
        if elapsed_s > 0 {
            self.faded_ms.set(self.faded_ms.get() + elapsed_s * 1000);
            let fade = FADE.powi(i32::try_from(elapsed_s).unwrap_or(i32::MAX));
            for share in &self.shares {
                share.requests.set(share.requests.get() * fade);
            }
        }
        let began = |server: &Server| match server.readiness.since() {
            Since::At(began) if server.takes_new() => Some(began),
            _ => None,
        };
        let news = servers.iter().zip(&self.shares);
        let news = news.filter_map(|(server, share)| Some((began(server)?, share.salt)));
        let Some((began, salt)) = news.max_by_key(|(began, salt)| (began.now_ms, *salt)) else {
            self.below.set(0);
            return;
        };
        let elapsed_ms = moment.now_ms.saturating_sub(began.now_ms);
        self.salt.set(salt);
        self.below.set(threshold(self.rule.per_minute_ppm, elapsed_ms));
        // By the wall clock as it is now, if that was set back: a pin that was made since must not
        // look as if it were from before.
        self.before_s.set(began.wall_s.min(moment.wall_s.saturating_sub(elapsed_ms / 1000)));
    }
}

/// The part of all hashes below which pins have moved by now.
fn threshold(per_minute_ppm: u32, elapsed_ms: u64) -> u64 {
    const WHOLE: u128 = 1_000_000 * 60_000;
    let moved = u128::from(per_minute_ppm) * u128::from(elapsed_ms);
    u64::try_from(moved.min(WHOLE) * u128::from(u64::MAX) / WHOLE).unwrap_or(u64::MAX)
}

/// The hash of a pin: of what stays the same while its value is renewed.
fn draw(pin: Renewal, salt: u64) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = pin.nonce;
    Random::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ salt).bits()
}

/// The same on every instance.
fn salt(name: &str) -> u64 {
    current_value(name).iter().fold(0, |salt, digit| salt.rotate_left(4) ^ u64::from(*digit))
}
