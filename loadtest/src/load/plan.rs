//! The command line, checked: endpoints resolved, the bytes of each request prepared, numbers
//! within their limits. Called by `load` once; read by every thread after.

use std::time::Duration;

use super::options::{Cookies, Options};
use super::target::{Endpoint, Target};

/// Most connections; the client's number is part of a request's id.
pub(super) const CONNECTIONS_MAX: usize = 60_000;
/// Most requests a second.
pub(super) const RATE_MAX: f64 = 10_000_000.0;
/// Largest request body.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of a request that never change.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Request line and fields, without the empty line.
    pub(super) head: Vec<u8>,
    /// The body, as the oracle does not fill it.
    pub(super) body: Vec<u8>,
}

/// A run, ready to begin; fields as in `Options`.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Where to and what; client `n` takes the `n`th, round and round.
    pub(super) asks: Vec<(Endpoint, Template)>,
    pub(super) url: String,
    pub(super) connections: usize,
    pub(super) rate: Option<f64>,
    pub(super) duration: Duration,
    pub(super) warm_up: Duration,
    pub(super) ramp: Duration,
    pub(super) timeout: Duration,
    pub(super) threads: usize,
    pub(super) is_head: bool,
    pub(super) cookies: Cookies,
    pub(super) new_connection_per_request: bool,
    pub(super) oracle: bool,
    pub(super) allow_repin: bool,
    pub(super) epoll: bool,
}

impl Plan {
    /// Checks `options` and resolves the URLs.
    ///
    /// # Errors
    /// The first mistake, in words for the person who typed it.
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        within("--connections", options.connections as f64, 1.0, CONNECTIONS_MAX as f64)?;
        within("--threads", options.threads as f64, 1.0, 1024.0)?;
        within("--duration in seconds", options.duration.as_secs_f64(), 0.001, 1e7)?;
        within("--timeout in seconds", options.timeout.as_secs_f64(), 0.001, 3600.0)?;
        if let Some(rate) = options.rate {
            within("--rate", rate, 0.001, RATE_MAX)?;
        }
        if options.oracle && matches!(options.cookies, Cookies::Fixed(_)) {
            return Err("--oracle learns each client's pin: use --cookies jar or none".to_owned());
        }
        let mut asks = Vec::new();
        for url in &options.urls {
            let target = Target::parse(url)?;
            let template = render(options, &target)?;
            asks.push((target.resolve()?, template));
        }
        Ok(Self {
            asks,
            url: options.urls.first().cloned().unwrap_or_default(),
            connections: options.connections,
            rate: options.rate,
            duration: options.duration,
            warm_up: options.warm_up,
            ramp: options.ramp,
            timeout: options.timeout,
            threads: options.threads.min(options.connections),
            is_head: options.method == "HEAD",
            cookies: options.cookies.clone(),
            new_connection_per_request: options.new_connection_per_request,
            oracle: options.oracle,
            allow_repin: options.allow_repin,
            epoll: options.epoll,
        })
    }
}

fn within(name: &str, value: f64, least: f64, most: f64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}; it can be {least} to {most}"))
}

fn is_token(text: &str) -> bool {
    let is_tchar = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn render(options: &Options, target: &Target) -> Result<Template, String> {
    if !is_token(&options.method) || options.method == "CONNECT" {
        return Err(format!("--method {:?} cannot be sent", options.method));
    }
    let body_bytes = options.body.unwrap_or(0);
    within("--body", body_bytes as f64, 0.0, BODY_BYTES_MAX as f64)?;
    let host = options.host.as_deref().unwrap_or(&target.authority);
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", options.method, target.path);
    for field in &options.headers {
        let Some((name, value)) = field.split_once(':') else {
            return Err(format!("--header {field:?}: write NAME:VALUE"));
        };
        let value = value.trim();
        if !is_token(name) || value.bytes().any(|it| it.is_ascii_control() && it != b'\t') {
            return Err(format!("--header {field:?} cannot be sent"));
        }
        let ours = [
            ("host", "--host"),
            ("cookie", "--cookies fixed:VALUE"),
            ("content-length", "--body"),
            ("transfer-encoding", "--body"),
            (super::oracle::ID_FIELD, "--oracle"),
        ];
        if let Some((_, option)) = ours.iter().find(|(it, _)| name.eq_ignore_ascii_case(it)) {
            return Err(format!("--header {field:?}: that is what {option} is for"));
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if options.new_connection_per_request {
        head.push_str("Connection: close\r\n");
    }
    if options.body.is_some() {
        head.push_str(&format!("Content-Length: {body_bytes}\r\n"));
    }
    Ok(Template { head: head.into_bytes(), body: vec![b'x'; body_bytes] })
}
