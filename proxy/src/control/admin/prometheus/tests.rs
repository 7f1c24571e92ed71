use std::sync::Arc;

use sundew_config::load::{FlagOptions, from_flags};
use tokio::sync::mpsc;

use super::*;
use crate::observe::counters::{Meter, Outcomes, PinsSeen, Sample, SeriesKey, SpokenProtocol};
use crate::observe::tally::{EntryPointTally, ServerTally, ServiceTally, WorkerTally};
use crate::worker::inbox::{ServerState, SharedInFlight};

const URLS: [&str; 2] = ["http://10.0.0.1:1", "http://10.0.0.2:2"];

fn counted() -> (View, Tally, StaticModel) {
    let flags = FlagOptions {
        listen: vec![":80".to_owned()],
        servers: URLS.map(str::to_owned).to_vec(),
        sticky_cookie: Some("sid".to_owned()),
    };
    let (mut statics, model) = from_flags(&flags).unwrap();
    statics.admin.metrics = Some(MetricsOptions {
        entry_point: sundew_config::model::EntryPointIndex(0),
        buckets_s: vec![0.1, 5.0],
        by_entry_point: true,
        by_router: false,
        by_service: true,
    });
    let model = Arc::new(model);
    let meter = Meter::default();
    for duration_ms in [50, 200, 9_000] {
        let sample = Sample {
            key: SeriesKey::new(200, b"GET", SpokenProtocol::Http),
            request_bytes: 1,
            response_bytes: 10,
            duration: Duration::from_millis(duration_ms),
        };
        meter.add(&sample, &[100_000_000, 5_000_000_000]);
    }
    let (outcomes, pins) = (Outcomes::default(), PinsSeen::default());
    outcomes.add(StickyOutcome::Pinned);
    pins.note([10, 1, 1, 1].into(), 1_000);
    let server = |requests, pins: &PinsSeen| ServerTally {
        requests,
        in_flight: 1,
        pins: pins.read(100_000),
    };
    let service = ServiceTally {
        series: meter.read(),
        outcomes: outcomes.read(),
        servers: vec![server(3, &pins), server(0, &PinsSeen::default())],
    };
    let tally = Tally {
        model: model.clone(),
        entry_points: vec![EntryPointTally { connections: 7, series: meter.read() }],
        routers: vec![Vec::new()],
        services: vec![service],
        workers: vec![WorkerTally { index: 0, requests: 3, connections: 7, panics: 0 }],
    };
    let state = ServerState {
        is_up: true,
        is_draining: false,
        addresses: Arc::from([]),
        in_flight: SharedInFlight::default(),
    };
    let view = View {
        model,
        states: vec![vec![state.clone(), state]],
        standing: vec![vec![None, None]],
        is_terminating: false,
        reloads: 1,
        reloaded: SystemTime::UNIX_EPOCH + Duration::from_secs(5),
        log_dropped: 0,
        tallies: (mpsc::unbounded_channel().1, 0),
    };
    (view, tally, statics)
}

#[test]
fn every_number_has_traefiks_name_and_labels() {
    let (view, tally, statics) = counted();
    let text = page(&view, &tally, &statics);
    let lines: Vec<&str> = text.lines().collect();
    let of_service = "code=\"200\",method=\"GET\",protocol=\"http\",service=\"app@flags\"";
    let of_point = "code=\"200\",entrypoint=\"web\",method=\"GET\",protocol=\"http\"";
    let duration = "traefik_service_request_duration_seconds";
    for want in [
        "traefik_config_reloads_total 1".to_owned(),
        "traefik_config_last_reload_success 5".to_owned(),
        "traefik_open_connections{entrypoint=\"web\",protocol=\"TCP\"} 7".to_owned(),
        format!("traefik_entrypoint_requests_total{{{of_point}}} 3"),
        format!("traefik_service_requests_total{{{of_service}}} 3"),
        format!("traefik_service_requests_bytes_total{{{of_service}}} 3"),
        format!("traefik_service_responses_bytes_total{{{of_service}}} 30"),
        format!("{duration}_bucket{{{of_service},le=\"0.1\"}} 1"),
        format!("{duration}_bucket{{{of_service},le=\"5\"}} 2"),
        format!("{duration}_bucket{{{of_service},le=\"+Inf\"}} 3"),
        format!("{duration}_sum{{{of_service}}} 9.25"),
        format!("{duration}_count{{{of_service}}} 3"),
        "sundew_sticky_requests_total{outcome=\"pinned\",service=\"app@flags\"} 1".to_owned(),
        format!("sundew_server_requests_total{{server=\"{}\",service=\"app@flags\"}} 3", URLS[0]),
        format!("sundew_server_in_flight{{server=\"{}\",service=\"app@flags\"}} 1", URLS[1]),
        format!(
            "sundew_server_pins_seen{{server=\"{}\",service=\"app@flags\",window=\"5m\"}} 1",
            URLS[0]
        ),
        format!(
            "sundew_server_pins_seen{{server=\"{}\",service=\"app@flags\",window=\"1m\"}} 0",
            URLS[0]
        ),
        "sundew_service_imbalance_ratio{service=\"app@flags\"} 2".to_owned(),
        "sundew_worker_requests_total{worker=\"0\"} 3".to_owned(),
        "sundew_access_log_dropped_total 0".to_owned(),
    ] {
        assert!(lines.contains(&want.as_str()), "{want}\n{text}");
    }
    assert!(!text.contains("traefik_router_"), "nobody asked for routers");
}

#[test]
fn every_family_is_described_once_and_before_its_samples() {
    let (view, tally, statics) = counted();
    let text = page(&view, &tally, &statics);
    let mut described = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(described.insert(name.to_owned()), "{name} twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|base| described.contains(*base))
                .unwrap_or(name);
            assert!(described.contains(base), "{line}");
        }
    }
}

#[test]
fn a_label_cannot_break_out_of_its_line() {
    let mut page = Page(String::new());
    page.sample("x", &[("l", "a\"b\\c\nd")], 1);
    assert_eq!(page.0, "x{l=\"a\\\"b\\\\c\\nd\"} 1\n");
}
