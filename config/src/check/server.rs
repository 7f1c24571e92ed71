//! One server of a load balancer: its URL taken apart.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::scalar::is_longer_than;
use crate::model::{Endpoint, Server, UNIX_PATH_BYTES_MAX};
use crate::source::At;

/// Why a URL cannot be used, and what to write instead.
type UrlError = (String, &'static str);

/// Its authority and path stand in every head that is sent to the server.
pub(super) const URL_BYTES_MAX: usize = 2048;
const URL_HELP: &str = "write http://host:port";
const UNIX_HELP: &str = "write unix:/path/to/socket";

/// A server at `url`; `None` after a report.
pub(crate) fn server(url: &str, weight: u32, preserve_path: bool, at: &At<'_>) -> Option<Server> {
    if is_longer_than(URL_BYTES_MAX, url, at) {
        return None;
    }
    match parse(url) {
        Ok(Parsed::Http { authority, endpoint, path, query }) => Some(Server {
            url: url.to_owned(),
            id: None,
            drain: false,
            weight,
            preserve_path,
            endpoint,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
        }),
        Ok(Parsed::Unsupported(scheme)) => {
            at.unsupported_what(&format!("`{scheme}://` servers"), "");
            None
        }
        Err((message, help)) => {
            at.wrong(message, help);
            None
        }
    }
}

/// Longest `id`.
const ID_BYTES_MAX: usize = 255;

/// The `id` of a server; `ids` are those of its service so far.
pub(super) fn server_id<'r>(
    written: Option<&'r str>,
    ids: &mut HashSet<&'r str>,
    at: &At<'_>,
) -> Option<String> {
    let id = written?;
    if id.is_empty() || id.chars().any(char::is_control) {
        at.wrong(format!("`{}` is not an id", id.escape_debug()), "write a name such as app-1");
        return None;
    }
    if is_longer_than(ID_BYTES_MAX, id, at) {
        return None;
    }
    if !ids.insert(id) {
        at.wrong(format!("two servers have the id `{id}`"), "pins must name one server");
        return None;
    }
    Some(id.to_owned())
}

enum Parsed<'u> {
    Http { authority: &'u str, endpoint: Endpoint, path: &'u str, query: Option<&'u str> },
    Unsupported(String),
}

fn parse(url: &str) -> Result<Parsed<'_>, UrlError> {
    if url.is_empty() {
        return Err(("no URL".to_owned(), URL_HELP));
    }
    if !url.bytes().all(|it| it.is_ascii_graphic()) {
        let message = format!("`{}` holds blanks or characters beyond ASCII", url.escape_debug());
        return Err((message, "percent-encode them (a host name: its xn-- form)"));
    }
    if let Some(path) = unix_path(url) {
        return unix(url, path);
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err((format!("`{url}` has no scheme"), URL_HELP));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" => {}
        known @ ("https" | "h2c") => return Ok(Parsed::Unsupported(known.to_owned())),
        _ => return Err((format!("`{url}` has the unknown scheme `{scheme}`"), URL_HELP)),
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err((format!("`{url}` holds a user name"), "remove everything up to the `@`"));
    }
    let endpoint = endpoint(authority).map_err(|what| (format!("`{url}` has {what}"), URL_HELP))?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if !has_whole_escapes(path) {
        let message = format!("`{url}` has a `%` without two hexadecimal digits");
        return Err((message, "write %25 for a percent sign"));
    }
    Ok(Parsed::Http { authority, endpoint, path, query })
}

/// What follows `unix:`, also written `unix://`; `None` for another scheme.
fn unix_path(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    scheme.eq_ignore_ascii_case("unix").then(|| rest.strip_prefix("//").unwrap_or(rest))
}

/// A Unix socket has no host, so it is told the one that curl and Docker tell theirs.
fn unix<'u>(url: &str, path: &str) -> Result<Parsed<'u>, UrlError> {
    if !path.starts_with('/') {
        return Err((format!("`{url}` has no absolute path"), UNIX_HELP));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        let message = format!("`{url}` has a path of more than {UNIX_PATH_BYTES_MAX} bytes");
        return Err((message, "put the socket into a folder with a shorter name"));
    }
    if path.contains(['?', '#', '%']) || path.ends_with('/') {
        return Err((format!("`{url}` is not the path of a socket"), UNIX_HELP));
    }
    let endpoint = Endpoint::Unix { path: path.to_owned() };
    Ok(Parsed::Http { authority: "localhost", endpoint, path: "", query: None })
}

fn endpoint(authority: &str) -> Result<Endpoint, String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or("a `[` without its `]`")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(format!("`{host}` as its IPv6 address"));
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(format!("`{after}` behind its address")),
            }
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            check_host(host)?;
            (host, port)
        }
    };
    let port = match port {
        None => 80,
        Some(text) => {
            let digits = text.bytes().all(|it| it.is_ascii_digit());
            let port = text.parse::<u16>().ok().filter(|it| digits && *it > 0);
            port.ok_or_else(|| format!("the bad port `{text}`"))?
        }
    };
    Ok(Endpoint::Tcp { host: host.to_owned(), port })
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("no host".to_owned());
    }
    let is_name = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let looks_numeric = !last.is_empty() && last.bytes().all(|it| it.is_ascii_digit());
    let is_bad_address = looks_numeric && host.parse::<Ipv4Addr>().is_err();
    if !host.chars().all(is_name) || is_bad_address || host.split('.').next() == Some("") {
        return Err(format!("the bad host `{host}`"));
    }
    Ok(())
}

/// Go's `url.Parse` refuses the rest.
pub(super) fn has_whole_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let mut bytes = after.bytes();
        let mut is_hex = || bytes.next().is_some_and(|it| it.is_ascii_hexdigit());
        is_hex() && is_hex()
    })
}
