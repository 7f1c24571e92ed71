//! What the command line of `sundew-loadtest load` may say, as it is written. Checks nothing that
//! needs two arguments at once: that is the plan's part. Called by `main` and by the plan.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

/// What `sundew-loadtest load` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// What to ask: `http://host[:port][/path]` or `unix:/socket[:/path]`. Of several, each
    /// connection takes one in turn.
    #[arg(required = true, value_name = "URL")]
    pub(super) urls: Vec<String>,
    /// Connections, each one client.
    #[arg(short, long, default_value_t = 64, value_name = "N")]
    pub(super) connections: usize,
    /// Requests a second over all connections (open loop); without it each connection asks as soon
    /// as it has its answer (closed loop).
    #[arg(short, long, value_name = "R/s")]
    pub(super) rate: Option<f64>,
    /// How long to measure: `10s`, `500ms`, `2m`.
    #[arg(short, long, default_value = "10s", value_parser = parse_duration)]
    pub(super) duration: Duration,
    /// Asked before the measuring begins, and not counted.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub(super) warm_up: Duration,
    /// Over how long the connections are opened, before the warm-up.
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub(super) ramp: Duration,
    /// How long one answer may take, connecting included.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
    /// Threads.
    #[arg(short, long, default_value_t = 1, value_name = "N")]
    pub(super) threads: usize,
    /// Method.
    #[arg(short, long, default_value = "GET")]
    pub(super) method: String,
    /// Bytes of body in each request.
    #[arg(long, value_name = "BYTES")]
    pub(super) body: Option<usize>,
    /// `Host`; the URL's by default.
    #[arg(long)]
    pub(super) host: Option<String>,
    /// A field of each request; may be given many times.
    #[arg(short = 'H', long = "header", value_name = "K:V")]
    pub(super) headers: Vec<String>,
    /// `none`, `jar` (each connection keeps what it is given), or `fixed:VALUE` (this `Cookie`).
    #[arg(long, default_value = "jar", value_name = "none|jar|fixed:VALUE")]
    pub(super) cookies: Cookies,
    /// Open a connection for each request, and close it after.
    #[arg(long)]
    pub(super) new_connection_per_request: bool,
    /// Check every answer: it is this request's, whole, and from the server that the client is
    /// pinned to. One wrong answer fails the run. Needs `sundew-loadtest origin` as the servers.
    #[arg(long)]
    pub(super) oracle: bool,
    /// With `--oracle`: a client may be moved by a new cookie (servers die, are drained).
    #[arg(long, requires = "oracle")]
    pub(super) allow_repin: bool,
    /// Show progress although the standard error stream is no terminal.
    #[arg(long)]
    pub(super) progress: bool,
    /// Write the report there as JSON; `-` is the standard output stream.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Use epoll, where `io_uring` is not allowed.
    #[arg(long)]
    pub(super) epoll: bool,
}

/// Which `Cookie` a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cookies {
    /// None, whatever it is given.
    None,
    /// What it was given last, name by name.
    Jar,
    /// Always this value of the field.
    Fixed(String),
}

impl FromStr for Cookies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("fixed:")) {
            ("none", _) => Ok(Self::None),
            ("jar", _) => Ok(Self::Jar),
            (_, Some(value)) if !value.is_empty() => Ok(Self::Fixed(value.to_owned())),
            _ => Err("write none, jar, or fixed:NAME=VALUE".to_owned()),
        }
    }
}

/// `10s`, `500ms`, `2m`, or seconds without a unit.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let scale = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}; write ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| "write a number and ms, s, m or h".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("0.5", 500), ("2m", 120_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "1d", "-1s", "1.2.3s", "1e99h", "ten"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cookies_are_one_of_three() {
        assert_eq!("none".parse(), Ok(Cookies::None));
        assert_eq!("jar".parse(), Ok(Cookies::Jar));
        assert_eq!("fixed:sid=a; b=c".parse(), Ok(Cookies::Fixed("sid=a; b=c".to_owned())));
        for wrong in ["", "fixed", "fixed:", "Jar"] {
            assert!(wrong.parse::<Cookies>().is_err(), "{wrong}");
        }
    }
}
