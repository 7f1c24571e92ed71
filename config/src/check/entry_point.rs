//! `entryPoints`.

use std::time::Duration;

use ipnet::IpNet;

use super::scalar::{duration, in_range, limit};
use crate::model::{
    EntryPoint, ForwardedHeaders, ListenAddress, ProxyProtocol, RespondingTimeouts,
};
use crate::raw;
use crate::source::At;

/// Default of `idleTimeout` (Traefik's).
const IDLE: Duration = Duration::from_secs(180);
/// Default of `graceTimeOut` (Traefik's).
const GRACE: Duration = Duration::from_secs(10);
const ADDRESS_HELP: &str = "write :80, 127.0.0.1:80 or [::1]:80";

/// An entry point with nothing but an address.
pub(crate) fn default_entry_point(name: &str, address: ListenAddress) -> EntryPoint {
    EntryPoint {
        name: name.to_owned(),
        address,
        forwarded_headers: ForwardedHeaders::default(),
        proxy_protocol: ProxyProtocol::default(),
        timeouts: RespondingTimeouts { read: None, write: None, idle: Some(IDLE) },
        grace: GRACE,
        request_accept_grace: Duration::ZERO,
        keep_alive_requests_max: None,
        keep_alive_time_max: None,
        sanitize_path: true,
        encode_query_semicolons: false,
        head_bytes_max: None,
    }
}

/// One entry point of the file; `None` when it cannot be served (or was reported).
pub(super) fn entry_point(name: &str, raw: &raw::EntryPoint, at: &At<'_>) -> Option<EntryPoint> {
    let address = listen_address(&raw.address, &at.key("address"));
    // Without them it would serve in the clear, or let in what they keep out.
    let must_not_serve = raw.http.tls.is_some() || raw.http.middlewares.is_some();
    let is_left_out = address.is_none() || must_not_serve;
    let nowhere = ListenAddress { host: String::new(), port: 0 };
    let point = complete(name, address.unwrap_or(nowhere), raw, at);
    if is_left_out {
        at.left_out("this entry point is left out");
    }
    (!is_left_out).then_some(point)
}

fn complete(name: &str, address: ListenAddress, raw: &raw::EntryPoint, at: &At<'_>) -> EntryPoint {
    let transport = at.key("transport");
    let timeouts = transport.key("respondingTimeouts");
    let cycle = transport.key("lifeCycle");
    let written = &raw.transport.responding_timeouts;
    let time = |at: &At<'_>, key: &str, text: &Option<String>, default| {
        limit(&at.key(key), text.as_ref(), default)
    };
    let span = |key: &str, text: &Option<String>| duration(&cycle.key(key), text.as_ref());
    let life = &raw.transport.life_cycle;
    let requests = (raw.transport.keep_alive_max_requests != 0)
        .then_some(raw.transport.keep_alive_max_requests);
    let head_bytes = (raw.http.max_header_bytes != 0).then_some(raw.http.max_header_bytes);
    check_header_names(&raw.http, &at.key("http"));
    EntryPoint {
        forwarded_headers: forwarded_headers(&raw.forwarded_headers, &at.key("forwardedHeaders")),
        proxy_protocol: proxy_protocol(&raw.proxy_protocol, &at.key("proxyProtocol")),
        timeouts: RespondingTimeouts {
            read: time(&timeouts, "readTimeout", &written.read_timeout, None),
            write: time(&timeouts, "writeTimeout", &written.write_timeout, None),
            idle: time(&timeouts, "idleTimeout", &written.idle_timeout, Some(IDLE)),
        },
        grace: span("graceTimeOut", &life.grace_timeout).unwrap_or(GRACE),
        request_accept_grace: span("requestAcceptGraceTimeout", &life.request_accept_grace_timeout)
            .unwrap_or_default(),
        keep_alive_requests_max: requests
            .map(|it| in_range(&transport.key("keepAliveMaxRequests"), Some(it), 0..=i64::MAX, 0)),
        keep_alive_time_max: time(
            &transport,
            "keepAliveMaxTime",
            &raw.transport.keep_alive_max_time,
            None,
        ),
        sanitize_path: raw.http.sanitize_path.unwrap_or(true),
        encode_query_semicolons: raw.http.encode_query_semicolons,
        head_bytes_max: head_bytes
            .map(|it| in_range(&at.keys(&["http", "maxHeaderBytes"]), Some(it), 256..=64 << 20, 0)),
        ..default_entry_point(name, address)
    }
}

/// Only what changes nothing is there: field names pass through as they came.
fn check_header_names(raw: &raw::EntryPointHttp, at: &At<'_>) {
    let strategies = [
        ("aliasHeadersStrategy", &raw.alias_headers_strategy),
        ("underscoreHeadersStrategy", &raw.underscore_headers_strategy),
    ];
    for (key, strategy) in strategies {
        let Some(strategy) = strategy else { continue };
        if !strategy.is_empty() && !strategy.eq_ignore_ascii_case("keep") {
            at.key(key).unsupported_what(&format!("`{strategy}`"), "write `keep`");
        }
    }
}

fn forwarded_headers(raw: &raw::ForwardedHeaders, at: &At<'_>) -> ForwardedHeaders {
    ForwardedHeaders {
        insecure: raw.insecure,
        trusted_ips: networks(&raw.trusted_ips, at),
        not_append_forwarded_for: raw.not_append_x_forwarded_for,
    }
}

fn proxy_protocol(raw: &raw::ProxyProtocol, at: &At<'_>) -> ProxyProtocol {
    ProxyProtocol { insecure: raw.insecure, trusted_ips: networks(&raw.trusted_ips, at) }
}

/// The addresses and networks of `trustedIPs`; the wrong ones are reported and left out.
fn networks(texts: &[String], at: &At<'_>) -> Vec<IpNet> {
    let mut trusted_ips = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let network = text.parse::<IpNet>().map(|it| it.trunc());
        match network.or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into())) {
            Ok(network) => trusted_ips.push(network),
            Err(_) => at.key("trustedIPs").index(index).error(
                format!("`{text}` is neither an IP address nor a network"),
                "write an address, or a network such as 10.0.0.0/8",
            ),
        }
    }
    trusted_ips
}

/// `host:port[/tcp]`; `None` after a report.
pub(crate) fn listen_address(text: &str, at: &At<'_>) -> Option<ListenAddress> {
    let address = match text.rsplit_once('/') {
        Some((address, protocol)) if protocol.eq_ignore_ascii_case("tcp") => address,
        Some((_, protocol)) if protocol.eq_ignore_ascii_case("udp") => {
            at.unsupported_what("UDP", "");
            return None;
        }
        _ => text,
    };
    let parsed = parse_address(address);
    if let Err(message) = &parsed {
        at.error(message.clone(), ADDRESS_HELP);
    }
    parsed.ok()
}

fn parse_address(text: &str) -> Result<ListenAddress, String> {
    if text.is_empty() {
        return Err("no address".to_owned());
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("`{text}` has no port"));
    };
    let Ok(port) = port.parse::<u16>() else {
        return Err(format!("`{port}` is not a port"));
    };
    let host = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_err() => {
            return Err(format!("`{inner}` is not an IPv6 address"));
        }
        Some(inner) => inner,
        None if host.contains(':') => return Err(format!("`{text}` needs brackets around IPv6")),
        None => host,
    };
    let is_name = |it: char| it.is_ascii_alphanumeric() || "-._:".contains(it);
    if !host.chars().all(is_name) {
        return Err(format!("`{host}` is not a host"));
    }
    Ok(ListenAddress { host: host.to_owned(), port })
}
