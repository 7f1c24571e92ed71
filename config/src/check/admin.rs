//! `api`, `metrics`, and the administrative part of `sundew:`.

use std::path::PathBuf;

use super::statics::{INTERNAL_NAME, internal_entry_point};
use crate::model::{Admin, EntryPoint, MetricsOptions, UNIX_PATH_BYTES_MAX};
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
    let metrics = raw.metrics.as_ref().and_then(|it| it.prometheus.as_ref());
    let metrics = metrics.map(|it| prometheus(it, &at.keys(&["metrics", "prometheus"])));
    let api_at = at.keys(&["sundew", "api"]);
    if written.api.remote_writes && !is_api_served {
        at.keys(&["sundew", "api", "remoteWrites"]).warning(
            "without effect: the API is not on an entry point",
            "write `api: {insecure: true}`, or remove it",
        );
    }
    let entry_point = (is_api_served || metrics.is_some())
        // Whoever reaches the API can read the whole configuration, so it is not for everybody.
        .then(|| internal_entry_point(points, if is_api_served { "127.0.0.1" } else { "" }));
    let state_file = written.state_file.as_deref();
    Admin {
        entry_point: entry_point.flatten(),
        is_api_served,
        metrics,
        socket: written.api.socket.as_deref().and_then(|it| socket(it, &api_at.key("socket"))),
        remote_writes: written.api.remote_writes,
        state_file: state_file.and_then(|it| file(it, &at.keys(&["sundew", "stateFile"]))),
    }
}

fn prometheus(raw: &raw::Prometheus, at: &At<'_>) -> MetricsOptions {
    if raw.manual_routing {
        at.key("manualRouting")
            .unsupported("remove it: `/metrics` is on the entry point `traefik`");
    }
    if raw.entry_point.as_deref().is_some_and(|it| !matches!(it, "" | INTERNAL_NAME)) {
        let help =
            format!("name the address `{INTERNAL_NAME}` in `entryPoints` and remove it here");
        at.key("entryPoint").unsupported(&help);
    }
    MetricsOptions {
        buckets_s: buckets(raw.buckets.as_deref(), &at.key("buckets")),
        by_entry_point: raw.add_entry_points_labels.unwrap_or(true),
        by_router: raw.add_routers_labels,
        by_service: raw.add_services_labels.unwrap_or(true),
    }
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
