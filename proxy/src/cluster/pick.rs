//! Choosing a server: the pins first, the schedulers where there is none.

use sundew_config::model::{ServerIndex, ServiceIndex};

use super::{BalancerTable, ServiceTable, Tables, WeightedTable};
use crate::http1::fields::{FieldName, Fields};
use crate::observe::outcome::StickyOutcome;
use crate::sticky::{SealedFound, SealedValue, StickyTable, cookie_value};

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
}

/// What one request has met on its way: the pins that its response must set, and the servers that
/// refused it. Reused from exchange to exchange.
#[derive(Debug, Default)]
pub struct Trail {
    /// One for each `Set-Cookie`, outer level first.
    pins: Vec<Pin>,
    /// Those of the first pick, once a server has refused.
    first_pins: Vec<Pin>,
    tried: Vec<(ServiceIndex, ServerIndex)>,
    /// When the request came, by the wall clock, in seconds since 1970: sealed pins age by it.
    pub asked_s: u64,
}

/// A pin that the response sets.
#[derive(Clone, Copy, Debug)]
struct Pin {
    service: ServiceIndex,
    member: u16,
    /// Of the value that it renews.
    issued_s: Option<u32>,
    sealed: Option<SealedValue>,
}

impl Trail {
    /// Begins another request, keeps the memory.
    pub fn clear(&mut self) {
        self.pins.clear();
        self.tried.clear();
    }

    /// This server refused: it is not picked again for this request.
    pub fn note_tried(&mut self, service: ServiceIndex, server: ServerIndex) {
        if self.tried.is_empty() {
            self.first_pins.clone_from(&self.pins);
        }
        self.tried.push((service, server));
    }

    /// Nobody took the request: back to the pins of the first pick (as Traefik, which would have
    /// tried no other).
    pub fn restore_pins(&mut self) {
        self.pins.clone_from(&self.first_pins);
    }

    /// Servers that refused.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.tried.len()
    }

    fn has_tried(&self, service: ServiceIndex, member: u16) -> bool {
        self.tried.contains(&(service, ServerIndex(member)))
    }

    /// The `Set-Cookie` lines that the response carries, in pieces, outer level first.
    pub fn set_cookie_lines<'a>(&'a self, tables: &'a Tables) -> impl Iterator<Item = &'a [u8]> {
        let pieces = self.pins.iter().filter_map(|pin| {
            let sticky = tables.sticky(pin.service)?;
            Some(sticky.set_cookie_pieces(pin.member, pin.sealed.as_ref()))
        });
        pieces.flatten().filter(|piece| !piece.is_empty())
    }
}

/// Where a request's cookies are.
#[derive(Clone, Copy, Debug)]
struct Cookies<'a> {
    bytes: &'a [u8],
    fields: &'a Fields,
    asked_s: u64,
}

/// What a level's cookie says.
struct Claim {
    member: Option<u16>,
    outcome: StickyOutcome,
    issues_cookie: bool,
    /// Since when the client is pinned, where a sealed value says it and stays.
    issued_s: Option<u32>,
}

impl Tables {
    /// Picks a server for a request whose Cookie lines are in `fields`, by the pins that it
    /// carries or by turn; `trail` is left with what the response must set. Servers in `trail`
    /// are not picked again.
    ///
    /// # Errors
    /// [`PickError`].
    pub fn pick(
        &self,
        service: ServiceIndex,
        bytes: &[u8],
        fields: &Fields,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        trail.pins.clear();
        let picked =
            self.pick_in(service, Cookies { bytes, fields, asked_s: trail.asked_s }, trail);
        self.seal_pins(trail);
        picked
    }

    /// The stickiness of a service.
    fn sticky(&self, service: ServiceIndex) -> Option<&StickyTable> {
        match self.services.get(service.as_usize())? {
            ServiceTable::Balancer(table) => table.sticky.as_ref(),
            ServiceTable::Weighted(table) => table.sticky.as_ref(),
        }
    }

    /// Makes the values of the pins whose services seal them.
    fn seal_pins(&self, trail: &mut Trail) {
        for pin in &mut trail.pins {
            let Some(sticky) = self.sticky(pin.service).filter(|it| it.is_sealed()) else {
                continue;
            };
            pin.sealed = self
                .nonces
                .take()
                .and_then(|nonce| sticky.seal(pin.member, pin.issued_s, trail.asked_s, nonce));
        }
    }

    /// Whether another server below `root` could take the request of `pick`.
    #[must_use]
    pub fn has_alternative(&self, root: ServiceIndex, pick: Pick, trail: &Trail) -> bool {
        self.has_server(root, |service, member| {
            (service, ServerIndex(member)) != (pick.service, pick.server)
                && !trail.has_tried(service, member)
        })
    }

    fn pick_in(
        &self,
        service: ServiceIndex,
        cookies: Cookies<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        match self.services.get(service.as_usize()) {
            Some(ServiceTable::Balancer(table)) => pick_server(table, service, cookies, trail),
            Some(ServiceTable::Weighted(table)) => self.pick_child(table, service, cookies, trail),
            None => Err(PickError::NoServer),
        }
    }

    fn pick_child(
        &self,
        table: &WeightedTable,
        service: ServiceIndex,
        cookies: Cookies<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        let can_serve = |member: u16| self.can_serve(table, member, trail);
        let serves_others = |member: u16| self.can_serve(table, member, &Trail::default());
        let claim = read_claim(table.sticky.as_ref(), cookies, serves_others, can_serve);
        let member = match claim.member {
            Some(member) => member,
            None => match table.scheduler.borrow_mut().next(can_serve) {
                Some(member) => member,
                None if trail.tried() > 0 => return Err(PickError::Exhausted),
                None => return Err(PickError::NoServer),
            },
        };
        if claim.issues_cookie {
            trail.pins.push(Pin { service, member, issued_s: claim.issued_s, sealed: None });
        }
        let Some(child) = table.children.get(usize::from(member)) else {
            return Err(PickError::NoServer);
        };
        let mut pick = self.pick_in(*child, cookies, trail)?;
        if pick.outcome == StickyOutcome::None {
            pick.outcome = claim.outcome;
        }
        Ok(pick)
    }

    /// Whether a child is offered requests. Without `healthCheck` on the weighted service a dead
    /// child is (and answers 503), as under Traefik; one all of whose servers have refused this
    /// very request is not.
    fn can_serve(&self, table: &WeightedTable, member: u16, trail: &Trail) -> bool {
        let Some(child) = table.children.get(usize::from(member)) else { return false };
        if trail.tried() > 0 {
            return self.has_server(*child, |service, server| !trail.has_tried(service, server));
        }
        !table.propagates_health || self.has_server(*child, |_, _| true)
    }

    /// Whether some server below `service` is up and `is_wanted`.
    fn has_server(
        &self,
        service: ServiceIndex,
        is_wanted: impl Fn(ServiceIndex, u16) -> bool + Copy,
    ) -> bool {
        match self.services.get(service.as_usize()) {
            Some(ServiceTable::Balancer(table)) => (0_u16..)
                .zip(&table.servers)
                .any(|(member, server)| server.is_up() && is_wanted(service, member)),
            Some(ServiceTable::Weighted(table)) => {
                table.children.iter().any(|child| self.has_server(*child, is_wanted))
            }
            None => false,
        }
    }
}

fn pick_server(
    table: &BalancerTable,
    service: ServiceIndex,
    cookies: Cookies<'_>,
    trail: &mut Trail,
) -> Result<Pick, PickError> {
    let is_up =
        |member: u16| table.servers.get(usize::from(member)).is_some_and(|server| server.is_up());
    let can_serve = |member: u16| is_up(member) && !trail.has_tried(service, member);
    let claim = read_claim(table.sticky.as_ref(), cookies, is_up, can_serve);
    let member = match claim.member {
        Some(member) => member,
        None => match table.scheduler.borrow_mut().next(can_serve) {
            Some(member) => member,
            None if trail.tried() > 0 => return Err(PickError::Exhausted),
            None => return Err(PickError::NoServer),
        },
    };
    if claim.issues_cookie {
        trail.pins.push(Pin { service, member, issued_s: claim.issued_s, sealed: None });
    }
    Ok(Pick { service, server: ServerIndex(member), outcome: claim.outcome })
}

/// What the request's cookie claims at one level, and whether it holds: `can_serve` this request;
/// `serves_others` would take one that it has not refused.
fn read_claim(
    sticky: Option<&StickyTable>,
    cookies: Cookies<'_>,
    serves_others: impl Fn(u16) -> bool,
    can_serve: impl Fn(u16) -> bool,
) -> Claim {
    let balanced =
        |outcome, issues_cookie| Claim { member: None, outcome, issues_cookie, issued_s: None };
    let Some(sticky) = sticky else { return balanced(StickyOutcome::None, false) };
    let lines = cookies.fields.values(cookies.bytes, FieldName::Cookie);
    let Some(value) = cookie_value(lines, sticky.cookie_name()) else {
        return balanced(StickyOutcome::New, true);
    };
    if sticky.is_sealed() && !value.is_empty() {
        let found = sticky.find_sealed(value, cookies.asked_s);
        let SealedFound { outcome, is_due, issued_s, .. } = found;
        return match found.member {
            None => balanced(outcome, true),
            Some(member) if !can_serve(member) => balanced(lost(serves_others(member)), true),
            Some(_) => Claim { member: found.member, outcome, issues_cookie: is_due, issued_s },
        };
    }
    match sticky.find(value) {
        None if value.is_empty() => balanced(StickyOutcome::New, true),
        None => balanced(StickyOutcome::Unknown, true),
        Some(found) if !can_serve(found.member) => {
            balanced(lost(serves_others(found.member)), true)
        }
        Some(found) if found.is_current_format => Claim {
            member: Some(found.member),
            outcome: StickyOutcome::Pinned,
            issues_cookie: false,
            issued_s: None,
        },
        Some(found) => Claim {
            member: Some(found.member),
            outcome: StickyOutcome::Rewritten,
            issues_cookie: true,
            issued_s: None,
        },
    }
}

/// Why a pinned server does not take a request: it is down, or it has refused this very one.
fn lost(has_refused: bool) -> StickyOutcome {
    if has_refused { StickyOutcome::Redispatched } else { StickyOutcome::Down }
}
