"""Rules, each with requests that both proxies are asked: does it match? A request is written
`[METHOD ]host target[ | Field: value]…`; bytes above 0x7f are sent as they are. `ROUTES` are sets
of routers that compete: which one takes a request?"""

HOSTS = ("a.test /", "A.Test /", "a.test. /", "a.test:80 /", "a.test.:80 /", "b.a.test /",
         "a.test.x /", "xa.test /", "c.b.a.test /")
PATHS = ("a /foo", "a /foo/", "a /foobar", "a /FOO", "a /fo", "a /foo?x=/foo", "a /x/foo",
         "a //foo", "a /./foo", "a /x/../foo", "a /foo/..", "a /%66oo", "a /foo%2F", "a /foo%2fx",
         "a /foo%20x", "a /foo/%2e%2e/foo")
HEADERS = ("a / | X-A: one", "a / | x-a: one", "a / | X-A: One", "a / | X-A: one, two",
           "a / | X-A: two | X-A: one", "a / | X-A:    one   ", "a / | X-B: one", "a /",
           "a / | X-A: zone", "a / | X-A:")
QUERIES = ("a /?k=v", "a /?k=", "a /?k", "a /", "a /?K=v", "a /?k=v&k=w", "a /?k=w&k=v",
           "a /?k=w", "a /?x=1&k=v", "a /?k=%76", "a /?%6b=v", "a /?k=v;x", "a /?x;k=v",
           "a /?k=v%zz&k=v", "a /?k=v%zz", "a /?k=vv", "a /?k=v+w", "a /?k=v%20w", "a /?&&k=v&")

RULES = [
    ("host", "Host(`a.test`)", HOSTS),
    ("host-case", "Host(`A.Test`)", HOSTS),
    ("host-dot", "Host(`a.test.`)", HOSTS),
    ("host-wild", "Host(`*.a.test`)", HOSTS),
    ("host-any", "Host(`*`)", ("a.test /", "x /")),
    ("host-address", "Host(`10.0.0.1`)", ("10.0.0.1 /", "10.0.0.1:8 /", "10.0.0.2 /")),
    ("host-regexp", "HostRegexp(`^[a-z]+\\.test$`)", HOSTS),
    ("host-regexp-open", "HostRegexp(`a\\.test`)", HOSTS),
    ("host-regexp-upper", "HostRegexp(`^A`)", HOSTS),
    ("host-regexp-any", "HostRegexp(`.+`)", ("a.test /", "10.0.0.1:80 /")),
    ("path", "Path(`/foo`)", PATHS),
    ("path-slash", "Path(`/foo/`)", PATHS),
    ("path-blank", "Path(`/foo x`)", PATHS),
    ("path-escaped", "Path(`/foo%2Fx`)", PATHS),
    ("prefix", "PathPrefix(`/foo`)", PATHS),
    ("prefix-slash", "PathPrefix(`/foo/`)", PATHS),
    ("prefix-root", "PathPrefix(`/`)", PATHS),
    ("prefix-utf-8", "PathPrefix(`/é`)", ("a /%c3%a9", "a /%C3%A9x", "a /%e9")),
    ("path-braces", "Path(`/{id}`)", ("a /{id}", "a /7", "a /%7Bid%7D")),
    ("path-regexp", "PathRegexp(`^/fo{2}$`)", PATHS),
    ("path-regexp-open", "PathRegexp(`foo`)", PATHS),
    ("path-regexp-case", "PathRegexp(`(?i)^/foo$`)", PATHS),
    ("path-regexp-blank", "PathRegexp(`^/foo\\s`)", PATHS),
    ("path-regexp-bytes", "PathRegexp(`^/.$`)", ("a /%c3%a9", "a /%e9", "a /%e9%e9", "a /x")),
    ("path-regexp-word", "PathRegexp(`^/\\w+$`)", ("a /%c3%a9", "a /ab_9", "a /a-b")),
    ("path-regexp-quoted", "PathRegexp(`^/\\Qa.b\\E$`)", ("a /a.b", "a /axb")),
    ("path-regexp-class", "PathRegexp(`^/[[a&&b]+$`)", ("a /a", "a /&", "a /a&b", "a /c")),
    ("path-regexp-brace", "PathRegexp(`^/a{,2}$`)", ("a /a{,2}", "a /aa", "a /")),
    ("path-regexp-octal", "PathRegexp(`^/\\101$`)", ("a /A", "a /a")),
    ("method", "Method(`post`)", ("POST a /", "GET a /", "post a /")),
    ("method-own", "Method(`BREW`)", ("BREW a /", "GET a /")),
    ("header", "Header(`x-a`, `one`)", HEADERS),
    ("header-regexp", "HeaderRegexp(`X-A`, `^one$`)", HEADERS),
    ("header-regexp-open", "HeaderRegexp(`X-A`, `one`)", HEADERS),
    ("header-regexp-empty", "HeaderRegexp(`X-A`, `^$`)", HEADERS),
    ("header-regexp-bytes", "HeaderRegexp(`X-A`, `^.$`)",
     ("a / | X-A: \xe9", "a / | X-A: \xc3\xa9", "a / | X-A: \xe9\xe9")),
    ("header-host", "Header(`Host`, `a`)", ("a /", "b /")),
    ("header-length", "Header(`Content-Length`, `0`)", ("POST a / | Content-Length: 0", "a /")),
    ("header-proto", "Header(`X-Forwarded-Proto`, `https`)",
     ("a / | X-Forwarded-Proto: https", "a /")),
    ("header-own-proto", "Header(`X-Forwarded-Proto`, `http`)", ("a /",)),
    ("query", "Query(`k`, `v`)", QUERIES),
    ("query-key", "Query(`k`)", QUERIES),
    ("query-blank", "Query(`k`, `v w`)", QUERIES),
    ("query-regexp", "QueryRegexp(`k`, `^v+$`)", QUERIES),
    ("query-regexp-key", "QueryRegexp(`k`)", QUERIES),
    ("client", "ClientIP(`127.0.0.1`)", ("a /", "a / | X-Forwarded-For: 10.0.0.1")),
    ("client-net", "ClientIP(`127.0.0.0/8`)", ("a /",)),
    ("client-other", "ClientIP(`10.0.0.1`)", ("a /", "a / | X-Forwarded-For: 10.0.0.1")),
    ("client-mapped", "ClientIP(`::ffff:127.0.0.1`)", ("a /",)),
    ("client-mapped-net", "ClientIP(`::ffff:127.0.0.0/104`)", ("a /",)),
    ("client-6", "ClientIP(`::/0`)", ("a /",)),
    ("quotes", "Path(\"/\\x41\\u00e9\\\"\")", ("a /A%c3%a9%22", "a /x")),
    ("casing", "HOST(`a`) && pathprefix(`/x`) && Method(`GET`)", ("a /x", "b /x", "a /y")),
    ("not", "!Host(`a`)", ("a /", "b /")),
    ("not-not", "!!Host(`a`)", ("a /", "b /")),
    ("de-morgan", "!(Host(`a`) || Path(`/x`))", ("a /", "b /x", "b /", "a /x")),
    ("de-morgan-and", "!(Host(`a`) && Path(`/x`))", ("a /", "b /x", "b /", "a /x")),
    ("precedence", "Host(`a`) || Host(`b`) && Path(`/x`)", ("a /", "b /", "b /x", "c /x")),
    ("parentheses", "(Host(`a`) || Host(`b`)) && Path(`/x`)", ("a /", "b /", "b /x", "a /x")),
    ("not-binds", "!Host(`a`) && Path(`/x`)", ("a /x", "b /x", "b /")),
]

# Name, routers (rule, priority or None), and requests; each router has a server's answer of its own.
ROUTES = [
    ("by-length", [("PathPrefix(`/`)", None), ("PathPrefix(`/foo`)", None),
                   ("PathPrefix(`/`) && Method(`GET`)", None)],
     ("a /", "a /foo", "POST a /foo", "POST a /")),
    ("by-priority", [("PathPrefix(`/`)", 100), ("PathPrefix(`/foo`) && Host(`a`)", 99),
                     ("Path(`/foo`)", -1)], ("a /", "a /foo")),
    ("zero-is-unset", [("PathPrefix(`/a`)", 0), ("PathPrefix(`/`)", 14)], ("a /a", "a /")),
    ("negative", [("PathPrefix(`/a`)", -5), ("PathPrefix(`/`)", -6)], ("a /a", "a /")),
]


def request(text, fields=()):
    """The bytes of a written request."""
    first, *lines = text.split(" | ")
    words = first.split(" ")
    method, host, target = words if len(words) == 3 else ("GET", *words)
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity",
            "Connection: close", *lines, *fields, "", ""]
    return "\r\n".join(head).encode("latin-1")


def dynamic():
    """Every rule beside the others, told apart by a field of the request."""
    routers, services = [], []
    for name, rule, _ in RULES:
        guarded = f"({rule}) && Header(`X-Rule`, `{name}`)"
        routers.append(f"    {name}: {{rule: {quoted(guarded)}, service: plain}}\n")
    for name, competitors, _ in ROUTES:
        for at, (rule, priority) in enumerate(competitors):
            guarded = f"{rule} && Header(`X-Rule`, `{name}`)"
            written = "" if priority is None else f", priority: {priority}"
            service = f"{name}-{at}"
            routers.append(
                f"    {service}: {{rule: {quoted(guarded)}, service: {service}{written}}}\n")
            services.append(f"    {service}: {{loadBalancer: {{sticky: {{cookie: "
                            f'{{name: {service}}}}}, servers: [{{url: "@A@"}}]}}}}\n')
    return (f"http:\n  routers:\n{''.join(routers)}  services:\n"
            f'    plain: {{loadBalancer: {{servers: [{{url: "@A@"}}]}}}}\n{"".join(services)}')


def quoted(rule):
    return "'" + rule.replace("'", "''") + "'"
