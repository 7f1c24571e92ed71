//! What the workers have counted → the text that Prometheus scrapes (exposition format 0.0.4), with
//! Traefik's names, labels and help, and sundew's own. Pure; called by `serve`.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use sundew_config::model::{
    MetricsOptions, Router, RouterTarget, Service, ServiceKind, StaticModel,
};

use super::super::orders::Order;
use super::view::{View, tally_of};
use crate::observe::counters::Series;
use crate::observe::outcome::StickyOutcome;
use crate::observe::tally::{Tally, WorkerTally};

/// Of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Windows of `sundew_server_pins_seen`.
const WINDOWS: [(&str, Duration); 3] = [
    ("1m", Duration::from_secs(60)),
    ("5m", Duration::from_secs(300)),
    ("15m", Duration::from_secs(900)),
];

/// Labels with their values, in the order in which they are written.
type Labels<'a> = [(&'a str, &'a str)];

/// What a family shows of its subject.
type Value<T> = fn(&T) -> u64;

/// A text that grows.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (position, (label, value)) in labels.iter().enumerate() {
            self.0.push(if position == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"");
            for symbol in value.chars() {
                match symbol {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// One entry point, router or service with its series, and the labels that name it.
struct Subject<'a> {
    labels: Vec<(&'a str, &'a str)>,
    series: &'a [Series],
}

/// Everything.
pub(super) fn page(view: &View, tally: &Tally, statics: &StaticModel) -> String {
    let mut page = Page(String::new());
    process(&mut page, view, tally, statics);
    if let Some(options) = &statics.admin.metrics {
        let points = statics.entry_points.iter().zip(&tally.entry_points);
        let points = points.map(|(point, counts)| Subject {
            labels: vec![("entrypoint", point.name.as_str())],
            series: &counts.series,
        });
        requests(&mut page, "entrypoint", "an entrypoint", &points.collect::<Vec<_>>(), options);
        let routers = view.model.routers.iter().zip(&tally.routers).map(|(router, series)| {
            let service = qualified_service(view, router);
            Subject { labels: vec![("router", &router.name), ("service", service)], series }
        });
        requests(&mut page, "router", "a router", &routers.collect::<Vec<_>>(), options);
        let services = view.model.services.iter().zip(&tally.services);
        let services = services.map(|(service, counts)| Subject {
            labels: vec![("service", service.name.as_str())],
            series: &counts.series,
        });
        requests(&mut page, "service", "a service", &services.collect::<Vec<_>>(), options);
    }
    servers_up(&mut page, view);
    own(&mut page, view, tally);
    page.0
}

/// The service of a router with its provider.
fn qualified_service<'a>(view: &'a View, router: &'a Router) -> &'a str {
    match router.target {
        RouterTarget::Service(index) => {
            view.model.service(index).map_or("", |service| service.name.as_str())
        }
        _ => &router.service_text,
    }
}

fn process(page: &mut Page, view: &View, tally: &Tally, statics: &StaticModel) {
    let reloaded = view.reloaded.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    page.family("traefik_config_reloads_total", "counter", "Config reloads");
    page.sample("traefik_config_reloads_total", &[], view.reloads);
    let name = "traefik_config_last_reload_success";
    page.family(name, "gauge", "Last config reload success");
    page.sample(name, &[], reloaded.as_secs());
    let name = "traefik_open_connections";
    page.family(name, "gauge", "How many open connections exist, by entryPoint and protocol");
    for (point, counts) in statics.entry_points.iter().zip(&tally.entry_points) {
        let labels = [("entrypoint", point.name.as_str()), ("protocol", "TCP")];
        page.sample(name, &labels, counts.connections);
    }
}

/// Traefik's four families of one kind of subject.
fn requests(
    page: &mut Page,
    kind: &str,
    one: &str,
    subjects: &[Subject<'_>],
    options: &MetricsOptions,
) {
    if subjects.iter().all(|subject| subject.series.is_empty()) {
        return;
    }
    let service = if kind == "router" { "service, " } else { "" };
    let by = format!("{one}, partitioned by {service}status code, protocol, and method.");
    let families: [(&str, &str, Value<Series>); 3] = [
        ("requests_total", "How many HTTP requests processed on", |it| it.requests),
        ("requests_bytes_total", "The total size of requests in bytes handled by", |it| {
            it.request_bytes
        }),
        ("responses_bytes_total", "The total size of responses in bytes handled by", |it| {
            it.response_bytes
        }),
    ];
    for (family, help, value) in families {
        let name = format!("traefik_{kind}_{family}");
        page.family(&name, "counter", &format!("{help} {by}"));
        for_each_series(subjects, |labels, series| page.sample(&name, labels, value(series)));
    }
    let name = format!("traefik_{kind}_request_duration_seconds");
    let help = format!("How long it took to process the request on {by}");
    page.family(&name, "histogram", &help);
    for_each_series(subjects, |labels, series| histogram(page, &name, labels, series, options));
}

fn for_each_series(subjects: &[Subject<'_>], mut write: impl FnMut(&[(&str, &str)], &Series)) {
    for subject in subjects {
        for series in subject.series {
            let code = series.key.code.to_string();
            let mut labels = vec![("code", code.as_str())];
            labels.push(("method", series.key.method()));
            labels.push(("protocol", series.key.protocol.as_str()));
            labels.extend(&subject.labels);
            // As the client library of Prometheus writes them.
            labels.sort_unstable();
            write(&labels, series);
        }
    }
}

fn histogram(
    page: &mut Page,
    name: &str,
    labels: &Labels<'_>,
    series: &Series,
    options: &MetricsOptions,
) {
    let bucket = format!("{name}_bucket");
    let mut sum = 0;
    for (bound, count) in options.buckets_s.iter().zip(&series.buckets) {
        sum += count;
        let bound = bound.to_string();
        let mut labels = labels.to_vec();
        labels.push(("le", &bound));
        page.sample(&bucket, &labels, sum);
    }
    let mut all = labels.to_vec();
    all.push(("le", "+Inf"));
    page.sample(&bucket, &all, series.requests);
    let seconds = Duration::from_nanos(series.duration_ns).as_secs_f64();
    page.sample(&format!("{name}_sum"), labels, seconds);
    page.sample(&format!("{name}_count"), labels, series.requests);
}

/// Only of servers that are checked, as in Traefik.
fn servers_up(page: &mut Page, view: &View) {
    let name = "traefik_service_server_up";
    let help = "service server is up, described by gauge value of 0 or 1.";
    let checked = |service: &Service| match &service.kind {
        ServiceKind::LoadBalancer(it) => {
            it.health_check.is_some() || it.passive_health_check.is_some()
        }
        _ => false,
    };
    let mut shown = view.servers().filter(|it| checked(it.service)).peekable();
    if shown.peek().is_some() {
        page.family(name, "gauge", help);
    }
    for shown in shown {
        let labels = [("service", shown.service.name.as_str()), ("url", &shown.server.url)];
        page.sample(name, &labels, u8::from(shown.is_up()));
    }
}

/// What Traefik has no word for.
fn own(page: &mut Page, view: &View, tally: &Tally) {
    let name = "sundew_sticky_requests_total";
    page.family(name, "counter", "Requests of sticky services by how their server was found.");
    for (service, counts) in view.model.services.iter().zip(&tally.services) {
        for (outcome, count) in StickyOutcome::ALL.iter().zip(counts.outcomes) {
            if count > 0 {
                let labels = [("outcome", outcome.as_str()), ("service", &service.name)];
                page.sample(name, &labels, count);
            }
        }
    }
    servers(page, view, tally);
    imbalance(page, view, tally);
    let name = "sundew_access_log_dropped_total";
    page.family(name, "counter", "Lines of the access log that found no room.");
    page.sample(name, &[], view.log_dropped);
    let families: [(&str, &str, &str, Value<WorkerTally>); 3] = [
        ("requests_total", "counter", "Requests that a worker began.", |it| it.requests),
        ("connections", "gauge", "Connections of clients that a worker holds.", |it| {
            it.connections
        }),
        ("panics_total", "counter", "Connections that ended in a panic.", |it| it.panics),
    ];
    for (family, kind, help, value) in families {
        let name = format!("sundew_worker_{family}");
        page.family(&name, kind, help);
        for worker in &tally.workers {
            page.sample(&name, &[("worker", &worker.index.to_string())], value(worker));
        }
    }
}

fn servers(page: &mut Page, view: &View, tally: &Tally) {
    let name = "sundew_server_requests_total";
    page.family(name, "counter", "Requests that a server was given.");
    for shown in view.servers() {
        let labels = [("server", shown.id()), ("service", &shown.service.name)];
        let counts = tally_of(tally, shown.position);
        page.sample(name, &labels, counts.map_or(0, |it| it.requests));
    }
    let name = "sundew_server_in_flight";
    page.family(name, "gauge", "Requests of a server that have not ended.");
    for shown in view.servers() {
        let labels = [("server", shown.id()), ("service", &shown.service.name)];
        let counts = tally_of(tally, shown.position);
        page.sample(name, &labels, counts.map_or(0, |it| it.in_flight));
    }
    let name = "sundew_server_pins_seen";
    page.family(name, "gauge", "Clients that came with a pin to a server within a window.");
    for shown in view.servers() {
        for (window, length) in WINDOWS {
            let labels = [
                ("server", shown.id()),
                ("service", shown.service.name.as_str()),
                ("window", window),
            ];
            let counts = tally_of(tally, shown.position);
            page.sample(name, &labels, counts.map_or(0, |it| it.pins.clients_within(length)));
        }
    }
}

/// The busiest server that takes new clients against its fair share, by what came in 5 minutes.
fn imbalance(page: &mut Page, view: &View, tally: &Tally) {
    let name = "sundew_service_imbalance_ratio";
    let help = "Pins of the fullest server of a service, as a multiple of its share by weight.";
    page.family(name, "gauge", help);
    for (index, service, balancer) in view.model.load_balancers() {
        let window = Duration::from_secs(300);
        let members = view
            .servers_of(index, service, balancer)
            .filter(|it| it.is_up() && it.standing.is_none_or(|it| it.order != Order::Drain));
        let members: Vec<(f64, f64)> = members
            .map(|it| {
                let counts = tally_of(tally, it.position);
                let pins = counts.map_or(0, |it| it.pins.clients_within(window));
                (f64::from(it.server.weight), pins as f64)
            })
            .collect();
        let weights: f64 = members.iter().map(|it| it.0).sum();
        let pins: f64 = members.iter().map(|it| it.1).sum();
        if weights <= 0.0 || pins <= 0.0 {
            continue;
        }
        let ratios = members
            .iter()
            .filter(|it| it.0 > 0.0)
            .map(|(weight, own)| (own / pins) / (weight / weights));
        page.sample(name, &[("service", &service.name)], ratios.fold(0.0, f64::max));
    }
}

#[cfg(test)]
mod tests;
