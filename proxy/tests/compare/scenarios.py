"""What both proxies are asked: HTTP exchanges against one large configuration, and small
configurations that are accepted or not. `@A@` stands for the URL of server A, `PIN(A)` for its
sticky value."""

# One service per host name; every router is `Host`.
DYNAMIC = """
http:
  routers:
    plain: {rule: "Host(`plain.test`)", service: plain}
    none: {rule: "Host(`empty.test`)", service: empty}
    sticky: {rule: "Host(`sticky.test`)", service: sticky}
    default: {rule: "Host(`default.test`)", service: default-name}
    full: {rule: "Host(`full.test`)", service: full}
    two: {rule: "Host(`two.test`)", service: two}
    dead: {rule: "Host(`dead.test`)", service: dead}
    base: {rule: "Host(`base.test`)", service: base}
    own-host: {rule: "Host(`own-host.test`)", service: own-host}
    slow: {rule: "Host(`slow.test`)", service: slow}
    weighted: {rule: "Host(`weighted.test`)", service: weighted}
    zero: {rule: "Host(`zero.test`)", service: zero}
    shares: {rule: "Host(`shares.test`)", service: shares}
    same: {rule: "Host(`same.test`)", service: same}
    missing: {rule: "Host(`no-such-host.test`)", service: plain}
    prefix: {rule: "Host(`route.test`) && PathPrefix(`/pre`)", service: plain}
    exact: {rule: "Host(`route.test`) && Path(`/exact`)", service: sticky}
    method: {rule: "Host(`route.test`) && Method(`POST`)", service: two}
    header: {rule: "Host(`route.test`) && Header(`X-Route`, `yes`)", service: full}
    not: {rule: "Host(`not.test`) && !Path(`/no`)", service: plain}
    either: {rule: "(Host(`e1.test`) || Host(`e2.test`)) && Path(`/a b`)", service: plain}
    low: {rule: "Host(`prio.test`)", service: plain, priority: 1}
    high: {rule: "Host(`prio.test`)", service: sticky, priority: 1000}
    noop: {rule: "Host(`noop.test`)", service: noop@internal}
    any: {rule: "Host(`*.wild.test`)", service: plain}
    p2c: {rule: "Host(`p2c.test`)", service: p2c}
    hrw: {rule: "Host(`hrw.test`)", service: hrw}
    leasttime: {rule: "Host(`leasttime.test`)", service: leasttime}
    by-address: {rule: "Host(`by-address.test`)", service: by-address}
    mirror: {rule: "Host(`mirror.test`)", service: mirror}
    mirror-short: {rule: "Host(`mirror-short.test`)", service: mirror-short}
    mirror-bare: {rule: "Host(`mirror-bare.test`)", service: mirror-bare}
    failover: {rule: "Host(`failover.test`)", service: failover}
    failover-short: {rule: "Host(`failover-short.test`)", service: failover-short}
    failover-dead: {rule: "Host(`failover-dead.test`)", service: failover-dead}
    failover-empty: {rule: "Host(`failover-empty.test`)", service: failover-empty}
  services:
    plain: {loadBalancer: {servers: [{url: "@A@"}]}}
    empty: {loadBalancer: {sticky: {cookie: {name: sid}}, servers: []}}
    sticky: {loadBalancer: {sticky: {cookie: {name: sid}}, servers: [{url: "@A@"}]}}
    default-name: {loadBalancer: {sticky: {cookie: {}}, servers: [{url: "@A@"}]}}
    full:
      loadBalancer:
        sticky:
          cookie: {name: "a b/c", secure: true, httpOnly: true, sameSite: lax, maxAge: 60,
                   path: /x, domain: example.test}
        servers: [{url: "@A@"}]
    two: {loadBalancer: {sticky: {cookie: {name: sid}}, servers: [{url: "@A@"}, {url: "@B@"}]}}
    dead: {loadBalancer: {sticky: {cookie: {name: sid}}, servers: [{url: "@DEAD@"}]}}
    base: {loadBalancer: {servers: [{url: "@A@/base/", preservePath: true}]}}
    own-host: {loadBalancer: {passHostHeader: false, servers: [{url: "@A@"}]}}
    slow: {loadBalancer: {serversTransport: quick, servers: [{url: "@SILENT@"}]}}
    weighted:
      weighted:
        sticky: {cookie: {name: outer}}
        services: [{name: one, weight: 1}, {name: gone, weight: 0}]
    one: {loadBalancer: {sticky: {cookie: {name: inner}}, servers: [{url: "@A@"}]}}
    gone: {loadBalancer: {servers: [{url: "@B@"}]}}
    same:
      weighted:
        sticky: {cookie: {name: sid}}
        services: [{name: sticky}]
    zero:
      loadBalancer:
        sticky: {cookie: {name: sid}}
        servers: [{url: "@A@", weight: 1}, {url: "@B@", weight: 0}]
    shares: {loadBalancer: {servers: [{url: "@A@", weight: 3}, {url: "@B@", weight: 1}]}}
    p2c: {loadBalancer: {strategy: p2c, sticky: {cookie: {name: sid}}, servers: [{url: "@A@"}]}}
    hrw:
      loadBalancer:
        strategy: hrw
        sticky: {cookie: {name: sid}}
        servers: [{url: "@A@", weight: 2}, {url: "@B@", weight: 3}]
    leasttime:
      loadBalancer:
        strategy: leasttime
        sticky: {cookie: {name: sid}}
        servers: [{url: "@A@"}]
    by-address: {highestRandomWeight: {services: [{name: plain}, {name: gone, weight: 2}]}}
    mirror: {mirroring: {service: sticky, mirrors: [{name: gone, percent: 100}]}}
    mirror-short:
      mirroring: {service: sticky, maxBodySize: 4, mirrors: [{name: gone, percent: 100}]}
    mirror-bare:
      mirroring: {service: sticky, mirrorBody: false, mirrors: [{name: gone, percent: 100}]}
    failover: {failover: {service: sticky, fallback: gone, errors: {status: ["500-502", "404"]}}}
    failover-short:
      failover:
        service: sticky
        fallback: gone
        errors: {status: ["500"], maxRequestBodyBytes: 4}
    failover-dead: {failover: {service: dead, fallback: sticky, errors: {status: ["502"]}}}
    failover-empty: {failover: {service: empty, fallback: sticky, errors: {status: ["503"]}}}
  serversTransports:
    quick: {forwardingTimeouts: {responseHeaderTimeout: 300ms}}
"""


def get(name, host, target="/", fields=(), script=None, method="GET", body=None, version="1.1",
        after=None, raw=None):
    """One exchange. `fields` are lines without CRLF; `after` is sent once a 1xx or 101 came."""
    if raw is None:
        lines = [f"{method} {target} HTTP/{version}", f"Host: {host}"]
        if not any(line.lower().startswith("accept-encoding") for line in fields):
            # Without it Traefik asks for gzip by itself: one scenario of its own shows that.
            lines.append("Accept-Encoding: identity")
        lines += fields
        if script:
            lines.append(f"X-Script: {script}")
        if body is not None and not any("transfer-encoding" in line.lower() for line in fields):
            lines.append(f"Content-Length: {len(body)}")
        raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if body is not None and after is None:
            raw += body
    return {"name": name, "method": method, "raw": raw, "after": after}


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
FORGED = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test",
          "X-Forwarded-Port: 1", "X-Forwarded-Server: evil", "X-Forwarded-Uri: /evil",
          "X-Forwarded-Method: EVIL", "X-Forwarded-Prefix: /evil", "X-Real-Ip: 192.0.2.2",
          "X-Forwarded-Tls-Client-Cert: evil", "X_Forwarded_For: 192.0.2.3", "x_real-ip: evil",
          "X-Forwarded-Scheme: kept", "X-Scheme: kept")

EXCHANGES = [
    # Sticky cookies: when they are sent.
    get("sticky-new", "sticky.test"),
    get("sticky-default-name", "default.test"),
    get("sticky-all-attributes", "full.test"),
    get("sticky-pinned", "two.test", fields=("Cookie: sid=PIN(B)",)),
    get("sticky-raw-url", "two.test", fields=("Cookie: sid=@B@",)),
    get("sticky-fnv1", "two.test", fields=("Cookie: sid=FNV1(B)",)),
    get("sticky-fnv1-twice", "two.test", fields=("Cookie: sid=FNV1X2(B)",)),
    get("sticky-unknown", "sticky.test", fields=("Cookie: sid=0123456789abcdef",)),
    get("sticky-upper-case", "sticky.test", fields=("Cookie: sid=ABCDEF",)),
    get("sticky-empty-service", "empty.test"),
    get("sticky-dead", "dead.test"),
    get("sticky-dead-pinned", "dead.test", fields=("Cookie: sid=PIN(DEAD)",)),
    get("sticky-on-head", "sticky.test", method="HEAD"),
    get("sticky-on-options", "sticky.test", method="OPTIONS"),
    get("sticky-on-unknown-method", "sticky.test", method="BREW"),
    get("sticky-on-post", "sticky.test", method="POST", body=b"data"),
    *(get(f"sticky-on-{status}", "sticky.test", script=f"status-{status}")
      for status in (201, 204, 301, 304, 400, 404, 429, 500, 502, 503)),
    get("sticky-before-own-cookies", "sticky.test", script="cookies"),
    get("sticky-after-103", "sticky.test", script="hints"),
    get("sticky-after-100", "sticky.test", fields=("Expect: 100-continue",), script="continue",
        method="POST", body=b"data", after=b"data"),
    get("sticky-on-101", "sticky.test", fields=UPGRADE, script="upgrade", after=b"echo me"),
    get("sticky-on-101-pinned", "sticky.test", fields=(*UPGRADE, "Cookie: sid=PIN(A)"),
        script="upgrade", after=b"echo me"),
    get("sticky-zero-weight-new", "zero.test"),
    get("sticky-zero-weight-pinned", "zero.test", fields=("Cookie: sid=PIN(B)",)),
    get("weighted-new", "weighted.test"),
    get("weighted-pinned", "weighted.test", fields=("Cookie: outer=NAME(one); inner=PIN(A)",)),
    get("weighted-raw-name", "weighted.test", fields=("Cookie: outer=one; inner=PIN(A)",)),
    get("weighted-inner-only", "weighted.test", fields=("Cookie: inner=PIN(A)",)),
    get("weighted-same-name", "same.test"),
    # Strategies, and services in front of services. A mirror's request is the last.
    get("strategy-p2c", "p2c.test"),
    get("strategy-p2c-pinned", "p2c.test", fields=("Cookie: sid=PIN(A)",)),
    get("strategy-hrw", "hrw.test", fields=("Cookie: sid=PIN(A)",)),
    get("strategy-leasttime", "leasttime.test"),
    get("strategy-leasttime-pinned", "leasttime.test", fields=("Cookie: sid=PIN(A)",)),
    get("service-by-address", "by-address.test"),
    get("mirror-get", "mirror.test", fields=("Cookie: sid=PIN(A)",)),
    get("mirror-new", "mirror.test"),
    get("mirror-post", "mirror.test", method="POST", body=b"12345"),
    get("mirror-chunked", "mirror.test", method="POST", fields=("Transfer-Encoding: chunked",),
        body=b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    get("mirror-of-error", "mirror.test", script="status-500"),
    get("mirror-body-fits", "mirror-short.test", method="POST", body=b"1234"),
    get("mirror-body-too-long", "mirror-short.test", method="POST", body=b"12345"),
    get("mirror-without-body", "mirror-bare.test", method="POST", body=b"1234"),
    get("failover-not-needed", "failover.test", method="POST", body=b"12345"),
    *(get(f"failover-on-{status}", "failover.test", script=f"status-{status}",
          fields=("Cookie: sid=x",)) for status in (404, 500, 503)),
    get("failover-body", "failover.test", script="status-502", method="POST", body=b"12345"),
    get("failover-body-fits", "failover-short.test", script="status-500", method="POST",
        body=b"1234"),
    get("failover-body-too-long", "failover-short.test", method="POST", body=b"12345"),
    get("failover-refused", "failover-dead.test", method="POST", body=b"12345"),
    get("failover-empty", "failover-empty.test"),
    get("service-noop", "noop.test"),
    # How a Cookie field is read.
    get("cookie-quoted", "two.test", fields=('Cookie: sid="PIN(B)"',)),
    get("cookie-blanks-around", "two.test", fields=("Cookie:    sid=PIN(B)  ; x=y",)),
    get("cookie-first-wins", "two.test", fields=("Cookie: sid=PIN(B); sid=PIN(A)",)),
    get("cookie-two-lines", "two.test", fields=("Cookie: a=b", "Cookie: sid=PIN(B)")),
    get("cookie-no-blank", "two.test", fields=("Cookie: a=b;sid=PIN(B);",)),
    get("cookie-bad-entry-before", "two.test", fields=("Cookie: bad name=1; sid=PIN(B)",)),
    get("cookie-bad-value-before", "two.test", fields=("Cookie: sid=a\\b; sid=PIN(B)",)),
    get("cookie-obs-text-before", "two.test", fields=("Cookie: sid=\xe9; sid=PIN(B)",)),
    get("cookie-blank-before-equals", "sticky.test", fields=("Cookie: sid =PIN(A)",)),
    get("cookie-blank-after-equals", "sticky.test", fields=("Cookie: sid= PIN(A)",)),
    get("cookie-half-quoted", "sticky.test", fields=('Cookie: sid="PIN(A)',)),
    get("cookie-bare-first", "sticky.test", fields=("Cookie: sid; sid=PIN(A)",)),
    get("cookie-other-case", "sticky.test", fields=("Cookie: SID=PIN(A)",)),
    get("cookie-comma", "sticky.test", fields=("Cookie: a=b, sid=PIN(A)",)),
    # Errors.
    get("error-no-router", "unknown.test"),
    get("error-no-router-head", "unknown.test", method="HEAD"),
    get("error-no-server", "empty.test", fields=("Connection: close",)),
    get("error-refused", "dead.test", method="POST", body=b"x"),
    get("error-timeout", "slow.test"),
    get("error-reset", "plain.test", script="reset", method="POST", body=b""),
    *(get(f"origin-{script}", "plain.test", script=script)
      for script in ("not-http", "bad-status", "no-colon", "two-lengths", "head-cut", "nul",
                     "unknown-coding", "unasked-101", "no-reason", "equal-lengths",
                     "length-and-chunked", "obs-text", "http-1.0", "chunk-cut", "no-type",
                     "dated", "hop", "chunked", "trailers", "close", "hints", "two-hints",
                     "processing", "cookies")),
    get("status-rewritten", "plain.test", script="status-599"),
    # Forwarded fields and hop-by-hop fields.
    get("forwarded-forged", "plain.test", fields=FORGED),
    get("forwarded-port", "plain.test:8443"),
    get("forwarded-rfc7239", "plain.test", fields=("Forwarded: for=192.0.2.1",)),
    get("forwarded-websocket", "plain.test", fields=UPGRADE, script="upgrade", after=b"x"),
    get("hop-by-hop", "plain.test",
        fields=("Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5",
                "Proxy-Connection: x", "Proxy-Authorization: x", "Proxy-Authenticate: x")),
    get("hop-by-hop-te", "plain.test", fields=("TE: trailers, deflate",)),
    get("hop-by-hop-te-listed", "plain.test", fields=("Connection: TE", "TE: trailers")),
    get("hop-by-hop-managed", "plain.test", fields=("Connection: X-Forwarded-For, X-Real-Ip",)),
    get("hop-by-hop-cookie", "sticky.test",
        fields=("Connection: Cookie", "Cookie: sid=PIN(A)")),
    get("hop-by-hop-trailer", "plain.test", method="POST", body=b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n",
        fields=("Transfer-Encoding: chunked", "Trailer: X-T")),
    get("own-host", "own-host.test"),
    get("empty-user-agent", "plain.test", fields=("User-Agent:",)),
    get("no-accept-encoding", "plain.test", fields=("Accept-Encoding:",)),
    # Targets and routing.
    *(get(f"target-{number}", "plain.test", target=target) for number, target in enumerate((
        "/a//b", "/a/./b", "/a/b/../c", "/a/b/../c/..", "/%2e%2e/x", "/../../etc", "/a/",
        "/%41%7e%c3%a9", "/a%2fb", "/a%20b", "/?x=/a//../b&y=%2e", "/a?", "/a;b?x=1;y=2",
        "/a%2Fb?c=%zz", "/a+b", "/:@!$&'()*+,=", "/%25", "/?a=b?c", "//", "/.", "/..", "/a%3Fb"))),
    get("target-preserve-path", "base.test", target="/x?y"),
    get("target-preserve-path-root", "base.test"),
    get("target-absolute", "", raw=b"GET http://plain.test/a?b HTTP/1.1\r\nHost: plain.test\r\n"
                                   b"Accept-Encoding: identity\r\n\r\n"),
    get("target-absolute-other-host", "", raw=b"GET http://plain.test/ HTTP/1.1\r\n"
        b"Host: other.test\r\nAccept-Encoding: identity\r\n\r\n"),
    get("target-star", "", method="OPTIONS",
        raw=b"OPTIONS * HTTP/1.1\r\nHost: plain.test\r\n\r\n"),
    get("route-prefix", "route.test", target="/prefixed"),
    get("route-exact", "route.test", target="/exact"),
    get("route-exact-slash", "route.test", target="/exact/"),
    get("route-method", "route.test", target="/x", method="POST", body=b"",
        fields=("Cookie: sid=PIN(A)",)),
    get("route-header", "route.test", target="/y", fields=("x-route: yes",)),
    get("route-none", "route.test", target="/z"),
    get("route-not", "not.test", target="/no"),
    get("route-not-matching", "not.test", target="/yes"),
    get("route-either-escaped", "e2.test", target="/a%20b"),
    get("route-priority", "prio.test"),
    get("route-host-upper-case", "PLAIN.Test"),
    get("route-host-dot", "plain.test."),
    get("route-host-wildcard", "x.wild.test"),
    get("route-host-wildcard-two", "x.y.wild.test"),
    # Versions, framing and expectations.
    get("http-1.0", "plain.test", version="1.0"),
    get("http-1.0-keep-alive", "plain.test", version="1.0", fields=("Connection: keep-alive",)),
    get("http-1.0-chunked-answer", "plain.test", version="1.0", script="chunked"),
    get("http-1.0-close-delimited", "plain.test", version="1.0", script="close"),
    get("http-1.0-hints", "plain.test", version="1.0", script="hints"),
    get("http-1.2", "plain.test", version="1.2"),
    get("connection-close", "plain.test", fields=("Connection: close",)),
    get("head-chunked", "plain.test", method="HEAD", script="status-304"),
    get("post-length", "plain.test", method="POST", body=b"0123456789"),
    get("post-empty", "plain.test", method="POST", body=b""),
    get("post-chunked", "plain.test", method="POST", fields=("Transfer-Encoding: chunked",),
        body=b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
    get("get-with-body", "plain.test", body=b"body"),
    get("delete-with-body", "plain.test", method="DELETE", body=b"body"),
    get("expect-silent-origin", "plain.test", method="POST", fields=("Expect: 100-continue",),
        body=b"data", after=b"data"),
    get("expect-early-final", "plain.test", method="POST", fields=("Expect: 100-continue",),
        body=b"data", script="early-final", after=b""),
    get("expect-unknown", "plain.test", fields=("Expect: else",)),
    get("upgrade-refused", "plain.test", fields=UPGRADE),
    get("upgrade-h2c", "plain.test", fields=("Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")),
    get("upgrade-other-answer", "plain.test", fields=UPGRADE, script="switch"),
    get("leading-empty-line", "", raw=b"\r\nGET / HTTP/1.1\r\nHost: plain.test\r\n"
                                      b"Accept-Encoding: identity\r\n\r\n"),
    # Refused at the door.
    *(get(f"bad-{name}", "", raw=raw) for name, raw in (
        ("no-host", b"GET / HTTP/1.1\r\n\r\n"),
        ("two-hosts", b"GET / HTTP/1.1\r\nHost: plain.test\r\nHost: plain.test\r\n\r\n"),
        ("host-blank", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ("name-blank", b"GET / HTTP/1.1\r\nHost: plain.test\r\nX : y\r\n\r\n"),
        ("no-colon", b"GET / HTTP/1.1\r\nHost: plain.test\r\nbroken\r\n\r\n"),
        ("two-lengths", b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 1\r\n"
                        b"Content-Length: 2\r\n\r\nab"),
        ("length-and-chunked", b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 1\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("coding", b"POST / HTTP/1.1\r\nHost: plain.test\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ("nul", b"GET / HTTP/1.1\r\nHost: plain.test\r\nX: a\0b\r\n\r\n"),
        ("escape", b"GET /%zz HTTP/1.1\r\nHost: plain.test\r\n\r\n"),
        ("fragment", b"GET /#x HTTP/1.1\r\nHost: plain.test\r\n\r\n"),
        ("version", b"GET / HTTP/2.0\r\nHost: plain.test\r\n\r\n"),
        ("version-case", b"GET / http/1.1\r\nHost: plain.test\r\n\r\n"),
        ("blank-in-target", b"GET /a b HTTP/1.1\r\nHost: plain.test\r\n\r\n"),
        ("bare-lf", b"GET / HTTP/1.1\nHost: plain.test\nAccept-Encoding: identity\n\n"),
        ("fold", b"GET / HTTP/1.1\r\nHost: plain.test\r\nAccept-Encoding: identity\r\n"
                 b"X: a\r\n b\r\n\r\n"),
        ("connect", b"CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n"),
    )),
]

ROUTER = 'http:\n  routers: {app: {rule: "PathPrefix(`/`)", service: app}}\n'


def balancer(lines, servers='[{url: "@A@"}]'):
    return f"{ROUTER}  services:\n    app:\n      loadBalancer:\n        servers: {servers}\n" + (
        "".join(f"        {line}\n" for line in lines.split("\n") if line))


# Name, dynamic file, and the file's extension. What is compared: whether it is served, and how.
CONFIGURATIONS = [
    ("config-cookie-map", balancer("sticky: {cookie: {}}"), "yml"),
    ("config-cookie-true", balancer("sticky: {cookie: true}"), "yml"),
    ("config-cookie-null", balancer("sticky: {cookie: }"), "yml"),
    ("config-cookie-false", balancer("sticky: {cookie: false}"), "yml"),
    ("config-sticky-map", balancer("sticky: {}"), "yml"),
    ("config-sticky-true", balancer("sticky: true"), "yml"),
    ("config-sticky-null", balancer("sticky:"), "yml"),
    ("config-sticky-text", balancer("sticky: 'x'"), "yml"),
    ("config-other-case", balancer("STICKY: {Cookie: {NAME: sid, HttpOnly: true}}"), "yml"),
    ("config-quoted-scalars", balancer("sticky: {cookie: {secure: 'true', maxAge: '5'}}"), "yml"),
    ("config-number-as-bool", balancer("sticky: {cookie: {secure: 1}}"), "yml"),
    ("config-yes-as-bool", balancer("sticky: {cookie: {secure: yes}}"), "yml"),
    ("config-float-as-int", balancer("sticky: {cookie: {maxAge: 1.5}}"), "yml"),
    ("config-whole-float-as-int", balancer("sticky: {cookie: {maxAge: 5.0}}"), "yml"),
    ("config-same-site-case", balancer("sticky: {cookie: {sameSite: StRiCt}}"), "yml"),
    ("config-same-site-unknown", balancer("sticky: {cookie: {sameSite: maybe}}"), "yml"),
    ("config-path-empty", balancer("sticky: {cookie: {path: ''}}"), "yml"),
    ("config-path-semicolon", balancer("sticky: {cookie: {path: '/a;b'}}"), "yml"),
    ("config-domain-invalid", balancer("sticky: {cookie: {domain: 'a b'}}"), "yml"),
    ("config-domain-dot", balancer("sticky: {cookie: {domain: '.example.test'}}"), "yml"),
    ("config-name-odd", balancer("sticky: {cookie: {name: 'ä/b c'}}"), "yml"),
    ("config-max-age-negative", balancer("sticky: {cookie: {maxAge: -5}}"), "yml"),
    ("config-unknown-key", balancer("sticky: {cookie: {nmae: x}}"), "yml"),
    ("config-unknown-root-key", "other: {a: 1}\n" + balancer(""), "yml"),
    ("config-merge-key", "x-base: &base {name: sid}\n"
                         + balancer("sticky: {cookie: {<<: *base, secure: true}}"), "yml"),
    ("config-duplicate-key", balancer("passHostHeader: true\npassHostHeader: false"), "yml"),
    ("config-no-servers", balancer("", "[]"), "yml"),
    ("config-url-without-scheme", balancer("", '[{url: "127.0.0.1:80"}]'), "yml"),
    ("config-url-path-ignored", balancer("", '[{url: "@A@/x"}]'), "yml"),
    ("config-weight-text", balancer("", '[{url: "@A@", weight: "2"}]'), "yml"),
    ("config-weight-float", balancer("", '[{url: "@A@", weight: 1.0}]'), "yml"),
    ("config-weight-zero", balancer("", '[{url: "@A@", weight: 0}]'), "yml"),
    ("config-weight-negative", balancer("", '[{url: "@A@", weight: -1}]'), "yml"),
    ("config-entry-points-scalar",
     balancer("").replace("service: app}", 'service: app, entryPoints: "web"}'), "yml"),
    ("config-entry-point-unknown",
     balancer("").replace("service: app}", "service: app, entryPoints: [nope]}"), "yml"),
    ("config-priority-text", balancer("").replace("service: app}", 'service: app, priority: "7"}'),
     "yml"),
    ("config-service-missing", balancer("").replace("service: app}", "service: nope}"), "yml"),
    ("config-service-qualified", balancer("").replace("service: app}", "service: app@file}"),
     "yml"),
    ("config-rule-unknown", balancer("").replace("PathPrefix", "Paths"), "yml"),
    ("config-rule-arguments", balancer("").replace("PathPrefix(`/`)", "Host(`a`, `b`)"), "yml"),
    *((f"config-rule-{name}", balancer("").replace("PathPrefix(`/`)", rule), "yml")
      for name, rule in (
        ("tcp", "HostSNI(`*`)"), ("bad-regexp", "PathRegexp(`a**`)"),
        ("look-ahead", "PathRegexp(`(?=/)`)"), ("bomb", "PathRegexp(`((/{1000}){1000}){1000}`)"),
        ("bad-address", "ClientIP(`127.0.0.0/33`)"), ("no-address", "ClientIP(`localhost`)"),
        ("three-arguments", "Query(`a`, `b`, `c`)"), ("relative-path", "PathPrefix(`x`)"))),
    ("config-rule-lower-case", balancer("").replace("PathPrefix", "pathprefix"), "yml"),
    ("config-rule-empty", balancer("").replace("PathPrefix(`/`)", ""), "yml"),
    ("config-rule-double-quoted", balancer("").replace('"PathPrefix(`/`)"', "'PathPrefix(\"/\")'"),
     "yml"),
    ("config-health-check-empty", balancer("healthCheck: {}"), "yml"),
    ("config-health-check-interval-int", balancer("healthCheck: {path: /, interval: 5}"), "yml"),
    ("config-http-empty", "http: {}\n", "yml"),
    ("config-empty-file", "# nothing\n", "yml"),
    ("config-second-document", balancer("") + "---\nhttp: {bad: }\n", "yml"),
    ("config-weighted-unknown-child",
     f"{ROUTER}  services: {{app: {{weighted: {{services: [{{name: nope}}]}}}}}}\n", "yml"),
    ("config-two-kinds",
     f"{ROUTER}  services: {{app: {{weighted: {{services: [{{name: app}}]}}, "
     'loadBalancer: {servers: [{url: "@A@"}]}}}\n', "yml"),
    *((f"config-strategy-{name or 'empty'}", balancer(f"strategy: '{name}'"), "yml")
      for name in ("", "wrr", "p2c", "hrw", "leasttime", "WRR", "random")),
    ("config-passive", balancer("passiveHealthCheck: {failureWindow: 3s, maxFailedAttempts: 2}"),
     "yml"),
    *((f"config-{name}", f"{ROUTER}  services:\n    app: {{{text}}}\n    "
       'one: {loadBalancer: {servers: [{url: "@A@"}]}}\n    '
       'two: {loadBalancer: {healthCheck: {path: /}, servers: [{url: "@A@"}]}}\n', "yml")
      for name, text in (
        ("failover", "failover: {service: two, fallback: one}"),
        ("failover-without-health", "failover: {service: one, fallback: two}"),
        ("failover-both-need-health", "failover: {service: two, fallback: one, healthCheck: {}}"),
        ("failover-errors", "failover: {service: one, fallback: two, errors: {status: [500]}}"),
        ("failover-bad-range", "failover: {service: one, fallback: two, errors: {status: [5xx]}}"),
        ("mirroring", "mirroring: {service: one, mirrors: [{name: two, percent: 50}]}"),
        ("mirroring-101-percent", "mirroring: {service: one, mirrors: [{name: two, percent: 101}]}"),
        ("mirroring-itself", "mirroring: {service: one, mirrors: [{name: app, percent: 1}]}"),
        ("mirroring-health", "mirroring: {service: one, healthCheck: {}}"),
        ("by-address", "highestRandomWeight: {services: [{name: one}]}"),
        ("by-address-health", "highestRandomWeight: {healthCheck: {}, services: [{name: one}]}"),
        ("by-address-missing", "highestRandomWeight: {services: [{name: nope}]}"))),
    ("config-toml",
     '[http.routers.app]\nrule = "PathPrefix(`/`)"\nservice = "app"\n'
     "[http.services.app.loadBalancer.sticky.cookie]\nname = \"sid\"\n"
     '[[http.services.app.loadBalancer.servers]]\nurl = "@A@"\n', "toml"),
    ("config-toml-quoted",
     '[http.routers.app]\nrule = "PathPrefix(`/`)"\nservice = "app"\npriority = "7"\n'
     "[http.services.app.loadBalancer.sticky.cookie]\nsecure = \"true\"\n"
     '[[http.services.app.loadBalancer.servers]]\nurl = "@A@"\nweight = "2"\n', "toml"),
    ("config-toml-duplicate",
     '[http.routers.app]\nrule = "PathPrefix(`/`)"\nrule = "Path(`/`)"\nservice = "app"\n'
     '[[http.services.app.loadBalancer.servers]]\nurl = "@A@"\n', "toml"),
]
