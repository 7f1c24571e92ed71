//! Services that stand in front of other services: what they refer to, mirroring, failover,
//! highest random weight. `service` checks load balancers and weighted services, and calls this.

use super::dynamic::{Reference, reference};
use super::service::{Services, weight};
use crate::model::{
    Failover, FailoverErrors, HELD_BODY_BYTES_MAX, HighestRandomWeight, Mirror, Mirroring,
    ServiceIndex, ServiceKind, WeightedChild,
};
use crate::raw;
use crate::source::At;

/// Why a service must know its health.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// The one above passes it on.
    Propagation,
    /// The one above changes over by it.
    Failover,
}

impl<'a> Services<'a> {
    pub(super) fn highest_random_weight(
        &mut self,
        raw: &raw::HighestRandomWeight,
        at: &At<'a>,
    ) -> Option<HighestRandomWeight> {
        let propagate_health = raw.health_check.is_some();
        let children = self.children(&raw.services, propagate_health, at)?;
        Some(HighestRandomWeight { children, propagate_health })
    }

    pub(super) fn mirroring(&mut self, raw: &raw::Mirroring, at: &At<'a>) -> Option<Mirroring> {
        let propagate_health = raw.health_check.is_some();
        let service = self.refer(&raw.service, None, &at.key("service"));
        if raw.mirrors.is_empty() {
            at.warning("nothing is mirrored", "add a service under `mirrors`");
        }
        let mut mirrors = Some(Vec::with_capacity(raw.mirrors.len()));
        let list = at.key("mirrors");
        for (index, mirror) in raw.mirrors.iter().enumerate() {
            let at = list.index(index);
            let checked = self.mirror(mirror, &at);
            mirrors = mirrors.zip(checked).map(|(mut list, mirror)| {
                list.push(mirror);
                list
            });
        }
        Some(Mirroring {
            service: service?,
            mirrors: mirrors?,
            mirror_body: raw.mirror_body.unwrap_or(true),
            body_bytes_max: body_bytes_max(raw.max_body_size),
            propagate_health,
        })
    }

    fn mirror(&mut self, raw: &raw::Mirror, at: &At<'a>) -> Option<Mirror> {
        let service = self.refer(&raw.name, None, &at.key("name"));
        if !(0..=100).contains(&raw.percent) {
            // The whole service, as under Traefik.
            let message = format!("{} is not a share in percent", raw.percent);
            at.key("percent").wrong(message, "write 0 to 100");
            return None;
        }
        Some(Mirror { service: service?, percent: u8::try_from(raw.percent).ok()? })
    }

    pub(super) fn failover(&mut self, raw: &raw::Failover, at: &At<'a>) -> Option<Failover> {
        let propagate_health = raw.health_check.is_some();
        let errors = match &raw.errors {
            Some(errors) => Some(failover_errors(errors, &at.key("errors"))?),
            None => None,
        };
        let need =
            if errors.is_none() { Some(Need::Failover) } else { propagation(propagate_health) };
        let service = self.refer(&raw.service, need, &at.key("service"));
        let fallback =
            self.refer(&raw.fallback, propagation(propagate_health), &at.key("fallback"));
        Some(Failover { service: service?, fallback: fallback?, propagate_health, errors })
    }

    /// The children of a weighted service or of one like it.
    pub(super) fn children(
        &mut self,
        raw: &[raw::WeightedService],
        propagates: bool,
        at: &At<'a>,
    ) -> Option<Vec<WeightedChild>> {
        if raw.is_empty() {
            at.warning("a service without children answers 503", "add one under `services`");
        }
        let list = at.key("services");
        let mut children = Some(Vec::with_capacity(raw.len()));
        for (index, child) in raw.iter().enumerate() {
            let at = list.index(index);
            let weight = weight(child.weight, &at.key("weight"));
            let service = self.refer(&child.name, propagation(propagates), &at.key("name"));
            children = children.zip(service).map(|(mut list, service)| {
                list.push(WeightedChild { name: child.name.clone(), service, weight });
                list
            });
        }
        children
    }

    /// The service that is named at `at`, which must know its health where there is a `need`;
    /// `None` after a report.
    fn refer(&mut self, written: &str, need: Option<Need>, at: &At<'a>) -> Option<ServiceIndex> {
        let Reference::File(name) = reference(written, at)? else {
            at.wrong(
                format!("`{written}` cannot stand in another service"),
                "name a service of the file",
            );
            return None;
        };
        if let Some(position) = self.open.iter().position(|it| *it == name) {
            let chain = self.open.get(position..).unwrap_or_default().join(" → ");
            at.wrong(format!("services refer to each other: {chain} → {name}"), "");
            return None;
        }
        let service = self.find(name, at).ok()??;
        if let Some(need) = need
            && !self.has_health(service)
        {
            let (why, instead) = match need {
                Need::Propagation => ("`healthCheck` is written above", "remove the one above"),
                Need::Failover => ("a failover follows the health of `service`", "write `errors`"),
            };
            at.wrong(
                format!("{why}, but `{name}` has none"),
                format!("give `{name}` a `healthCheck`, or {instead}"),
            );
            return None;
        }
        Some(service)
    }

    fn has_health(&self, index: ServiceIndex) -> bool {
        match self.checked.get(index.as_usize()).map(|it| &it.kind) {
            Some(ServiceKind::LoadBalancer(it)) => it.health_check.is_some(),
            Some(ServiceKind::Weighted(it)) => it.propagate_health,
            Some(ServiceKind::HighestRandomWeight(it)) => it.propagate_health,
            // As Traefik, which asks the main service only when somebody wants to know.
            Some(ServiceKind::Mirroring(it)) => it.propagate_health && self.has_health(it.service),
            Some(ServiceKind::Failover(it)) => it.propagate_health,
            None => false,
        }
    }
}

fn propagation(is_on: bool) -> Option<Need> {
    is_on.then_some(Need::Propagation)
}

/// Traefik's -1 is no limit; what is held in memory has one here.
fn body_bytes_max(written: Option<i64>) -> u64 {
    written.and_then(|it| u64::try_from(it).ok()).unwrap_or(HELD_BODY_BYTES_MAX)
}

fn failover_errors(raw: &raw::FailoverErrors, at: &At<'_>) -> Option<FailoverErrors> {
    if raw.status.is_empty() {
        at.wrong("no status is named", "write `status: [\"500-599\"]`");
        return None;
    }
    let list = at.key("status");
    let mut status = Some(Vec::with_capacity(raw.status.len()));
    for (index, written) in raw.status.iter().enumerate() {
        let range = range(written);
        if range.is_none() {
            let message = format!("`{}` is no status and no range", written.escape_debug());
            list.index(index).wrong(message, "write 503, or 500-599");
        }
        status = status.zip(range).map(|(mut list, range)| {
            list.push(range);
            list
        });
    }
    let body_bytes_max = body_bytes_max(raw.max_request_body_bytes);
    status.map(|status| FailoverErrors { status, body_bytes_max })
}

/// `503` or `500-599`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.parse().ok().filter(|it| (100..=999).contains(it));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}
