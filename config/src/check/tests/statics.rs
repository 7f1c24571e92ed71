//! Tests of `check`: statics; named by their sentences.

use std::time::Duration;

use super::*;
use crate::check::scalar::{parse_duration, parse_size};
use crate::model::*;

#[test]
fn durations_are_those_of_go_with_seconds_for_numbers() {
    let good = [
        ("30", 30_000_000_000_u64),
        ("0", 0),
        ("1m30s", 90_000_000_000),
        ("500ms", 500_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("2us", 2_000),
        ("2µs", 2_000),
        ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        ("0.000000001s", 1),
        ("+5s", 5_000_000_000),
        ("0.3333333333333333333h", 1_199_999_999_999),
    ];
    for (text, nanoseconds) in good {
        let want = Some((false, Duration::from_nanos(nanoseconds)));
        assert_eq!(parse_duration(text), want, "{text}");
    }
    assert_eq!(parse_duration("-5s"), Some((true, Duration::from_secs(5))));
    assert_eq!(parse_duration("-0"), Some((false, Duration::ZERO)));
    for bad in ["", "-", "s", ".s", "5x", "5 s", "1.2.3s", "1s2", "99999999999999h", "1e3s", "5S"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}

#[test]
fn sizes_count_in_1024_with_an_i_and_in_1000_without() {
    let good = [
        ("0", 0),
        ("4096", 4096),
        ("7b", 7),
        ("2kB", 2_000),
        ("2KiB", 2_048),
        ("3mb", 3_000_000),
        ("3Mi", 3 << 20),
        (" 1 GiB ", 1 << 30),
        ("1gb", 1_000_000_000),
        ("2TiB", 2 << 40),
        ("16777215TiB", 16_777_215 << 40),
    ];
    for (text, bytes) in good {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for bad in ["", "MiB", "-1", "+1", "1.5GiB", "1K", "1 5", "1MiBs", "16777216TiB", "1e3", "off"]
    {
        assert_eq!(parse_size(bad), None, "{bad}");
    }
}

#[test]
fn the_memory_limit_is_the_control_group_s_unless_it_is_written() {
    for (written, want) in [
        ("", MemoryLimit::Auto),
        ("memory: auto", MemoryLimit::Auto),
        ("memory: off", MemoryLimit::Off),
        ("memory: false", MemoryLimit::Off),
        ("memory: 2097152", MemoryLimit::Bytes(2 << 20)),
    ] {
        let text = format!("sundew: {{limits: {{{written}}}}}");
        assert_eq!(loaded(&text, STRICT).statics.settings.limits.memory, want, "{written}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_a_size(text in "[0-9kKmMgGtTiIbB +-]{0,40}|\\PC{0,20}") {
        let _ = parse_size(&text);
    }

    #[test]
    fn no_text_panics_a_duration(text in "[0-9.smhnu+-]{0,40}|\\PC{0,20}") {
        let _ = parse_duration(&text);
    }
}

#[test]
fn an_empty_file_has_the_defaults_of_traefik() {
    let statics = loaded("", STRICT).statics;
    assert_eq!(statics.entry_points.len(), 1);
    let point = &statics.entry_points[0];
    assert_eq!(point.name, "http");
    assert_eq!(point.address, ListenAddress { host: String::new(), port: 80 });
    let timeouts =
        RespondingTimeouts { read: None, write: None, idle: Some(Duration::from_secs(180)) };
    assert_eq!(point.timeouts, timeouts);
    assert_eq!(point.grace, Duration::from_secs(10));
    assert!(point.sanitize_path && !point.encode_query_semicolons);
    assert_eq!(statics.providers_throttle, Duration::from_secs(2));
    assert_eq!((statics.ping, statics.access_log), (None, None));
    assert_eq!(statics.transport.idle_per_server_max, 200);
    assert_eq!(statics.transport.dial_timeout, Some(Duration::from_secs(30)));
    assert_eq!(statics.transport.response_header_timeout, None);
    assert_eq!(statics.transport.idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!(statics.settings, Settings::default());
}

const EVERY_KEY: &str = "
ENTRYPOINTS:
  web:
    address: '127.0.0.1:8000/tcp'
    reusePort: true
    forwardedHeaders: {insecure: 'true', trustedIPs: '10.1.2.3/8, ::1', notAppendXForwardedFor: 1}
    transport:
      respondingTimeouts: {readTimeout: 60, writeTimeout: '5', idleTimeout: 0}
      lifeCycle: {requestAcceptGraceTimeout: 3s, graceTimeOut: 4s}
      keepAliveMaxRequests: 100
      keepAliveMaxTime: 1m
    http: {sanitizePath: false, encodeQuerySemicolons: true, maxHeaderBytes: 4096}
providers: {providersThrottleDuration: 500ms}
accessLog:
  filePath: a.log
  format: JSON
  bufferingSize: 10
  addInternals: true
  filters: {statusCodes: '200,300-302', retryAttempts: true, minDuration: 10ms}
  fields:
    defaultMode: drop
    names: {ClientHost: redact}
    headers: {defaultMode: keep, names: {x-api-KEY: drop}}
    queryParameters: {defaultMode: redact}
log: {level: debug, format: json, filePath: s.log, maxSize: 5, noColor: true}
ping: {terminatingStatusCode: 204}
serversTransport: {maxIdleConnsPerHost: 0, forwardingTimeouts: {dialTimeout: 0, responseHeaderTimeout: 7}}
sundew:
  workers: 3
  pin: true
  driver: EPOLL
  ringEntries: 256
  resolveInterval: 1m
  limits: {headBytes: 32768, headFields: 50, requestLineBytes: 4096, headTimeout: 1s,
    bodyRateMin: 0, bodyRateWindow: 2s, sendTimeout: 3s, tunnelIdleTimeout: 4s,
    connections: 5, connectionsPerAddress: 2, requestsPerConnection: 1000,
    requestBodyBytes: 10MB, memory: '512 MiB'}
";

#[test]
fn every_key_of_an_entry_point_is_read() {
    let statics = loaded(EVERY_KEY, STRICT).statics;
    let seconds = |it| Some(Duration::from_secs(it));
    let point = &statics.entry_points[0];
    assert_eq!(point.address, ListenAddress { host: "127.0.0.1".to_owned(), port: 8000 });
    let trusted: Vec<String> =
        point.forwarded_headers.trusted_ips.iter().map(ToString::to_string).collect();
    assert_eq!(trusted, ["10.0.0.0/8", "::1/128"]);
    assert!(point.forwarded_headers.insecure && point.forwarded_headers.not_append_forwarded_for);
    let timeouts = RespondingTimeouts { read: seconds(60), write: seconds(5), idle: None };
    assert_eq!(point.timeouts, timeouts);
    assert_eq!((point.grace.as_secs(), point.request_accept_grace.as_secs()), (4, 3));
    assert_eq!(point.keep_alive_requests_max, Some(100));
    assert_eq!(point.keep_alive_time_max, seconds(60));
    assert_eq!(point.head_bytes_max, Some(4096));
    assert!(!point.sanitize_path && point.encode_query_semicolons);
}

#[test]
fn every_static_key_beside_entry_points_is_read() {
    let statics = loaded(EVERY_KEY, STRICT).statics;
    let seconds = |it| Some(Duration::from_secs(it));
    assert_eq!(statics.entry_points[1].name, "traefik");
    assert_eq!(statics.entry_points[1].address.port, 8080);
    let ping = Ping { entry_point: Some(EntryPointIndex(1)), terminating_status: 204 };
    assert_eq!(statics.ping, Some(ping));
    assert_eq!(statics.providers_throttle, Duration::from_millis(500));
    let log = LogOptions { level: LogLevel::Debug, file: Some("s.log".into()), json: true };
    assert_eq!(statics.log, log);
    assert_eq!(statics.transport.idle_per_server_max, 2);
    assert_eq!(statics.transport.dial_timeout, None);
    assert_eq!(statics.transport.response_header_timeout, seconds(7));
    let access = statics.access_log.unwrap();
    assert_eq!((access.format, access.buffering_lines), (AccessLogFormat::Json, 10));
    assert_eq!(access.filters.status_codes, [(200, 200), (300, 302)]);
    assert_eq!(access.filters.duration_min, Some(Duration::from_millis(10)));
    let fields = AccessLogFields {
        default_mode: FieldMode::Drop,
        names: vec![("ClientHost".to_owned(), FieldMode::Redact)],
        header_default_mode: FieldMode::Keep,
        headers: vec![("X-Api-Key".to_owned(), FieldMode::Drop)],
        query_default_mode: FieldMode::Redact,
    };
    assert_eq!(access.fields, fields);
    let limits = Limits {
        head_bytes_max: 32_768,
        head_fields_max: 50,
        request_line_bytes_max: 4096,
        head_timeout: Duration::from_secs(1),
        body_rate_min: 0,
        body_rate_window: Duration::from_secs(2),
        send_timeout: Duration::from_secs(3),
        tunnel_idle_timeout: seconds(4),
        connections_max: Some(5),
        connections_per_address_max: Some(2),
        requests_per_connection_max: Some(1000),
        request_body_bytes_max: Some(10_000_000),
        memory: MemoryLimit::Bytes(512 << 20),
    };
    let settings = Settings {
        workers: Some(3),
        pin: Some(true),
        driver: DriverChoice::Epoll,
        ring_entries: 256,
        resolve_interval: Duration::from_secs(60),
        limits,
    };
    assert_eq!(statics.settings, settings);
}

const MISTAKES: Cases<'static> = &[
    (
        "addresses",
        "entryPoints:\n  a: {}\n  b: {address: '80'}\n  c: {address: ':99999'}\n  \
         d: {address: '::1:80'}\n  e: {address: '[::x]:80'}\n  f: {address: ':80/udp'}\n  \
         g: {address: 'a b:80'}\n",
        &[
            "f.yml:2:3: entryPoints.a.address: no address; write :80, 127.0.0.1:80 or [::1]:80",
            "f.yml:3:16: entryPoints.b.address: `80` has no port; \
             write :80, 127.0.0.1:80 or [::1]:80",
            "f.yml:4:16: entryPoints.c.address: `99999` is not a port; \
             write :80, 127.0.0.1:80 or [::1]:80",
            "f.yml:5:16: entryPoints.d.address: `::1:80` needs brackets around IPv6; \
             write :80, 127.0.0.1:80 or [::1]:80",
            "f.yml:6:16: entryPoints.e.address: `::x` is not an IPv6 address; \
             write :80, 127.0.0.1:80 or [::1]:80",
            "f.yml:7:16: entryPoints.f.address: not supported by sundew yet: UDP; \
             remove it, or start with --lenient",
            "f.yml:8:16: entryPoints.g.address: `a b` is not a host; \
             write :80, 127.0.0.1:80 or [::1]:80",
        ],
    ),
    (
        "an entry point",
        "entryPoints:\n  web:\n    address: ':80'\n    htp: {}\n    http: {tls: {}}\n    \
         forwardedHeaders: {trustedIPs: [10.0.0.0/33]}\n    \
         transport: {keepAliveMaxRequests: -1, respondingTimeouts: {readTimeout: -5s}}\n  \
         web2: {address: ':81'}\n  web3: {address: ':81'}\n",
        &[
            "f.yml:4:5: entryPoints.web: unknown key `htp`; did you mean `http`?",
            "f.yml:5:12: entryPoints.web.http.tls: not supported by sundew yet; \
             remove it, or start with --lenient",
            "f.yml:6:37: entryPoints.web.forwardedHeaders.trustedIPs[0]: \
             `10.0.0.0/33` is neither an IP address nor a network; \
             write an address, or a network such as 10.0.0.0/8",
            "f.yml:7:39: entryPoints.web.transport.keepAliveMaxRequests: \
             -1 is out of range; write 0 to 9223372036854775807",
            "f.yml:7:77: entryPoints.web.transport.respondingTimeouts.readTimeout: \
             a negative duration; write seconds, or a duration such as 30s, 500ms or 1m30s",
            "f.yml:9:19: entryPoints.web3.address: the same address as entry point `web2`; \
             give each its own port",
        ],
    ),
    (
        "what is not there yet, and what needs no line",
        "api: {dashboard: true}\nmetrics: {otlp: {}}\n\
         providers: {docker: {}}\nexperimental: {}\nX-Mine: {any: thing}\nx-other: 1\n\
         certificatesResolvers: {le: {acme: {}}}\ntcp: {}\ncore: {defaultRuleSyntax: v2}\n",
        &[
            "f.yml:1:1: note: api: without effect: neither `insecure: true` nor `sundew.api.socket`",
            "f.yml:2:11: metrics.otlp: not supported by sundew yet; \
             remove it, or start with --lenient",
            "f.yml:3:13: providers.docker: not supported by sundew yet; \
             remove it, or start with --lenient",
            "f.yml:4:1: note: experimental: accepted, without effect in sundew",
            "f.yml:7:1: note: certificatesResolvers: accepted, without effect in sundew",
            "f.yml:8:1: tcp: not supported by sundew yet; remove it, or start with --lenient",
            "f.yml:9:8: core.defaultRuleSyntax: not supported by sundew yet; write `v3`",
        ],
    ),
    (
        "logs, ping and our own section",
        "log: {level: verbose}\naccessLog: {format: jsn, filters: {statusCodes: [2xx]}, \
         fields: {defaultMode: kep}}\nping: {entryPoint: wbe}\n\
         sundew: {workers: 0, driver: ring, limits: {headBytes: 300, headTimeout: 0}}\n\
         entrypoint: {}\n",
        &[
            "f.yml:1:14: log.level: unknown value `verbose`; \
             write TRACE, DEBUG, INFO, WARN, ERROR, FATAL, PANIC",
            "f.yml:2:21: accessLog.format: unknown value `jsn`; did you mean `json`?",
            "f.yml:2:50: accessLog.filters.statusCodes[0]: \
             `2xx` is not a status code or range; write 200 or 300-399",
            "f.yml:2:79: accessLog.fields.defaultMode: unknown value `kep`; \
             did you mean `keep`?",
            "f.yml:3:20: ping.entryPoint: there is no entry point `wbe`; there is `http`",
            "f.yml:4:19: sundew.workers: 0 is out of range; write 1 to 1024",
            "f.yml:4:30: sundew.driver: unknown value `ring`; did you mean `uring`?",
            "f.yml:4:36: sundew.limits: a request line of 8192 bytes does not fit into a head \
             of 300; raise headBytes or lower requestLineBytes",
            "f.yml:4:74: sundew.limits.headTimeout: must be longer than zero; \
             write seconds, or a duration such as 30s, 500ms or 1m30s",
            "f.yml:5:1: unknown key `entrypoint`; did you mean `entryPoints`?",
        ],
    ),
    (
        "limits",
        "sundew:\n  limits:\n    connections: 0\n    connectionsPerAddress: 0\n    \
         requestsPerConnection: -1\n    requestBodyBytes: 10 elephants\n    memory: 64\n",
        &[
            "f.yml:3:18: sundew.limits.connections: 0 is out of range; write 1 to 4294967295",
            "f.yml:4:28: sundew.limits.connectionsPerAddress: 0 is out of range; \
             write 1 to 4294967295",
            "f.yml:5:28: sundew.limits.requestsPerConnection: -1 is out of range; \
             write 1 to 9223372036854775807",
            "f.yml:6:23: sundew.limits.requestBodyBytes: `10 elephants` is not a size; \
             write bytes, or a size such as 512MiB or 2GB",
            "f.yml:7:13: sundew.limits.memory: 64 bytes are less than a process needs; \
             write at least 1MiB, or off",
        ],
    ),
];

#[test]
fn static_mistakes_are_named() {
    assert_said(MISTAKES, STRICT);
}

#[test]
fn lenient_leaves_out_an_entry_point_that_would_serve_in_the_clear() {
    let text =
        "entryPoints:\n  web: {address: ':80'}\n  websecure: {address: ':443', http: {tls: {}}}\n";
    let points = loaded(text, LENIENT).statics.entry_points;
    assert_eq!(points.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["web"]);
    assert_eq!(
        said("entryPoints: {secure: {address: ':443', http: {tls: {}}}}", LENIENT),
        [
            "f.yml:1:1: entryPoints: no entry point is left; write at least one with an address",
            "f.yml:1:15: warning: entryPoints.secure: this entry point is left out",
            "f.yml:1:48: warning: entryPoints.secure.http.tls: not supported by sundew yet",
        ]
    );
}
