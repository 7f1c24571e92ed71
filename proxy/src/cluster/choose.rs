//! The scheduler of one service: which strategy it follows, and what that strategy looks at.
//!
//! Owns the positions and dice of the strategies in `balance`; `pick` asks it where no pin
//! decides, and says who is eligible.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use sundew_config::model::Strategy;

use super::Server;
use crate::balance::leasttime::Load;
use crate::balance::{Hrw, LeastTime, Random, Wrr, p2c};
use crate::http1::forwarded::PeerText;

/// One service's choice among its members.
#[derive(Debug)]
pub(super) enum Scheduler {
    Wrr(RefCell<Wrr>),
    P2c { members: Box<[u16]>, random: Cell<Random> },
    Hrw(Hrw),
    LeastTime(RefCell<LeastTime>),
}

impl Scheduler {
    /// At its start. `members` is (weight, name) in the order of the configuration.
    pub(super) fn new<'a>(
        strategy: Strategy,
        members: impl Iterator<Item = (u32, &'a str)> + Clone,
    ) -> Self {
        let weights = || (0_u16..).zip(members.clone().map(|(weight, _)| weight));
        match strategy {
            Strategy::Wrr => Self::Wrr(RefCell::new(Wrr::new(weights()))),
            Strategy::P2c => Self::P2c {
                // A listed difference: one of weight 0 is being emptied, whatever the strategy.
                members: weights().filter(|it| it.1 > 0).map(|it| it.0).collect(),
                random: Cell::new(Random::from_system()),
            },
            Strategy::Hrw => Self::Hrw(Hrw::new(
                (0..).zip(members).map(|(at, (weight, name))| (at, weight, name)),
            )),
            Strategy::LeastTime => Self::LeastTime(RefCell::new(LeastTime::new(weights()))),
        }
    }

    /// Takes over the position of `previous`, or begins `offset` picks ahead, so that workers do
    /// not all begin with one member. `same` says which member one of `previous` is now.
    pub(super) fn begin(
        &self,
        previous: Option<&Self>,
        same: impl Fn(u16) -> Option<u16>,
        offset: usize,
    ) {
        match (self, previous) {
            (Self::Wrr(now), Some(Self::Wrr(before))) => {
                if !now.borrow_mut().carry_over(&before.borrow(), same) {
                    now.borrow_mut().advance(offset);
                }
            }
            (Self::LeastTime(now), Some(Self::LeastTime(before))) => {
                if !now.borrow_mut().carry_over(&before.borrow(), same) {
                    now.borrow_mut().advance(offset);
                }
            }
            (Self::Wrr(now), _) => now.borrow_mut().advance(offset),
            (Self::LeastTime(now), _) => now.borrow_mut().advance(offset),
            (Self::P2c { .. } | Self::Hrw(_), _) => {}
        }
    }

    /// A member for which `eligible` holds, for a request of `client`; `None` when it holds for
    /// none. `servers` are the members, where members are servers.
    pub(super) fn choose(
        &self,
        servers: &[Rc<Server>],
        client: Option<IpAddr>,
        eligible: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let server = |member: u16| servers.get(usize::from(member));
        let in_flight = |member: u16| server(member).map_or(0, |server| server.in_flight());
        match self {
            Self::Wrr(wrr) => wrr.borrow_mut().next(eligible),
            Self::P2c { members, random } => {
                let mut dice = random.get();
                let member = p2c::choose(members, &mut dice, eligible, in_flight);
                random.set(dice);
                member
            }
            Self::Hrw(hrw) => {
                let key = client.map(PeerText::new);
                hrw.choose(key.as_ref().map_or(&[], PeerText::as_bytes), eligible)
            }
            Self::LeastTime(leasttime) => leasttime.borrow_mut().choose(eligible, |member| Load {
                average_ms: server(member).map_or(0.0, |server| server.average_ms()),
                in_flight: in_flight(member),
            }),
        }
    }
}
