//! The static part of a file → [`StaticModel`].

use std::path::PathBuf;
use std::time::Duration;

use super::access_log::{access_log, log};
use super::admin::admin;
use super::entry_point::{default_entry_point, entry_point};
use super::scalar::{duration, in_range};
use super::settings::settings;
use super::transport::{DEFAULT_NAME, transport};
use crate::model::{
    EntryPoint, EntryPointIndex, FileProvider, FileSource, ListenAddress, Ping, StaticModel,
};
use crate::raw;
use crate::source::At;

/// Name of the entry point for what sundew answers itself; no router's default.
pub(super) const INTERNAL_NAME: &str = "traefik";
const INTERNAL_PORT: u16 = 8080;
const THROTTLE: Duration = Duration::from_secs(2);
/// Their indexes are 16 bits wide, and each is a socket a worker.
const ENTRY_POINTS_MAX: usize = 1000;

/// The static model, and what routers need to know besides.
#[derive(Debug)]
pub(crate) struct Statics {
    pub(crate) model: StaticModel,
    /// Entry points of a router that names none.
    pub(crate) defaults: Vec<EntryPointIndex>,
}

/// Checks the static part of the file at `at`.
pub(crate) fn statics(raw: &raw::Root, at: &At<'_>) -> Statics {
    let mut entry_points = entry_points(raw, &at.key("entryPoints"));
    // Before `ping`, because it may want the internal entry point at an address of its own.
    let admin = admin(raw, &mut entry_points, at);
    let ping = raw.ping.as_ref().map(|it| ping(it, &mut entry_points, &at.key("ping")));
    if raw.core.default_rule_syntax.as_deref().is_some_and(|it| it != "v3") {
        at.keys(&["core", "defaultRuleSyntax"]).unsupported("write `v3`");
    }
    let providers = at.key("providers");
    let throttle = raw.providers.providers_throttle_duration.as_ref();
    let model = StaticModel {
        file_provider: raw
            .providers
            .file
            .as_ref()
            .and_then(|it| file_provider(it, &providers.key("file"))),
        providers_throttle: duration(&providers.key("providersThrottleDuration"), throttle)
            .unwrap_or(THROTTLE),
        access_log: raw.access_log.as_ref().map(|it| access_log(it, &at.key("accessLog"))),
        log: log(&raw.log, &at.key("log")),
        ping,
        transport: transport(DEFAULT_NAME, &raw.servers_transport, &at.key("serversTransport")),
        settings: settings(&raw.sundew, &at.key("sundew")),
        admin,
        entry_points,
    };
    let mut defaults = defaults(raw, &model.entry_points);
    defaults.retain(|it| !model.admin.owns(*it));
    Statics { defaults, model }
}

fn entry_points(raw: &raw::Root, at: &At<'_>) -> Vec<EntryPoint> {
    if raw.entry_points.is_empty() {
        let address = ListenAddress { host: String::new(), port: 80 };
        return vec![default_entry_point("http", address)];
    }
    if raw.entry_points.len() > ENTRY_POINTS_MAX {
        at.error(format!("more than {ENTRY_POINTS_MAX} entry points"), "");
    }
    let named = raw.entry_points.iter().take(ENTRY_POINTS_MAX);
    let points: Vec<EntryPoint> =
        named.filter_map(|(name, it)| entry_point(name, it, &at.key(name))).collect();
    if points.is_empty() && at.is_lenient() {
        at.error("no entry point is left", "write at least one with an address");
    }
    for (position, point) in points.iter().enumerate() {
        let earlier = points.iter().take(position);
        let same = |it: &&EntryPoint| it.address == point.address && it.address.port != 0;
        if let Some(first) = earlier.clone().find(same) {
            let message = format!("the same address as entry point `{}`", first.name);
            at.key(&point.name).key("address").error(message, "give each its own port");
        }
    }
    points
}

pub(super) fn index_of(points: &[EntryPoint], name: &str) -> Option<EntryPointIndex> {
    let position = points.iter().position(|it| it.name == name)?;
    u16::try_from(position).ok().map(EntryPointIndex)
}

/// All but the internal one, or those with `asDefault`.
fn defaults(raw: &raw::Root, points: &[EntryPoint]) -> Vec<EntryPointIndex> {
    let is_flagged = |name: &str| raw.entry_points.get(name).is_some_and(|it| it.as_default);
    let any_flagged = points.iter().any(|it| is_flagged(&it.name));
    let is_default = |it: &&EntryPoint| match any_flagged {
        true => is_flagged(&it.name),
        false => it.name != INTERNAL_NAME,
    };
    points.iter().filter(is_default).filter_map(|it| index_of(points, &it.name)).collect()
}

/// The internal entry point; added, on `host`, when the file does not define it.
pub(super) fn internal_entry_point(
    points: &mut Vec<EntryPoint>,
    host: &str,
) -> Option<EntryPointIndex> {
    if index_of(points, INTERNAL_NAME).is_none() {
        let address = ListenAddress { host: host.to_owned(), port: INTERNAL_PORT };
        points.push(default_entry_point(INTERNAL_NAME, address));
    }
    index_of(points, INTERNAL_NAME)
}

/// Adds the internal entry point when `ping` wants it and the file does not define it.
fn ping(raw: &raw::Ping, points: &mut Vec<EntryPoint>, at: &At<'_>) -> Ping {
    let name = raw.entry_point.as_deref().filter(|it| !it.is_empty()).unwrap_or(INTERNAL_NAME);
    let status_at = at.key("terminatingStatusCode");
    let terminating_status = in_range(&status_at, raw.terminating_status_code, 200..=599, 503);
    if raw.manual_routing {
        return Ping { entry_point: None, terminating_status };
    }
    let entry_point = match name {
        INTERNAL_NAME => internal_entry_point(points, ""),
        name => index_of(points, name),
    };
    if entry_point.is_none() {
        let help = at.one_of(name, points.iter().map(|it| it.name.as_str()));
        at.key("entryPoint").error(format!("there is no entry point `{name}`"), help);
    }
    Ping { entry_point, terminating_status }
}

fn file_provider(raw: &raw::FileProvider, at: &At<'_>) -> Option<FileProvider> {
    let source = match (raw.filename.as_str(), raw.directory.as_str()) {
        ("", "") => {
            at.error("neither `filename` nor `directory`", "write one of them");
            return None;
        }
        (filename, "") => FileSource::File(PathBuf::from(filename)),
        (filename, directory) => {
            if !filename.is_empty() {
                at.key("filename").warning("not read: `directory` is written too", "remove one");
            }
            FileSource::Directory(PathBuf::from(directory))
        }
    };
    Some(FileProvider { source, watch: raw.watch.unwrap_or(true) })
}
