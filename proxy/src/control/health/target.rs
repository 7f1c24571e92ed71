//! Where a probe goes: the check's reference against the server's URL, and `Location` against the
//! URL that answered. Pure text; RFC 3986 §5.2 as Go's `URL.ResolveReference` reads it.

/// An `http` URL, split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `host` or `host:port`, with the brackets of an IPv6 address.
    pub(super) authority: String,
    /// Empty or starts with `/`; escapes untouched.
    pub(super) path: String,
    /// Without `?`.
    pub(super) query: Option<String>,
    /// The Unix socket behind which it is; the authority is then only what it is told as Host.
    pub(super) socket: Option<String>,
}

impl Url {
    /// Host without brackets, and port (80 unless written); `None` for a port that is no number.
    pub(super) fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = split_authority(&self.authority);
        let port = match port {
            None | Some("") => 80,
            Some(port) => port.parse().ok()?,
        };
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty()).then_some((host, port))
    }

    /// The same URL at another port.
    pub(super) fn with_port(self, port: u16) -> Self {
        let (host, _) = split_authority(&self.authority);
        Self { authority: format!("{host}:{port}"), ..self }
    }

    /// What stands in the request line.
    pub(super) fn request_target(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// Resolves a relative reference; its fragment is dropped, since it is never sent.
    ///
    /// # Errors
    /// What is wrong, when `reference` names a scheme or a host.
    pub(super) fn join_relative(&self, reference: &str) -> Result<Self, String> {
        if has_scheme(reference) || reference.starts_with("//") {
            return Err(format!("the path must be a relative URL, not {reference}"));
        }
        Ok(self.join(reference))
    }

    /// Resolves a `Location`, which may be absolute.
    ///
    /// # Errors
    /// What is wrong, when it leads to another scheme than `http` or to no host.
    pub(super) fn join_location(&self, location: &str) -> Result<Self, String> {
        let rest = match scheme(location) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(format!("redirected to {location}, which is not http")),
            None => location,
        };
        let Some(rest) = rest.strip_prefix("//") else {
            return Ok(self.join(rest));
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, reference) = rest.split_at(end);
        let (_, authority) = authority.rsplit_once('@').unwrap_or(("", authority));
        let authority = authority.to_owned();
        let root = Self { authority, path: String::new(), query: None, socket: None };
        match root.host_and_port() {
            Some(_) => Ok(root.join(reference)),
            None => Err(format!("redirected to {location}, which names no host")),
        }
    }

    fn join(&self, reference: &str) -> Self {
        let reference = reference.split('#').next().unwrap_or_default();
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (reference, None),
        };
        let query = if path.is_empty() && query.is_none() { self.query.clone() } else { query };
        let merged = if path.is_empty() {
            self.path.clone()
        } else if path.starts_with('/') {
            path.to_owned()
        } else {
            let (directory, _) = self.path.rsplit_once('/').unwrap_or_default();
            format!("{directory}/{path}")
        };
        Self { path: without_dots(&merged), query, ..self.clone() }
    }
}

/// `host` and what stands after the `:`, if any.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The last colon of `[::1]` is inside the brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn has_scheme(reference: &str) -> bool {
    scheme(reference).is_some()
}

/// The scheme and what follows its colon (RFC 3986 §3.1).
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push(""); // a path that ends in a dot segment ends in `/`
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(authority: &str, path: &str, query: Option<&str>) -> Url {
        let query = query.map(ToOwned::to_owned);
        Url { authority: authority.into(), path: path.into(), query, socket: None }
    }

    #[test]
    fn the_checks_path_is_resolved_against_the_servers_url() {
        let cases = [
            ("/base/x", Some("q=1"), "hc", "/base/hc"),
            ("/base/x", Some("q=1"), "/hc", "/hc"),
            ("/base/x", Some("q=1"), "", "/base/x?q=1"),
            ("/base/x", Some("q=1"), "?full=1", "/base/x?full=1"),
            ("/base/", None, "hc?x=1#part", "/base/hc?x=1"),
            ("/base/x", None, "../hc", "/hc"),
            ("/base/x", None, "/a/./b/..", "/a/"),
            ("", None, "hc", "/hc"),
            ("", None, "", "/"),
            ("", None, "/hc%2Fx", "/hc%2Fx"),
            ("", None, "/../../hc", "/hc"),
            ("", None, "/a//b", "/a//b"),
        ];
        for (path, query, reference, want) in cases {
            let got = url("h:1", path, query).join_relative(reference).unwrap();
            assert_eq!(got.request_target(), want, "{path} + {reference}");
        }
    }

    #[test]
    fn a_path_with_scheme_or_host_is_refused() {
        for reference in ["http://other/hc", "//other/hc", "mailto:x"] {
            assert!(url("h", "", None).join_relative(reference).is_err(), "{reference}");
        }
        assert!(url("h", "", None).join_relative("/at:noon").is_ok());
    }

    #[test]
    fn a_location_may_be_relative_or_lead_to_another_host() {
        let cases = [
            ("/login", Some(("h:1", "/login"))),
            ("up", Some(("h:1", "/a/up"))),
            ("http://other/x?y#z", Some(("other", "/x?y"))),
            ("HTTP://other:81", Some(("other:81", "/"))),
            ("//other?q", Some(("other", "/?q"))),
            ("http://user:secret@other/x", Some(("other", "/x"))),
            ("https://other/", None),
            ("http:///x", None),
            ("http://other:port/", None),
        ];
        for (location, want) in cases {
            let got = url("h:1", "/a/b", None).join_location(location).ok();
            let got = got.map(|it| (it.authority.clone(), it.request_target()));
            let got = got.as_ref().map(|(host, target)| (host.as_str(), target.as_str()));
            assert_eq!(got, want, "{location}");
        }
    }

    #[test]
    fn host_and_port_are_read_from_the_authority() {
        let cases = [
            ("h", Some(("h", 80))),
            ("h:81", Some(("h", 81))),
            ("[::1]", Some(("::1", 80))),
            ("[::1]:81", Some(("::1", 81))),
            ("h:", Some(("h", 80))),
            (":81", None),
            ("h:99999", None),
        ];
        for (authority, want) in cases {
            assert_eq!(url(authority, "", None).host_and_port(), want, "{authority}");
        }
        assert_eq!(url("[::1]:81", "", None).with_port(9).authority, "[::1]:9");
        assert_eq!(url("[::1]", "", None).with_port(9).authority, "[::1]:9");
    }
}
