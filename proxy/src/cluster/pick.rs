//! Choosing a server: the pins first, the schedulers where there is none.

use std::net::IpAddr;
use std::rc::Rc;

use sundew_config::model::{CookieCache, Overflow, ServerIndex, ServiceIndex};

use super::claim::{Beyond, Claim, Members, PinSources, Refusal, read_claim};
use super::composite::Detours;
use super::pace::Pace;
use super::{BalancerTable, Server, ServiceTable, Tables, WeightedTable};
use crate::observe::outcome::StickyOutcome;
use crate::sticky::{Renewal, SealedValue, StickyTable};

/// The server that takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The load balancer that it belongs to.
    pub service: ServiceIndex,
    /// Which of its servers.
    pub server: ServerIndex,
    /// How it was chosen: at the innermost level that is sticky.
    pub outcome: StickyOutcome,
}

/// Why nobody takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickError {
    /// No server of the service is up: 503.
    NoServer,
    /// Every server that is up has been tried for this request.
    Exhausted,
    /// Both services of a failover that watches its own health are down: 503.
    FailoverDown,
    /// The pinned server cannot, and the client is not moved: refused with this status.
    Refused(u16),
    /// Every server that would take it has as many requests as it may.
    Full(Overflow),
}

/// What one request has met on its way: the pins that its response must set, and the servers that
/// refused it. Reused from exchange to exchange.
#[derive(Debug, Default)]
pub struct Trail {
    /// Each `Set-Cookie` of a sticky service, outer level first.
    pins: Vec<(ServiceIndex, PinLine)>,
    /// Those of the first pick, once a server has refused.
    first_pins: Vec<(ServiceIndex, PinLine)>,
    /// The client was refused rather than moved.
    is_refused: bool,
    /// It waits for room, so this is not its first pick.
    pub(super) has_waited: bool,
    tried: Vec<(ServiceIndex, ServerIndex)>,
    /// Who asks, for strategies that look at it.
    client: Option<IpAddr>,
    pub(super) detours: Detours,
}

/// A pin that the response sets.
#[derive(Clone, Copy, Debug)]
struct Pin {
    member: u16,
    /// Of the sealed value that it renews.
    renewal: Option<Renewal>,
    sealed: Option<SealedValue>,
}

/// One `Set-Cookie`.
#[derive(Clone, Copy, Debug)]
enum PinLine {
    /// Pins to a member.
    Set(Pin),
    /// Deletes the cookie, by the number of its name.
    Delete(u8),
}

impl Trail {
    /// Begins another request, keeps the memory.
    pub fn clear(&mut self) {
        self.pins.clear();
        self.tried.clear();
        self.is_refused = false;
        self.has_waited = false;
        self.detours.clear();
    }

    /// Says who asks.
    pub fn set_client(&mut self, client: IpAddr) {
        self.client = Some(client);
    }

    /// This server refused: it is not picked again for this request.
    pub fn note_tried(&mut self, service: ServiceIndex, server: ServerIndex) {
        if self.tried.is_empty() {
            self.first_pins.clone_from(&self.pins);
        }
        self.tried.push((service, server));
    }

    /// Nobody has room for it yet.
    pub fn note_waiting(&mut self) {
        self.has_waited = true;
    }

    /// Nobody took the request: back to the pins of the first pick (as Traefik, which would have
    /// tried no other).
    pub fn restore_pins(&mut self) {
        self.pins.clone_from(&self.first_pins);
    }

    /// Nobody was asked after all.
    pub fn forget_pins(&mut self) {
        self.pins.clear();
    }

    /// How many pins the levels so far have left.
    pub(super) fn pin_count(&self) -> usize {
        self.pins.len()
    }

    /// Forgets the pins of levels that have nothing to say any more.
    pub(super) fn truncate_pins(&mut self, count: usize) {
        self.pins.truncate(count);
    }

    /// Servers that refused.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.tried.len()
    }

    /// The client was refused rather than moved.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    fn note_claim(&mut self, service: ServiceIndex, claim: &Claim, member: u16) {
        if claim.issues_cookie {
            let pin = Pin { member, renewal: claim.renewal, sealed: None };
            self.pins.push((service, PinLine::Set(pin)));
        }
        if let Some(number) = claim.deletes {
            self.pins.push((service, PinLine::Delete(number)));
        }
    }

    fn refuse(&mut self, service: ServiceIndex, refusal: &Refusal) -> PickError {
        let Refusal::Strict(strict, number) = *refusal else { return PickError::Exhausted };
        // Nobody serves, so nobody is pinned.
        self.pins.clear();
        if strict.forgets {
            self.pins.push((service, PinLine::Delete(number)));
        }
        self.is_refused = true;
        PickError::Refused(strict.status)
    }

    /// Why the scheduler has nobody.
    fn nobody(&self) -> PickError {
        if self.tried.is_empty() { PickError::NoServer } else { PickError::Exhausted }
    }

    pub(super) fn has_tried(&self, service: ServiceIndex, member: u16) -> bool {
        self.tried.contains(&(service, ServerIndex(member)))
    }

    /// The `Set-Cookie` lines that the response carries, in pieces, outer level first.
    pub fn set_cookie_lines<'a>(&'a self, tables: &'a Tables) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.pins.iter().filter_map(|(service, line)| {
            let (sticky, beyond) = tables.level(*service)?;
            match line {
                PinLine::Set(pin) => {
                    Some(sticky?.set_cookie_pieces(pin.member, pin.sealed.as_ref()))
                }
                PinLine::Delete(number) => Some([beyond?.rules.deletion_line(*number), &[], &[]]),
            }
        });
        lines.flatten().filter(|piece| !piece.is_empty())
    }

    /// What those lines ask of shared caches.
    #[must_use]
    pub fn cache(&self, tables: &Tables) -> CookieCache {
        let levels = self.pins.iter().filter_map(|(service, _)| tables.level(*service));
        levels.filter_map(|(_, beyond)| Some(beyond?.rules.cache)).max().unwrap_or_default()
    }
}

impl Tables {
    /// Picks a server for a request, by the pins that it carries in `sources` or by turn; `trail` is
    /// left with what the response must set. Servers in `trail` are not picked again.
    ///
    /// # Errors
    /// [`PickError`].
    pub fn pick(
        &self,
        service: ServiceIndex,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        trail.pins.clear();
        trail.detours.begin_pick();
        let picked = self.pick_in(service, sources, trail);
        self.seal_pins(trail, sources.asked_s);
        picked
    }

    /// Makes the values of the pins whose services seal them, and that have none yet.
    pub(super) fn seal_pins(&self, trail: &mut Trail, now_s: u64) {
        for (service, line) in &mut trail.pins {
            let PinLine::Set(pin) = line else { continue };
            let sticky = self.level(*service).and_then(|(sticky, _)| sticky);
            let is_due = |it: &&StickyTable| it.is_sealed() && pin.sealed.is_none();
            let Some(sticky) = sticky.filter(is_due) else { continue };
            let nonce = pin.renewal.map(|it| it.nonce).or_else(|| self.nonces.take());
            let issued_s = pin.renewal.map(|it| it.issued_s);
            pin.sealed = nonce.and_then(|it| sticky.seal(pin.member, issued_s, now_s, it));
        }
    }

    /// The pins of a service, and its rules beyond Traefik.
    fn level(&self, service: ServiceIndex) -> Option<(Option<&StickyTable>, Option<&Beyond>)> {
        Some(match self.services.get(service.as_usize())? {
            ServiceTable::Balancer(table) => (table.sticky.as_ref(), table.beyond.as_deref()),
            ServiceTable::Weighted(table) => (table.sticky.as_ref(), table.beyond.as_deref()),
            ServiceTable::Failover(_) | ServiceTable::Mirroring(_) => return None,
        })
    }

    /// Whether another server below `root` could take the request of `pick`.
    #[must_use]
    pub fn has_alternative(&self, root: ServiceIndex, pick: Pick, trail: &Trail) -> bool {
        let rules = self.level(pick.service).and_then(|(_, beyond)| Some(&beyond?.rules));
        if rules.is_some_and(|rules| rules.stays(pick.outcome)) {
            return false;
        }
        self.has_server(root, |server, service, member| {
            (service, ServerIndex(member)) != (pick.service, pick.server)
                && server.takes_new()
                && !trail.has_tried(service, member)
        })
    }

    pub(super) fn pick_in(
        &self,
        service: ServiceIndex,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        match self.services.get(service.as_usize()) {
            Some(ServiceTable::Balancer(table)) => pick_server(table, service, sources, trail),
            Some(ServiceTable::Weighted(table)) => self.pick_child(table, service, sources, trail),
            Some(ServiceTable::Failover(table)) => {
                self.pick_failover(table, service, sources, trail)
            }
            Some(ServiceTable::Mirroring(table)) => self.pick_mirrored(table, sources, trail),
            None => Err(PickError::NoServer),
        }
    }

    fn pick_child(
        &self,
        table: &WeightedTable,
        service: ServiceIndex,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        let children = Children { tables: self, table, trail };
        let level = (table.sticky.as_ref(), table.beyond.as_deref());
        let claim = match read_claim(level, sources, &children) {
            Ok(claim) => claim,
            Err(refusal) => return Err(trail.refuse(service, &refusal)),
        };
        let is_moved = matches!(claim.outcome, StickyOutcome::Down | StickyOutcome::Redispatched);
        let choose = |eligible: &dyn Fn(u16) -> bool| {
            table.scheduler.choose(&[], children.trail.client, eligible)
        };
        // A pin that moves is not moved to a child that cannot serve, even if new clients are.
        let other = || choose(&|member| children.takes_new(member) && children.can_serve(member));
        let next = || {
            let moved = if is_moved { other() } else { None };
            moved.or_else(|| choose(&|member| children.takes_new(member)))
        };
        let Some(member) = claim.member.or_else(next) else { return Err(trail.nobody()) };
        trail.note_claim(service, &claim, member);
        let Some(child) = table.children.get(usize::from(member)) else {
            return Err(PickError::NoServer);
        };
        let mut pick = self.pick_in(*child, sources, trail)?;
        if pick.outcome == StickyOutcome::None {
            pick.outcome = claim.outcome;
        }
        Ok(pick)
    }

    /// Whether some server below `service` `is_wanted`; those of mirrors do not count.
    pub(super) fn has_server(
        &self,
        service: ServiceIndex,
        is_wanted: impl Fn(&Server, ServiceIndex, u16) -> bool + Copy,
    ) -> bool {
        match self.services.get(service.as_usize()) {
            Some(ServiceTable::Balancer(table)) => (0_u16..)
                .zip(&table.servers)
                .any(|(member, server)| is_wanted(server, service, member)),
            Some(ServiceTable::Weighted(table)) => {
                table.children.iter().any(|child| self.has_server(*child, is_wanted))
            }
            Some(ServiceTable::Failover(table)) => {
                self.has_server(table.main, is_wanted) || self.has_server(table.fallback, is_wanted)
            }
            Some(ServiceTable::Mirroring(table)) => self.has_server(table.main, is_wanted),
            None => false,
        }
    }
}

/// The children of a weighted service.
///
/// Without `healthCheck` on it a dead child is offered new clients (and answers 503), as under
/// Traefik; one all of whose servers have refused this very request, or are drained, is not. A pin
/// to a dead child does not hold.
struct Children<'a> {
    tables: &'a Tables,
    table: &'a WeightedTable,
    trail: &'a Trail,
}

impl Children<'_> {
    fn has_server(
        &self,
        member: u16,
        is_wanted: impl Fn(&Server, ServiceIndex, u16) -> bool + Copy,
    ) -> bool {
        let child = self.table.children.get(usize::from(member));
        child.is_some_and(|child| self.tables.has_server(*child, is_wanted))
    }
}

impl Members for Children<'_> {
    fn serves(&self, member: u16) -> bool {
        self.has_server(member, |server, _, _| server.is_up())
    }

    fn can_serve(&self, member: u16) -> bool {
        if self.trail.tried() == 0 {
            return self.serves(member);
        }
        self.has_server(member, |server, service, member| {
            server.is_up() && !self.trail.has_tried(service, member)
        })
    }

    fn takes_new(&self, member: u16) -> bool {
        if self.trail.tried() == 0 && !self.table.propagates_health {
            return self.has_server(member, |server, _, _| !server.is_draining())
                || !self.has_server(member, |_, _, _| true);
        }
        self.has_server(member, |server, service, member| {
            server.takes_new() && !self.trail.has_tried(service, member)
        })
    }
}

/// The servers of a load balancer.
struct Servers<'a> {
    table: &'a BalancerTable,
    service: ServiceIndex,
    trail: &'a Trail,
}

impl Servers<'_> {
    fn is(&self, member: u16, wanted: impl Fn(&Server) -> bool) -> bool {
        self.table.servers.get(usize::from(member)).is_some_and(|server| wanted(server))
    }

    /// Who takes a new client: servers that are warming up take part in some picks only, unless
    /// there is nobody else.
    #[inline(never)]
    fn next(&self) -> Option<u16> {
        let Self { table, trail, .. } = self;
        let choose = |eligible: &dyn Fn(u16) -> bool| {
            table.scheduler.choose(&table.servers, trail.client, eligible)
        };
        let thrown = table.pace.as_deref().and_then(Pace::throw);
        let warm = thrown.and_then(|thrown| {
            let is_warm = |it: &Server| it.readiness.admission() > thrown;
            choose(&|member| self.takes_new(member) && self.is(member, is_warm))
        });
        warm.or_else(|| choose(&|member| self.takes_new(member)))
    }

    /// Why nobody takes a new client. With a cap it is for want of room if anybody might: there may
    /// be some again by now.
    #[cold]
    fn nobody(&self) -> PickError {
        let might = |(member, server): (u16, &Rc<Server>)| {
            server.takes_new() && !self.trail.has_tried(self.service, member)
        };
        match self.table.overflow {
            Some(overflow) if (0..).zip(&self.table.servers).any(might) => {
                PickError::Full(overflow)
            }
            _ => self.trail.nobody(),
        }
    }
}

impl Members for Servers<'_> {
    fn serves(&self, member: u16) -> bool {
        self.is(member, Server::is_up)
    }

    fn can_serve(&self, member: u16) -> bool {
        self.is(member, Server::is_up)
            && !self.trail.has_tried(self.service, member)
            // One that is full is left only where that is asked for.
            && (self.table.overflow != Some(Overflow::Redispatch)
                || !self.is(member, Server::is_full))
    }

    fn takes_new(&self, member: u16) -> bool {
        self.is(member, |it| it.takes_new() && !it.is_full())
            && !self.trail.has_tried(self.service, member)
    }
}

fn pick_server(
    table: &BalancerTable,
    service: ServiceIndex,
    sources: PinSources<'_>,
    trail: &mut Trail,
) -> Result<Pick, PickError> {
    let servers = Servers { table, service, trail };
    let level = (table.sticky.as_ref(), table.beyond.as_deref());
    let mut claim = match read_claim(level, sources, &servers) {
        Ok(claim) => claim,
        Err(refusal) => return Err(trail.refuse(service, &refusal)),
    };
    if let Some(pace) = table.pace.as_deref() {
        rebalance(table, pace, sources, &mut claim, trail);
    }
    let Some(member) = claim.member.or_else(|| servers.next()) else {
        return Err(servers.nobody());
    };
    if let Some(overflow) = table.overflow
        && servers.is(member, Server::is_full)
    {
        return Err(PickError::Full(overflow));
    }
    if let Some(pace) = table.pace.as_deref() {
        pace.note_request(member);
    }
    trail.note_claim(service, &claim, member);
    Ok(Pick { service, server: ServerIndex(member), outcome: claim.outcome })
}

/// An old pin may move to a server that is new (`rebalance`), and then begins anew.
#[inline(never)]
fn rebalance(
    table: &BalancerTable,
    pace: &Pace,
    sources: PinSources<'_>,
    claim: &mut Claim,
    trail: &Trail,
) {
    let (Some(member), Some(pin)) = (claim.member, claim.renewal) else { return };
    // A request that was sent before must not meet two decisions.
    if trail.tried() > 0 || !is_safe(sources.method) {
        return;
    }
    if let Some(other) = pace.destination(&table.servers, member, pin, sources.asked_s) {
        claim.member = Some(other);
        claim.outcome = StickyOutcome::Rebalanced;
        claim.issues_cookie = true;
        claim.renewal = None;
    }
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
}
