//! What is in force → the shapes of the API. Pure; called by `serve`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use sundew_config::model::{
    EntryPoint, HealthCheck, HealthMode, LoadBalancer, Mirror, Model, Router, RouterTarget,
    SameSite, Service, ServiceKind, StaticModel, StickyCookie, Strategy, WeightedChild,
};

use super::shape::{
    BalancerShape, ChildShape, CookieShape, CountShape, EntryHttpShape, EntryPointShape,
    FailoverShape, FeaturesShape, Forwarding, HealthShape, LifeCycleShape, MirrorShape,
    MirroringShape, Nothing, OBSERVED, OverviewShape, OwnName, PassiveShape, PinsShape,
    RespondingShape, RouterShape, SchemeShape, ServerShape, ServiceShape, StandingShape,
    StickyShape, TransportShape, TrustShape, WeightedShape,
};
use super::text::{go_duration, stamp};
use super::view::{Shown, View, tally_of};
use crate::observe::tally::Tally;

/// Traefik's, where a file writes none.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 1 << 20;

/// Every router, those that sundew has by itself included, by name.
pub(super) fn routers(view: &View, statics: &StaticModel) -> BTreeMap<String, RouterShape> {
    let written = view.model.routers.iter().map(|it| (it.name.clone(), router(it, statics)));
    let own = own_routers(statics).into_iter().map(|(name, prefix, priority)| {
        let index = match (name, &statics.ping) {
            ("ping@internal", Some(ping)) => ping.entry_point,
            ("prometheus@internal", _) => statics.admin.metrics.as_ref().map(|it| it.entry_point),
            _ => statics.admin.api_entry_point,
        };
        let point = index.and_then(|it| statics.entry_points.get(usize::from(it.0)));
        let points: Vec<String> = point.map(|it| it.name.clone()).into_iter().collect();
        let shape = RouterShape {
            using: points.clone(),
            entry_points: points,
            service: name.to_owned(),
            rule: format!("PathPrefix(`{prefix}`)"),
            rule_syntax: Some("default"),
            priority,
            observability: OBSERVED,
            error: Vec::new(),
            status: "enabled",
            own: None,
            priority_str: None,
        };
        (name.to_owned(), shape)
    });
    written.chain(own).collect()
}

/// Name, path and priority (Traefik's).
fn own_routers(statics: &StaticModel) -> Vec<(&'static str, &'static str, i64)> {
    let mut own = Vec::new();
    if statics.admin.api_entry_point.is_some() {
        own.push(("api@internal", "/api", i64::MAX - 1));
    }
    if statics.ping.as_ref().is_some_and(|ping| ping.entry_point.is_some()) {
        own.push(("ping@internal", "/ping", i64::MAX));
    }
    if statics.admin.metrics.is_some() {
        own.push(("prometheus@internal", "/metrics", i64::MAX));
    }
    own
}

fn router(router: &Router, statics: &StaticModel) -> RouterShape {
    let points = router.entry_points.iter();
    let points = points.filter_map(|it| statics.entry_points.get(usize::from(it.0)));
    let points: Vec<String> = points.map(|it| it.name.clone()).collect();
    let is_left_out = router.target == RouterTarget::LeftOut;
    RouterShape {
        using: points.clone(),
        entry_points: points,
        service: router.service_text.clone(),
        rule: router.rule_text.clone(),
        rule_syntax: None,
        priority: router.priority,
        observability: OBSERVED,
        error: is_left_out
            .then(|| "left out: the log of the start says why".to_owned())
            .into_iter()
            .collect(),
        status: if is_left_out { "disabled" } else { "enabled" },
        own: None,
        priority_str: None,
    }
}

/// Every service, by name.
pub(super) fn services(view: &View, statics: &StaticModel) -> BTreeMap<String, ServiceShape> {
    let model = &view.model;
    let used_by = |name: &str| {
        let targets = model.routers.iter().filter(|router| match router.target {
            RouterTarget::Service(index) => {
                model.service(index).is_some_and(|service| service.name == name)
            }
            RouterTarget::Ping => name == "ping@internal",
            RouterTarget::Noop => name == "noop@internal",
            RouterTarget::LeftOut => false,
        });
        targets.map(|router| router.name.clone()).collect::<Vec<_>>()
    };
    let mut all: BTreeMap<String, ServiceShape> = BTreeMap::new();
    for service in &model.services {
        let mut shape = service_shape(service, model);
        shape.used_by = used_by(&service.name);
        all.insert(service.name.clone(), shape);
    }
    for shown in view.servers() {
        if let Some(shape) = all.get_mut(&shown.service.name) {
            let status = if shown.is_up() { "UP" } else { "DOWN" };
            shape.server_status.insert(shown.server.url.clone(), status);
        }
    }
    for (name, ..) in own_routers(statics) {
        let mut used_by = used_by(name);
        used_by.push(name.to_owned());
        let shape = ServiceShape { status: "enabled", used_by, ..ServiceShape::default() };
        all.insert(name.to_owned(), shape);
    }
    all
}

fn service_shape(service: &Service, model: &Model) -> ServiceShape {
    let shape = ServiceShape { status: "enabled", ..ServiceShape::default() };
    let group = |children: &[WeightedChild], cookie: Option<&StickyCookie>, propagates: bool| {
        let child = |it: &WeightedChild| ChildShape { name: it.name.clone(), weight: it.weight };
        WeightedShape {
            services: children.iter().map(child).collect(),
            sticky: cookie.map(sticky),
            health_check: propagates.then_some(Nothing {}),
        }
    };
    let name = |index| {
        let name = model.service(index).map_or("", |it| it.name.as_str());
        name.strip_suffix("@file").unwrap_or(name).to_owned()
    };
    match &service.kind {
        ServiceKind::LoadBalancer(it) => {
            ServiceShape { load_balancer: Some(balancer(it)), ..shape }
        }
        ServiceKind::Weighted(it) => {
            let group = group(&it.children, it.sticky.as_ref(), it.propagate_health);
            ServiceShape { weighted: Some(group), ..shape }
        }
        ServiceKind::HighestRandomWeight(it) => {
            let group = group(&it.children, None, it.propagate_health);
            ServiceShape { highest_random_weight: Some(group), ..shape }
        }
        ServiceKind::Mirroring(it) => {
            let mirror = |it: &Mirror| MirrorShape { name: name(it.service), percent: it.percent };
            let mirroring = MirroringShape {
                service: name(it.service),
                mirror_body: it.mirror_body,
                max_body_size: i64::try_from(it.body_bytes_max).unwrap_or(-1),
                mirrors: it.mirrors.iter().map(mirror).collect(),
                health_check: it.propagate_health.then_some(Nothing {}),
            };
            ServiceShape { mirroring: Some(mirroring), ..shape }
        }
        ServiceKind::Failover(it) => {
            let failover = FailoverShape {
                service: name(it.service),
                fallback: name(it.fallback),
                health_check: it.propagate_health.then_some(Nothing {}),
            };
            ServiceShape { failover: Some(failover), ..shape }
        }
    }
}

/// Traefik's word for the kind of a service.
pub(super) fn kind_of(shape: &ServiceShape) -> Option<&'static str> {
    if shape.load_balancer.is_some() {
        return Some("loadbalancer");
    }
    [
        (shape.weighted.is_some(), "weighted"),
        (shape.highest_random_weight.is_some(), "highestrandomweight"),
        (shape.mirroring.is_some(), "mirroring"),
        (shape.failover.is_some(), "failover"),
    ]
    .into_iter()
    .find_map(|(is_it, word)| is_it.then_some(word))
}

fn balancer(balancer: &LoadBalancer) -> BalancerShape {
    let servers = balancer.servers.iter().map(|server| ServerShape {
        url: server.url.clone(),
        weight: (server.weight != 1).then_some(server.weight),
        preserve_path: server.preserve_path,
    });
    BalancerShape {
        sticky: balancer.sticky.as_ref().map(sticky),
        servers: servers.collect(),
        strategy: match balancer.strategy {
            Strategy::Wrr => "wrr",
            Strategy::P2c => "p2c",
            Strategy::Hrw => "hrw",
            Strategy::LeastTime => "leasttime",
        },
        passive_health_check: balancer.passive_health_check.as_ref().map(|it| PassiveShape {
            failure_window: go_duration(it.failure_window),
            max_failed_attempts: it.failed_attempts_max,
        }),
        health_check: balancer.health_check.as_ref().map(health),
        pass_host_header: balancer.pass_host_header,
        response_forwarding: Forwarding { flush_interval: "100ms" },
        servers_transport: None,
    }
}

fn sticky(cookie: &StickyCookie) -> StickyShape {
    let same_site = cookie.same_site.map(|it| match it {
        SameSite::None => "none",
        SameSite::Lax => "lax",
        SameSite::Strict => "strict",
    });
    StickyShape {
        cookie: CookieShape {
            name: cookie.name.clone(),
            secure: cookie.secure,
            http_only: cookie.http_only,
            same_site,
            max_age: cookie.max_age,
            path: cookie.path.clone(),
            domain: cookie.domain.clone(),
        },
    }
}

fn health(check: &HealthCheck) -> HealthShape {
    let unhealthy = check.unhealthy_interval;
    HealthShape {
        mode: match check.mode {
            HealthMode::Http => "http",
            HealthMode::Grpc => "grpc",
        },
        path: check.path.clone(),
        method: (check.method != "GET").then(|| check.method.clone()),
        status: check.status,
        port: check.port,
        interval: go_duration(check.interval),
        unhealthy_interval: (unhealthy != check.interval).then(|| go_duration(unhealthy)),
        timeout: go_duration(check.timeout),
        hostname: check.hostname.clone(),
        follow_redirects: check.follow_redirects,
        headers: check.headers.iter().cloned().collect(),
    }
}

/// An entry point. HTTP/2 and UDP, which Traefik lists as well, do not exist here.
pub(super) fn entry_point(point: &EntryPoint) -> EntryPointShape {
    let trust = |insecure, networks: &[ipnet::IpNet]| TrustShape {
        insecure,
        trusted_ips: networks.iter().map(ToString::to_string).collect(),
    };
    let (forwarded, proxied) = (&point.forwarded_headers, &point.proxy_protocol);
    let has_proxied = proxied.insecure || !proxied.trusted_ips.is_empty();
    let grace = point.request_accept_grace;
    let (host, port) = (&point.address.host, point.address.port);
    let is_v6 = host.contains(':');
    EntryPointShape {
        address: if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
        transport: TransportShape {
            life_cycle: LifeCycleShape {
                request_accept_grace_timeout: (!grace.is_zero()).then(|| go_duration(grace)),
                grace_timeout: go_duration(point.grace),
            },
            responding_timeouts: RespondingShape {
                read_timeout: go_duration(point.timeouts.read.unwrap_or(READ_TIMEOUT)),
                write_timeout: point.timeouts.write.map(go_duration),
                idle_timeout: point.timeouts.idle.map(go_duration),
            },
            keep_alive_max_time: point.keep_alive_time_max.map(go_duration),
            keep_alive_max_requests: point.keep_alive_requests_max,
        },
        forwarded_headers: trust(forwarded.insecure, &forwarded.trusted_ips),
        proxy_protocol: has_proxied.then(|| trust(proxied.insecure, &proxied.trusted_ips)),
        http: EntryHttpShape {
            encode_query_semicolons: point.encode_query_semicolons,
            sanitize_path: point.sanitize_path,
            max_header_bytes: point.head_bytes_max.unwrap_or(HEAD_BYTES_MAX),
        },
        name: point.name.clone(),
    }
}

/// How much there is of everything.
pub(super) fn overview(view: &View, statics: &StaticModel) -> OverviewShape {
    let (routers, services) = (routers(view, statics), services(view, statics));
    let errors = routers.values().filter(|it| it.status == "disabled").count();
    let is_file = routers.keys().chain(services.keys()).any(|name| name.ends_with("@file"));
    let none = || SchemeShape { middlewares: Some(CountShape::default()), ..Default::default() };
    OverviewShape {
        http: SchemeShape {
            routers: CountShape { total: routers.len(), errors, warnings: 0 },
            services: CountShape { total: services.len(), ..Default::default() },
            middlewares: Some(CountShape::default()),
        },
        tcp: none(),
        udp: SchemeShape::default(),
        certificates: CountShape::default(),
        features: FeaturesShape {
            tracing: "",
            metrics: if statics.admin.metrics.is_some() { "Prometheus" } else { "" },
            access_log: statics.access_log.is_some(),
        },
        providers: is_file.then_some("File").into_iter().collect(),
    }
}

/// A server for the one who drains it.
pub(super) fn standing(
    shown: &Shown<'_>,
    tally: &Tally,
    window: Duration,
    now: SystemTime,
) -> StandingShape {
    let counts = tally_of(tally, shown.position).cloned().unwrap_or_default();
    let age = counts.pins.last_age_ms.map(Duration::from_millis);
    StandingShape {
        service: shown.service.name.clone(),
        id: shown.id().to_owned(),
        url: shown.server.url.clone(),
        state: shown.state_word(),
        health: shown.health(),
        since: shown.standing.map(|it| stamp(whole_second(it.since))),
        deadline: shown.standing.and_then(|it| it.deadline).map(whole_second).map(stamp),
        requests: counts.requests,
        in_flight: counts.in_flight,
        pins: PinsShape {
            window: go_duration(window),
            clients: counts.pins.clients_within(window),
            last_seen: age.and_then(|age| now.checked_sub(age)).map(whole_second).map(stamp),
            last_seen_seconds_ago: age.map(|age| age.as_secs()),
        },
    }
}

/// Nobody drains by the nanosecond.
fn whole_second(moment: SystemTime) -> SystemTime {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Name and provider of `app@file`.
pub(super) fn own_name(qualified: &str) -> OwnName {
    let provider = qualified.rsplit_once('@').map_or("", |(_, provider)| provider);
    OwnName { name: qualified.to_owned(), provider: provider.to_owned() }
}
