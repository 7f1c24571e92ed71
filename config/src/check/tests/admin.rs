//! `api`, `metrics` and the administrative part of `sundew:`.

use std::path::PathBuf;

use super::{STRICT, assert_said, loaded};
use crate::model::{Admin, EntryPointIndex, MetricsOptions};

const WEB: &str = "entryPoints: {web: {address: ':80'}}\n";

#[test]
fn nothing_is_on_unless_it_is_written() {
    let statics = loaded(WEB, STRICT).statics;
    assert_eq!(statics.admin, Admin::default());
    assert!(!statics.admin.is_on());
    assert_eq!(statics.entry_points.len(), 1);
}

#[test]
fn an_insecure_api_is_for_this_machine_alone_unless_the_entry_point_says_otherwise() {
    let statics = loaded(&format!("{WEB}api: {{insecure: true}}\nping: {{}}\n"), STRICT).statics;
    let internal = &statics.entry_points[1];
    assert_eq!((internal.name.as_str(), internal.address.port), ("traefik", 8080));
    assert_eq!(internal.address.host, "127.0.0.1");
    assert_eq!(statics.admin.api_entry_point, Some(EntryPointIndex(1)));
    assert_eq!(statics.ping.unwrap().entry_point, Some(EntryPointIndex(1)));

    let written = "entryPoints: {traefik: {address: ':9'}, web: {address: ':80'}}\n";
    let statics = loaded(&format!("{written}api: {{insecure: true}}\n"), STRICT).statics;
    assert_eq!(statics.entry_points[0].address.host, "");
    assert_eq!(statics.admin.api_entry_point, Some(EntryPointIndex(0)));
}

#[test]
fn everything_that_is_written_is_there() {
    let text = "metrics: {prometheus: {buckets: [0.01, '1'], addRoutersLabels: true, \
                addServicesLabels: false}}\n\
                sundew: {api: {socket: /run/s.sock}, stateFile: /var/lib/state.json}\n";
    let admin = loaded(&format!("{WEB}{text}"), STRICT).statics.admin;
    let metrics = MetricsOptions {
        entry_point: EntryPointIndex(1),
        buckets_s: vec![0.01, 1.0],
        by_entry_point: true,
        by_router: true,
        by_service: false,
    };
    let want = Admin {
        api_entry_point: None,
        metrics: Some(metrics),
        socket: Some(PathBuf::from("/run/s.sock")),
        remote_writes: false,
        state_file: Some(PathBuf::from("/var/lib/state.json")),
    };
    assert_eq!(admin, want);
}

#[test]
fn what_cannot_be_served_is_said() {
    assert_said(
        &[
            (
                "buckets",
                "metrics: {prometheus: {buckets: [1, 0.5]}}\n",
                &["f.yml:1:24: metrics.prometheus.buckets: not ascending numbers of seconds \
                   above zero; write such as [0.1, 0.3, 1.2, 5]"],
            ),
            (
                "an entry point of its own",
                "metrics: {prometheus: {entryPoint: web, manualRouting: true}}\n",
                &[
                    "f.yml:1:36: metrics.prometheus.entryPoint: there is no entry point `web`; \
                     there is `http`",
                    "f.yml:1:41: metrics.prometheus.manualRouting: not supported by sundew yet; \
                     name an `entryPoint` for metrics alone instead",
                ],
            ),
            (
                "files",
                "sundew: {api: {socket: '', remoteWrites: true}, stateFile: ''}\n",
                &[
                    "f.yml:1:24: sundew.api.socket: not a path; \
                     write the path of a file, or remove the key",
                    "f.yml:1:42: warning: sundew.api.remoteWrites: without effect: the API is \
                     not on an entry point; write `api: {insecure: true}`, or remove it",
                    "f.yml:1:60: sundew.stateFile: not a path; \
                     write the path of a file, or remove the key",
                ],
            ),
            (
                "a router on the entry point that is served without workers",
                "entryPoints: {traefik: {address: ':9'}, web: {address: ':80'}}\n\
                 api: {insecure: true}\nhttp:\n  routers:\n    \
                 r: {rule: 'PathPrefix(`/`)', service: s, entryPoints: [traefik]}\n  \
                 services: {s: {loadBalancer: {servers: [{url: 'http://h'}]}}}\n",
                &["f.yml:5:60: http.routers.r.entryPoints[0]: not supported by sundew yet: \
                   a router on `traefik`; name another entry point: this one is served by the \
                   control thread"],
            ),
        ],
        STRICT,
    );
}

#[test]
fn metrics_may_have_an_entry_point_of_their_own_which_is_no_router_s() {
    let text = "entryPoints: {metrics: {address: ':9'}, web: {address: ':80'}}\n\
                metrics: {prometheus: {entryPoint: metrics}}\nhttp:\n  routers:\n    \
                r: {rule: 'PathPrefix(`/`)', service: s}\n  \
                services: {s: {loadBalancer: {servers: [{url: 'http://h'}]}}}\n";
    let initial = loaded(text, STRICT);
    let metrics = initial.statics.admin.metrics.unwrap();
    assert_eq!(metrics.entry_point, EntryPointIndex(0));
    assert_eq!(initial.model.routers[0].entry_points, [EntryPointIndex(1)]);
    assert_said(
        &[(
            "the only one",
            "entryPoints: {web: {address: ':80'}}\nmetrics: {prometheus: {entryPoint: web}}\n",
            &[
                "f.yml:2:36: metrics.prometheus.entryPoint: not supported by sundew yet: metrics on \
               `web`, the only entry point; give metrics an entry point of their own: routers \
               cannot share it",
            ],
        )],
        STRICT,
    );
}
