//! A model without a file: `sundew run --listen … --server …`.

use std::time::Duration;

use crate::Diagnostics;
use crate::check;
use crate::model::{
    AccessLogOptions, Admin, EntryPoint, EntryPointIndex, LoadBalancer, LogLevel, LogOptions,
    Model, Router, RouterTarget, Service, ServiceIndex, ServiceKind, Settings, StaticModel,
    StickyCookie, StickyRules, Strategy, TransportIndex,
};
use crate::rule::{Matcher, Rule};
use crate::source::{At, Reports, Source};

/// Name of the only router and service.
const NAME: &str = "app@flags";
/// The rule of the only router, as text.
const RULE: &str = "PathPrefix(`/`)";

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagOptions {
    /// `--listen`: addresses such as `:8080`.
    pub listen: Vec<String>,
    /// `--server`: URLs.
    pub servers: Vec<String>,
    /// `--cookie`; `None`: `--no-sticky`.
    pub sticky_cookie: Option<String>,
}

/// One router for everything, one service with all servers.
///
/// # Errors
/// Every address, URL and name that cannot be used; the place is the flag.
pub fn from_flags(flags: &FlagOptions) -> Result<(StaticModel, Model), Diagnostics> {
    let reports = Reports::new(false);
    let entry_points = entry_points(flags, &reports);
    let balancer = LoadBalancer {
        servers: servers(flags, &reports),
        sticky: flags.sticky_cookie.as_deref().map(|it| sticky(it, &reports)),
        sticky_rules: StickyRules::default(),
        health_check: None,
        pass_host_header: true,
        transport: TransportIndex(0),
        strategy: Strategy::Wrr,
        passive_health_check: None,
        load: Box::default(),
    };
    let diagnostics = reports.into_diagnostics();
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let router = Router {
        name: NAME.to_owned(),
        entry_points: (0..).map(EntryPointIndex).take(entry_points.len()).collect(),
        rule: Rule::Is(Matcher::PathPrefix("/".to_owned())),
        priority: i64::try_from(RULE.len()).unwrap_or(i64::MAX),
        rule_text: RULE.to_owned(),
        service_text: NAME.to_owned(),
        target: RouterTarget::Service(ServiceIndex(0)),
    };
    let service = Service { name: NAME.to_owned(), kind: ServiceKind::LoadBalancer(balancer) };
    let transports = vec![check::default_transport()];
    let model = Model { routers: vec![router], services: vec![service], transports };
    Ok((statics(entry_points), model))
}

fn statics(entry_points: Vec<EntryPoint>) -> StaticModel {
    StaticModel {
        entry_points,
        file_provider: None,
        providers_throttle: Duration::ZERO,
        access_log: None::<AccessLogOptions>,
        log: LogOptions { level: LogLevel::Info, file: None, json: false },
        ping: None,
        transport: check::default_transport(),
        settings: Settings::default(),
        admin: Admin::default(),
    }
}

/// `web`, `web2`, …
fn entry_points(flags: &FlagOptions, reports: &Reports) -> Vec<EntryPoint> {
    let source = Source::flag("--listen");
    let at = At::root(&source, reports);
    if flags.listen.is_empty() {
        at.error("no address", "write :80, 127.0.0.1:80 or [::1]:80");
    }
    let mut points = Vec::with_capacity(flags.listen.len());
    for (text, number) in flags.listen.iter().zip(1_u16..) {
        let name = if number == 1 { "web".to_owned() } else { format!("web{number}") };
        let address = check::listen_address(text, &at);
        points.extend(address.map(|it| check::default_entry_point(&name, it)));
    }
    points
}

fn servers(flags: &FlagOptions, reports: &Reports) -> Vec<crate::model::Server> {
    let source = Source::flag("--server");
    let at = At::root(&source, reports);
    if flags.servers.is_empty() {
        at.error("no server", "write http://host:port");
    }
    flags.servers.iter().filter_map(|url| check::server(url, 1, false, &at)).collect()
}

fn sticky(name: &str, reports: &Reports) -> StickyCookie {
    let source = Source::flag("--cookie");
    if name.is_empty() || !check::is_sanitised(name) {
        let help = if name.is_empty() { "sundew".to_owned() } else { check::sanitised(name) };
        At::root(&source, reports).error(
            format!("`{}` is not a cookie name", name.escape_debug()),
            format!("write {help}"),
        );
    }
    StickyCookie::named(name)
}
