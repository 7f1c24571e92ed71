//! `maxInFlightPerServer`, `overflow`, `slowStart`, `rebalance`: what a load balancer does about
//! load beyond Traefik.

use std::time::Duration;

use super::scalar::{duration, in_range, positive};
use crate::model::{InFlightLimit, LoadRules, Overflow, Rebalance, StickyCookie, Strategy};
use crate::raw;
use crate::source::At;

/// More than a process has descriptors for.
const IN_FLIGHT_MAX: u32 = 1_000_000;
/// Unless `olderThan` is written.
const OLDER_THAN: Duration = Duration::from_secs(600);
const PER_MINUTE_HELP: &str = "write a share of the pins, such as 5%";

/// `at` is the balancer's place; `cookie` is its own.
pub(super) fn load_rules(
    raw: &raw::LoadBalancer,
    cookie: Option<&StickyCookie>,
    strategy: Strategy,
    at: &At<'_>,
) -> LoadRules {
    let slow_start_at = at.key("slowStart");
    let slow_start = duration(&slow_start_at, raw.slow_start.as_ref()).filter(|it| !it.is_zero());
    if slow_start.is_some() && strategy == Strategy::Hrw {
        slow_start_at
            .warning("`hrw` gives a server its clients at once", "remove it, or the strategy");
    }
    LoadRules {
        in_flight: in_flight(raw, at),
        slow_start: slow_start.filter(|_| strategy != Strategy::Hrw),
        rebalance: raw
            .rebalance
            .as_ref()
            .and_then(|it| rebalance(it, cookie, &at.key("rebalance"))),
    }
}

fn in_flight(raw: &raw::LoadBalancer, at: &At<'_>) -> Option<InFlightLimit> {
    let overflow_at = at.key("overflow");
    let overflow = match &*raw.overflow.to_ascii_lowercase() {
        "" | "wait" => Overflow::Wait,
        "redispatch" => Overflow::Redispatch,
        "reject" => Overflow::Reject,
        _ => {
            let words = ["wait", "redispatch", "reject"];
            let help = overflow_at.did_you_mean(&raw.overflow, words.into_iter());
            overflow_at.error(format!("unknown overflow `{}`", raw.overflow), help);
            Overflow::Wait
        }
    };
    if raw.max_in_flight_per_server.is_none() {
        if !raw.overflow.is_empty() {
            let help = "write `maxInFlightPerServer`";
            overflow_at.warning("means nothing without a limit that overflows", help);
        }
        return None;
    }
    let limit_at = at.key("maxInFlightPerServer");
    let written = raw.max_in_flight_per_server;
    let per_server_max = in_range(&limit_at, written, 1..=IN_FLIGHT_MAX.into(), IN_FLIGHT_MAX);
    Some(InFlightLimit { per_server_max, overflow })
}

fn rebalance(
    raw: &raw::Rebalance,
    cookie: Option<&StickyCookie>,
    at: &At<'_>,
) -> Option<Rebalance> {
    if cookie.is_none_or(|it| it.sealing.is_none()) {
        at.error(
            "only a sealed value says how old a pin is",
            "write `value: sealed` under `sticky.cookie`, or remove it",
        );
        return None;
    }
    let per_minute_at = at.key("perMinute");
    let Some(per_minute_ppm) = share_ppm(&raw.per_minute) else {
        let message = format!("`{}` is not a share above 0 % and up to 100 %", raw.per_minute);
        per_minute_at.error(message, PER_MINUTE_HELP);
        return None;
    };
    let older_than = positive(&at.key("olderThan"), raw.older_than.as_ref(), OLDER_THAN);
    Some(Rebalance { per_minute_ppm, older_than })
}

/// `5%` or `0.5%` in millionths.
fn share_ppm(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() > 3 || fraction.len() > 4 {
        return None;
    }
    let scaled: u32 = format!("{whole}{fraction:0<4}").parse().ok()?;
    (1..=1_000_000).contains(&scaled).then_some(scaled)
}
