//! The paths of the API. Pure; called by `serve`.

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/ping`, and what begins so, as in Traefik.
    Ping,
    /// `/metrics`.
    Metrics,
    /// `/api/overview`.
    Overview,
    /// `/api/version`.
    Version,
    /// `/api/rawdata`.
    RawData,
    /// `/api/entrypoints`.
    EntryPoints,
    /// `/api/entrypoints/{name}`.
    EntryPoint(String),
    /// `/api/http/{kind}`.
    List(Kind),
    /// `/api/http/{kind}/{name}`.
    Item(Kind, String),
    /// `/api/http/services/{service}/servers`.
    Servers(String),
    /// `/api/http/services/{service}/servers/{id}`.
    Server(String, String),
    /// `/api/http/services/{service}/servers/{id}/state`.
    State(String, String),
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Routers.
    Router,
    /// Services.
    Service,
    /// Middlewares.
    Middleware,
}

impl Kind {
    fn new(segment: &str) -> Option<Self> {
        match segment {
            "routers" => Some(Self::Router),
            "services" => Some(Self::Service),
            "middlewares" => Some(Self::Middleware),
            _ => None,
        }
    }

    /// As Traefik's errors name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Service => "service",
            Self::Middleware => "middleware",
        }
    }
}

impl Route {
    /// `None`: 404.
    pub(super) fn new(path: &str) -> Option<Self> {
        if path.starts_with("/ping") {
            return Some(Self::Ping);
        }
        if path.starts_with("/metrics") {
            return Some(Self::Metrics);
        }
        let mut segments = Vec::new();
        for segment in path.strip_prefix("/api/")?.split('/') {
            segments.push(decoded(segment)?);
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *segments {
            ["overview"] => Some(Self::Overview),
            ["version"] => Some(Self::Version),
            ["rawdata"] => Some(Self::RawData),
            ["entrypoints"] => Some(Self::EntryPoints),
            ["entrypoints", name] => Some(Self::EntryPoint(name.to_owned())),
            ["http", kind] => Some(Self::List(Kind::new(kind)?)),
            ["http", kind, name] => Some(Self::Item(Kind::new(kind)?, name.to_owned())),
            ["http", "services", service, "servers"] => Some(Self::Servers(service.to_owned())),
            ["http", "services", service, "servers", id] => {
                Some(Self::Server(service.to_owned(), id.to_owned()))
            }
            ["http", "services", service, "servers", id, "state"] => {
                Some(Self::State(service.to_owned(), id.to_owned()))
            }
            _ => None,
        }
    }
}

/// A segment without its percent-encoding (RFC 3986 §2.1); `None` for what is none.
pub(super) fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

/// A segment that may hold anything.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_name_what_they_name_in_traefik() {
        let service = || "app@file".to_owned();
        let url = || "http://10.0.0.1:80/x".to_owned();
        for (path, want) in [
            ("/ping", Some(Route::Ping)),
            ("/metrics", Some(Route::Metrics)),
            ("/api/overview", Some(Route::Overview)),
            ("/api/http/routers", Some(Route::List(Kind::Router))),
            ("/api/http/services/app%40file", Some(Route::Item(Kind::Service, service()))),
            (
                "/api/http/services/app@file/servers/http%3A%2F%2F10.0.0.1:80%2Fx/state",
                Some(Route::State(service(), url())),
            ),
            (
                "/api/http/services/app@file/servers/http%3a%2f%2f10.0.0.1:80%2fx",
                Some(Route::Server(service(), url())),
            ),
            ("/api/http/services/app@file/servers", Some(Route::Servers(service()))),
            ("/api/overview/", None),
            ("/api/http/services/%ff", None),
            ("/api/http/services/%4", None),
            ("/api/tcp/routers", None),
            ("/api", None),
            ("/", None),
        ] {
            assert_eq!(Route::new(path), want, "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_is_called_its_path_names_it(id in "\\PC{0,40}") {
            let path = format!("/api/http/services/s/servers/{}/state", encoded(&id));
            prop_assert_eq!(Route::new(&path), Some(Route::State("s".to_owned(), id)));
        }
    }
}
