//! `api`, `metrics`, and the administrative part of `sundew:`.

use std::path::PathBuf;

use super::statics::{INTERNAL_NAME, index_of, internal_entry_point};
use crate::model::{Admin, EntryPoint, EntryPointIndex, MetricsOptions, UNIX_PATH_BYTES_MAX};
use crate::raw;
use crate::source::At;

/// Traefik's.
const BUCKETS_S: [f64; 4] = [0.1, 0.3, 1.2, 5.0];
/// Each costs a counter for every series of every worker.
const BUCKETS_MAX: usize = 64;

/// All of it. Adds the internal entry point where one is wanted that the file does not define.
pub(super) fn admin(raw: &raw::Root, points: &mut Vec<EntryPoint>, at: &At<'_>) -> Admin {
    let written = &raw.sundew;
    let is_api_served = raw.api.as_ref().is_some_and(|api| api.insecure);
    if raw.api.is_some() && !is_api_served && written.api.socket.is_none() {
        at.key("api").note("without effect: neither `insecure: true` nor `sundew.api.socket`");
    }
    let api_at = at.keys(&["sundew", "api"]);
    if written.api.remote_writes && !is_api_served {
        api_at.key("remoteWrites").warning(
            "without effect: the API is not on an entry point",
            "write `api: {insecure: true}`, or remove it",
        );
    }
    // Whoever reaches the API can read the whole configuration, so it is not for everybody.
    let api_entry_point = is_api_served.then(|| internal_entry_point(points, "127.0.0.1"));
    let metrics = raw.metrics.as_ref().and_then(|it| it.prometheus.as_ref());
    let metrics =
        metrics.and_then(|it| prometheus(it, points, &at.keys(&["metrics", "prometheus"])));
    let state_file = written.state_file.as_deref();
    Admin {
        api_entry_point: api_entry_point.flatten(),
        metrics,
        socket: written.api.socket.as_deref().and_then(|it| socket(it, &api_at.key("socket"))),
        remote_writes: written.api.remote_writes,
        state_file: state_file.and_then(|it| file(it, &at.keys(&["sundew", "stateFile"]))),
    }
}

fn prometheus(
    raw: &raw::Prometheus,
    points: &mut Vec<EntryPoint>,
    at: &At<'_>,
) -> Option<MetricsOptions> {
    if raw.manual_routing {
        at.key("manualRouting").unsupported("name an `entryPoint` for metrics alone instead");
    }
    let name = raw.entry_point.as_deref().filter(|it| !it.is_empty()).unwrap_or(INTERNAL_NAME);
    let entry_point = match name {
        INTERNAL_NAME => internal_entry_point(points, ""),
        name => metrics_entry_point(name, points, &at.key("entryPoint")),
    };
    Some(MetricsOptions {
        entry_point: entry_point?,
        buckets_s: buckets(raw.buckets.as_deref(), &at.key("buckets")),
        by_entry_point: raw.add_entry_points_labels.unwrap_or(true),
        by_router: raw.add_routers_labels,
        by_service: raw.add_services_labels.unwrap_or(true),
    })
}

/// An entry point for metrics alone: workers cannot answer for the control thread.
fn metrics_entry_point(name: &str, points: &[EntryPoint], at: &At<'_>) -> Option<EntryPointIndex> {
    let found = index_of(points, name);
    if found.is_none() {
        let help = at.one_of(name, points.iter().map(|it| it.name.as_str()));
        at.error(format!("there is no entry point `{name}`"), help);
    } else if points.iter().all(|it| it.name == name || it.name == INTERNAL_NAME) {
        let help = "give metrics an entry point of their own: routers cannot share it";
        at.unsupported_what(&format!("metrics on `{name}`, the only entry point"), help);
        return None;
    }
    found
}

fn buckets(written: Option<&[f64]>, at: &At<'_>) -> Vec<f64> {
    let Some(written) = written.filter(|it| !it.is_empty()) else { return BUCKETS_S.to_vec() };
    let is_sound = |it: &f64| it.is_finite() && *it > 0.0;
    let ascends = written.windows(2).all(|pair| matches!(pair, [low, high] if low < high));
    if written.len() > BUCKETS_MAX {
        at.error(format!("more than {BUCKETS_MAX} buckets"), "write fewer");
    } else if !ascends || !written.iter().all(is_sound) {
        at.error("not ascending numbers of seconds above zero", "write such as [0.1, 0.3, 1.2, 5]");
    }
    written.to_vec()
}

fn socket(text: &str, at: &At<'_>) -> Option<PathBuf> {
    if text.len() > UNIX_PATH_BYTES_MAX {
        at.error(
            format!("longer than the {UNIX_PATH_BYTES_MAX} bytes of a socket's path"),
            "write a shorter path",
        );
        return None;
    }
    file(text, at)
}

fn file(text: &str, at: &At<'_>) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        at.error("not a path", "write the path of a file, or remove the key");
        return None;
    }
    Some(PathBuf::from(text))
}
