//! The lists of the API: what is searched, how it is sorted, which page. Pure; called by `serve`.

use std::cmp::Ordering;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Serialize;
use serde_json::Value;

use super::path::decoded;
use super::reply::{Reply, json, traefik_error};

/// Traefik's.
const PER_PAGE: usize = 100;

/// What a list is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Of the text behind `?`.
    pub(super) fn new(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(&key.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of `key`; `None` for none and for an empty one.
    pub(super) fn first(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(name, _)| name == key)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    fn number(&self, key: &str, default: usize) -> Option<usize> {
        let Some(text) = self.first(key) else { return Some(default) };
        text.parse().ok().filter(|number| *number > 0)
    }
}

/// One page of what is wanted.
pub(super) fn page(shapes: impl Iterator<Item = impl Serialize>, query: &Query) -> Reply {
    let items = shapes.filter_map(|shape| serde_json::to_value(&shape).ok().map(|it| (it, shape)));
    let mut items: Vec<_> = items.filter(|(item, _)| is_wanted(item, query)).collect();
    let key = query.first("sortBy").unwrap_or("name");
    items.sort_by(|(one, _), (other, _)| {
        compare(one, other, key).then_with(|| compare(one, other, "name"))
    });
    if query.first("direction") == Some("desc") {
        items.reverse();
    }
    let (page, per_page) = (query.number("page", 1), query.number("per_page", PER_PAGE));
    let (Some(page), Some(per_page)) = (page, per_page) else {
        let message = "invalid request: page and per_page are numbers above zero";
        return traefik_error(StatusCode::BAD_REQUEST, message);
    };
    let start = (page - 1).saturating_mul(per_page);
    if start > 0 && start >= items.len() {
        let message = format!("invalid request: page: {page}, per_page: {per_page}");
        return traefik_error(StatusCode::BAD_REQUEST, &message);
    }
    let end = start.saturating_add(per_page);
    let next = if end < items.len() { page + 1 } else { 1 };
    let shown: Vec<_> = items.into_iter().skip(start).take(per_page).map(|it| it.1).collect();
    let mut reply = json(StatusCode::OK, &shown);
    reply.headers_mut().insert("X-Next-Page", HeaderValue::from(next));
    reply
}

fn is_wanted(item: &Value, query: &Query) -> bool {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_same = |key: &str, wanted: &str| text(key).eq_ignore_ascii_case(wanted);
    let has_service = |wanted: &str| {
        let bare = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        text("service") == wanted || bare(text("service")) == bare(wanted)
    };
    let is_found = |wanted: &str| {
        let wanted = wanted.to_lowercase();
        let mut places = vec![text("name"), text("rule"), text("service")];
        let servers = item.get("loadBalancer").and_then(|it| it.get("servers"));
        let servers = servers.and_then(Value::as_array).into_iter().flatten();
        places.extend(servers.filter_map(|server| server.get("url")?.as_str()));
        places.iter().any(|place| place.to_lowercase().contains(&wanted))
    };
    query.first("status").is_none_or(|wanted| is_same("status", wanted))
        && query.first("serviceName").is_none_or(has_service)
        // No middleware exists.
        && query.first("middlewareName").is_none()
        && query.first("search").is_none_or(is_found)
}

fn compare(one: &Value, other: &Value, key: &str) -> Ordering {
    let (one, other) = (one.get(key), other.get(key));
    let number = |it: Option<&Value>| it.and_then(Value::as_i64);
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let text = |it: Option<&Value>| it.map(ToString::to_string).unwrap_or_default();
            text(one).cmp(&text(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn ask(query: &str) -> (u16, String, Option<String>) {
        use http_body_util::BodyExt;

        let items = ["c@file", "a@file", "b@docker"].map(|name| {
            json!({"name": name, "rule": "Host(`x`)", "priority": name.len(), "status": "enabled"})
        });
        let reply = page(items.into_iter(), &Query::new(Some(query)));
        let next = reply.headers().get("x-next-page");
        let next = next.map(|it| it.to_str().unwrap().to_owned());
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let Ok(items) = serde_json::from_str::<Vec<Value>>(&text) else {
            return (status, text, next);
        };
        let names = items.iter().map(|it| it["name"].as_str().unwrap().to_owned());
        (status, names.collect::<Vec<_>>().join(" "), next)
    }

    #[tokio::test]
    async fn lists_are_searched_sorted_and_cut_into_pages() {
        let one = Some("1".to_owned());
        for (query, want, next) in [
            ("", "a@file b@docker c@file", "1"),
            ("direction=desc", "c@file b@docker a@file", "1"),
            ("sortBy=priority", "a@file c@file b@docker", "1"),
            ("search=FILE", "a@file c@file", "1"),
            ("status=disabled", "", "1"),
            ("per_page=2", "a@file b@docker", "2"),
            ("per_page=2&page=2", "c@file", "1"),
            ("search=b%40d", "b@docker", "1"),
        ] {
            assert_eq!(ask(query).await, (200, want.to_owned(), Some(next.to_owned())), "{query}");
        }
        assert_eq!(ask("").await.2, one);
        for query in ["page=9", "page=0", "per_page=x"] {
            let (status, text, _) = ask(query).await;
            assert_eq!(status, 400, "{query}");
            assert!(text.starts_with("{\"message\":\"invalid request: page"), "{text}");
        }
    }
}
