//! Services that do not choose by turn or pin: failover, and mirroring with its shares.
//!
//! Owns how many copies each mirror has had, and what one request has met on its way through
//! them. `pick` calls this; `conn` asks what an answer means, and who gets a copy.

use std::cell::Cell;

use sundew_config::model::{Failover, FailoverErrors, Mirroring, Overflow, ServiceIndex};

use super::{Pick, PickError, PinSources, Server, ServiceTable, Tables, Trail};

/// One failover service.
#[derive(Debug)]
pub(super) struct FailoverTable {
    pub(super) main: ServiceIndex,
    pub(super) fallback: ServiceIndex,
    errors: Option<FailoverErrors>,
    pub(super) propagates_health: bool,
}

impl FailoverTable {
    pub(super) fn new(failover: &Failover) -> Self {
        Self {
            main: failover.service,
            fallback: failover.fallback,
            errors: failover.errors.clone(),
            propagates_health: failover.propagate_health,
        }
    }

    fn is_error(&self, status: u16) -> bool {
        self.errors.as_ref().is_some_and(|errors| errors.contains(status))
    }
}

/// One mirroring service.
#[derive(Debug)]
pub(super) struct MirroringTable {
    pub(super) main: ServiceIndex,
    mirrors: Box<[MirrorTable]>,
    /// Requests so far.
    total: Cell<u64>,
}

#[derive(Debug)]
struct MirrorTable {
    copy: Copied,
    percent: u64,
    /// Copies so far.
    count: Cell<u64>,
}

/// A service that gets a copy of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The mirror.
    pub service: ServiceIndex,
    /// With its body.
    pub has_body: bool,
    /// A request with a longer body is not copied.
    pub body_bytes_max: u64,
}

impl MirroringTable {
    /// Goes on counting where `previous` was, if its mirrors had the same shares.
    pub(super) fn new(mirroring: &Mirroring, previous: Option<&Self>) -> Self {
        let mirrors = mirroring.mirrors.iter().map(|mirror| MirrorTable {
            copy: Copied {
                service: mirror.service,
                has_body: mirroring.mirror_body,
                body_bytes_max: mirroring.body_bytes_max,
            },
            percent: u64::from(mirror.percent),
            count: Cell::new(0),
        });
        let table =
            Self { main: mirroring.service, mirrors: mirrors.collect(), total: Cell::new(0) };
        let shares = |table: &Self| table.mirrors.iter().map(|it| it.percent).collect::<Vec<_>>();
        if let Some(previous) = previous.filter(|it| shares(it) == shares(&table)) {
            table.total.set(previous.total.get());
            for (mirror, before) in table.mirrors.iter().zip(&previous.mirrors) {
                mirror.count.set(before.count.get());
            }
        }
        table
    }

    /// Adds the mirrors whose turn it is: as evenly as whole numbers allow (`mirror.go`).
    fn choose(&self, copies: &mut Vec<Copied>) {
        let total = self.total.get() + 1;
        self.total.set(total);
        for mirror in &self.mirrors {
            if mirror.count.get() * 100 < total * mirror.percent {
                mirror.count.set(mirror.count.get() + 1);
                copies.push(mirror.copy);
            }
        }
    }
}

/// What one request has met of these services.
#[derive(Debug, Default)]
pub(super) struct Detours {
    /// Failovers with `errors` whose main service was picked, outer first, each with the number of
    /// pins before it.
    watched: Vec<(ServiceIndex, usize)>,
    /// Failovers whose main service has answered with one of its errors.
    failed: Vec<ServiceIndex>,
    copies: Vec<Copied>,
}

impl Detours {
    /// Another request.
    pub(super) fn clear(&mut self) {
        self.watched.clear();
        self.failed.clear();
        self.copies.clear();
    }

    /// Another pick for the same request.
    pub(super) fn begin_pick(&mut self) {
        self.watched.clear();
    }
}

impl Trail {
    /// An answer may lead to another pick, so the request must be kept.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.detours.watched.is_empty()
    }

    /// Who gets a copy of the request.
    #[must_use]
    pub fn copies(&self) -> &[Copied] {
        &self.detours.copies
    }
}

impl Tables {
    /// The longest body of a request that must be kept until it is answered; `None`: it need not.
    #[must_use]
    pub fn kept_body_bytes_max(&self, trail: &Trail) -> Option<u64> {
        let watched = trail.detours.watched.iter();
        let errors = watched.filter_map(|(service, _)| self.failover(*service)?.errors.as_ref());
        errors.map(|errors| errors.body_bytes_max).min()
    }

    /// Whether an answer with this status is not for the client, but leads to a fallback.
    #[must_use]
    pub fn fails_over(&self, trail: &Trail, status: u16) -> bool {
        trail.is_watched() && self.innermost(trail, status).is_some()
    }

    /// Picks from the fallback of the innermost failover to which `status` is an error.
    ///
    /// # Errors
    /// As [`Tables::pick`].
    pub fn pick_fallback(
        &self,
        status: u16,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        let Some((service, pins)) = self.innermost(trail, status) else {
            return Err(PickError::Exhausted);
        };
        // What the levels above have decided stays, and so do their pins.
        trail.truncate_pins(pins);
        let above = trail.detours.watched.iter().position(|(it, _)| *it == service);
        trail.detours.watched.truncate(above.unwrap_or(0));
        trail.detours.failed.push(service);
        let picked = self.pick_in(service, sources, trail);
        self.seal_pins(trail, sources.asked_s);
        picked
    }

    fn innermost(&self, trail: &Trail, status: u16) -> Option<(ServiceIndex, usize)> {
        let mut watched = trail.detours.watched.iter().rev();
        let is_error = |service| self.failover(service).is_some_and(|table| table.is_error(status));
        watched.find(|(service, _)| is_error(*service)).copied()
    }

    fn failover(&self, service: ServiceIndex) -> Option<&FailoverTable> {
        match self.services.get(service.as_usize())? {
            ServiceTable::Failover(table) => Some(table),
            _ => None,
        }
    }

    /// The main service while it has a server, else the fallback.
    pub(super) fn pick_failover(
        &self,
        table: &FailoverTable,
        service: ServiceIndex,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        let has = |child, is_wanted: fn(&Server) -> bool| {
            self.has_server(child, |server, service, member| {
                is_wanted(server) && !trail.has_tried(service, member)
            })
        };
        let has_failed = trail.detours.failed.contains(&service);
        let has_fallback = !table.propagates_health || has(table.fallback, Server::is_up);
        let takes_new = has(table.main, Server::takes_new);
        if !has_failed && has(table.main, Server::is_up) {
            let (pins, watched) = (trail.pin_count(), trail.detours.watched.len());
            if table.errors.is_some() {
                trail.detours.watched.push((service, pins));
            }
            match self.pick_in(table.main, sources, trail) {
                // A group below that does not watch its children chose a dead one.
                Err(PickError::NoServer) if takes_new && !table.is_error(503) => {
                    return Err(PickError::NoServer);
                }
                Err(refused @ PickError::Refused(_)) => return Err(refused),
                // Whoever is to wait, or to be refused, is not sent elsewhere.
                Err(PickError::Full(overflow)) if overflow != Overflow::Redispatch => {
                    return Err(PickError::Full(overflow));
                }
                Err(_) => {
                    trail.detours.watched.truncate(watched);
                    trail.truncate_pins(pins);
                }
                picked => return picked,
            }
        }
        if !has_fallback {
            let is_fresh = trail.tried() == 0;
            return Err(if is_fresh { PickError::FailoverDown } else { PickError::Exhausted });
        }
        self.pick_in(table.fallback, sources, trail)
    }

    /// The main service; who gets a copy is decided once for each request.
    pub(super) fn pick_mirrored(
        &self,
        table: &MirroringTable,
        sources: PinSources<'_>,
        trail: &mut Trail,
    ) -> Result<Pick, PickError> {
        if trail.tried() == 0 && !trail.has_waited && trail.detours.failed.is_empty() {
            table.choose(&mut trail.detours.copies);
        }
        self.pick_in(table.main, sources, trail)
    }
}
