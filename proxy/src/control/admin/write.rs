//! What an operator may write, and who may: the rules of access and the body of a state. Pure;
//! called by `serve`.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use sundew_config::model::EntryPointIndex;

use super::super::orders::Order;
use super::text::parse_stamp;

/// Farther away is a slip of the finger.
const DEADLINE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The Unix socket, which nobody but its owner can open.
    Socket,
    /// An entry point, from this peer.
    Peer(IpAddr, EntryPointIndex),
}

/// Whether a request may change anything. A page of another site can make a browser on this machine
/// ask 127.0.0.1 by any name that it owns, so the name must be a literal address.
pub(super) fn may_write(origin: Origin, host: Option<&str>, is_open: bool) -> bool {
    match origin {
        Origin::Socket => true,
        Origin::Peer(..) if is_open => true,
        Origin::Peer(peer, _) => {
            peer.to_canonical().is_loopback() && host.is_some_and(is_loopback_literal)
        }
    }
}

/// `127.0.0.1`, `127.0.0.1:8080`, `[::1]`, `[::1]:8080`; no name.
fn is_loopback_literal(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((bare, port)) if port.is_empty() || port.starts_with(':') => bare,
            _ => return false,
        },
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The body of a state, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    state: String,
    deadline: Option<Deadline>,
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Deadline {
    Seconds(u64),
    Text(String),
}

/// What a body asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) order: Option<Order>,
    pub(super) deadline: Option<SystemTime>,
    pub(super) is_forced: bool,
}

/// Reads the body of a state.
///
/// # Errors
/// What is wrong with it, and what to write.
pub(super) fn read(body: &[u8], now: SystemTime) -> Result<Wanted, String> {
    let help = r#"write {"state":"ready|drain|down","deadline":"30m"}"#;
    let body: Body =
        serde_json::from_slice(body).map_err(|error| format!("not a state: {error}; {help}"))?;
    let order = match body.state.as_str() {
        "ready" => None,
        "drain" => Some(Order::Drain),
        "down" => Some(Order::Down),
        other => return Err(format!("there is no state {other:?}; {help}")),
    };
    let deadline = body.deadline.map(|written| moment(&written, now)).transpose()?;
    if deadline.is_some() && order != Some(Order::Drain) {
        return Err("a deadline is for the state \"drain\" alone; remove it".to_owned());
    }
    Ok(Wanted { order, deadline, is_forced: body.force })
}

fn moment(written: &Deadline, now: SystemTime) -> Result<SystemTime, String> {
    let after = match written {
        Deadline::Seconds(seconds) => Some(Duration::from_secs(*seconds)),
        Deadline::Text(text) => sundew_config::duration_of(text),
    };
    let moment = match (after, written) {
        (Some(after), _) => now.checked_add(after),
        (None, Deadline::Text(text)) => parse_stamp(text),
        (None, Deadline::Seconds(_)) => None,
    };
    let Some(moment) = moment else {
        let help = "write seconds, a duration such as 30m, or a time such as 2030-01-31T18:00:00Z";
        return Err(format!("the deadline cannot be read; {help}"));
    };
    if moment <= now {
        return Err("the deadline is not in the future".to_owned());
    }
    if moment.duration_since(now).is_ok_and(|left| left > DEADLINE_MAX) {
        return Err("the deadline is more than a year away; leave it out".to_owned());
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(second: u64) -> SystemTime {
        NOW + Duration::from_secs(second)
    }

    #[test]
    fn writes_come_from_the_socket_or_from_this_machine_by_a_literal_address() {
        let peer = |text: &str| Origin::Peer(text.parse().unwrap(), EntryPointIndex(0));
        for (origin, host, is_open, want) in [
            (Origin::Socket, None, false, true),
            (peer("127.0.0.1"), Some("127.0.0.1:8080"), false, true),
            (peer("::1"), Some("[::1]:8080"), false, true),
            (peer("::ffff:127.0.0.1"), Some("127.0.0.1"), false, true),
            (peer("127.0.0.1"), Some("localhost:8080"), false, false),
            (peer("127.0.0.1"), Some("evil.example"), false, false),
            (peer("127.0.0.1"), Some("127.0.0.1.evil.example"), false, false),
            (peer("127.0.0.1"), Some("[::1].evil.example"), false, false),
            (peer("127.0.0.1"), None, false, false),
            (peer("10.0.0.1"), Some("127.0.0.1"), false, false),
            (peer("10.0.0.1"), Some("admin.example"), true, true),
        ] {
            assert_eq!(may_write(origin, host, is_open), want, "{origin:?} {host:?}");
        }
    }

    #[test]
    fn a_state_is_read_with_its_deadline() {
        let wanted = |order, deadline| Ok(Wanted { order, deadline, is_forced: false });
        for (body, want) in [
            (r#"{"state":"ready"}"#, wanted(None, None)),
            (r#"{"state":"down"}"#, wanted(Some(Order::Down), None)),
            (r#"{"state":"drain","deadline":null}"#, wanted(Some(Order::Drain), None)),
            (r#"{"state":"drain","deadline":90}"#, wanted(Some(Order::Drain), Some(at(90)))),
            (r#"{"state":"drain","deadline":"30m"}"#, wanted(Some(Order::Drain), Some(at(1800)))),
            (
                r#"{"state":"drain","deadline":"1970-01-01T01:00:00Z"}"#,
                wanted(Some(Order::Drain), Some(at(3600))),
            ),
        ] {
            assert_eq!(read(body.as_bytes(), NOW), want, "{body}");
        }
        let forced = read(br#"{"state":"drain","force":true}"#, NOW).unwrap();
        assert!(forced.is_forced);
    }

    #[test]
    fn a_bad_body_is_told_what_is_wrong() {
        for (body, want) in [
            ("", "not a state: EOF"),
            ("drain", "not a state: expected"),
            ("[]", "not a state: invalid length 0"),
            ("{}", "not a state: missing field `state`"),
            (r#"{"state":"stop"}"#, "there is no state \"stop\""),
            (r#"{"state":7}"#, "not a state: invalid type"),
            (r#"{"state":"drain","sate":1}"#, "not a state: unknown field `sate`"),
            (r#"{"state":"drain","deadline":"soon"}"#, "the deadline cannot be read"),
            (r#"{"state":"drain","deadline":"-5s"}"#, "the deadline cannot be read"),
            (r#"{"state":"drain","deadline":0}"#, "the deadline is not in the future"),
            (
                r#"{"state":"drain","deadline":99999999999999999}"#,
                "the deadline is more than a year",
            ),
            (r#"{"state":"down","deadline":"5s"}"#, "a deadline is for"),
        ] {
            let said = read(body.as_bytes(), NOW).unwrap_err();
            assert!(said.starts_with(want), "{body}: {said}");
        }
    }
}
