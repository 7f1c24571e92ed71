use std::fs;

use super::*;
use crate::model::{
    Endpoint, ListenAddress, RouterTarget, ServiceIndex, ServiceKind, StickyCookie,
};
use crate::source::FILE_BYTES_MAX;

const STRICT: Options = Options { lenient: false };

/// A directory with files, gone at the end of a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let all = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            all.write(name, text);
        }
        all
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `DIR` in the text is the directory.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("DIR", &self.0.path().display().to_string())).unwrap();
    }

    fn open(&self, name: &str) -> Result<(Loader, Initial), Vec<String>> {
        Loader::open(&self.path(name), STRICT).map_err(|it| self.lines(&it))
    }

    fn lines(&self, diagnostics: &[Diagnostic]) -> Vec<String> {
        let prefix = format!("{}/", self.0.path().display());
        diagnostics.iter().map(|it| it.to_string().replace(&prefix, "")).collect()
    }
}

fn app(name: &str, port: u16) -> String {
    format!(
        "http:\n  routers:\n    {name}: {{rule: 'Host(`{name}`)', service: {name}}}\n  \
         services:\n    {name}: {{loadBalancer: {{servers: [{{url: 'http://a:{port}'}}]}}}}\n"
    )
}

/// Every service and the port of its first server.
fn ports(model: &Model) -> Vec<(String, u16)> {
    model
        .load_balancers()
        .map(|(_, service, balancer)| {
            let Endpoint::Tcp { port, .. } = &balancer.servers[0].endpoint else { panic!() };
            (service.name.clone(), *port)
        })
        .collect()
}

fn named(pairs: &[(&str, u16)]) -> Vec<(String, u16)> {
    pairs.iter().map(|(name, port)| (format!("{name}@file"), *port)).collect()
}

const BY_FILE: &str = "providers: {file: {filename: DIR/app.yml}}\n";
const BY_DIRECTORY: &str = "providers: {file: {directory: DIR/conf.d}}\n";

#[test]
fn the_examples_are_good() {
    let table: [(&str, (usize, usize), &[&str]); 6] = [
        (
            "examples/traefik.yml",
            (2, 2),
            &["examples/traefik.yml:3:1: note: global: accepted, without effect in sundew"],
        ),
        ("examples/app.yml", (2, 2), &[]),
        ("examples/weighted.yml", (1, 3), &[]),
        ("examples/composite.yml", (2, 6), &[]),
        ("examples/one-file.yml", (1, 1), &[]),
        ("examples/one-file.toml", (1, 1), &[]),
    ];
    for (file, want, notes) in table {
        let report = check(Path::new(file), STRICT);
        assert_eq!((report.routers, report.services), want, "{file}");
        let lines: Vec<String> = report.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(lines, notes, "{file}");
    }
}

#[test]
fn a_sticky_example_becomes_the_model_that_traefik_would_run() {
    let (_, initial) = Loader::open(Path::new("examples/traefik.yml"), STRICT).unwrap();
    let model = initial.model;
    let api = &model.routers[0];
    assert_eq!((api.name.as_str(), api.priority), ("api@file", 100));
    let app = &model.routers[1];
    assert_eq!((app.name.as_str(), app.priority), ("app@file", 42));
    // `internal` < `web`: the router names only `web`.
    assert_eq!(app.entry_points.iter().map(|it| it.0).collect::<Vec<_>>(), [1]);
    let RouterTarget::Service(index) = app.target else { panic!() };
    let ServiceKind::LoadBalancer(balancer) = &model.service(index).unwrap().kind else { panic!() };
    let servers: Vec<_> = balancer.servers.iter().map(|it| (it.url.as_str(), it.weight)).collect();
    assert_eq!(
        servers,
        [("http://10.0.1.10:8080", 1), ("http://10.0.1.11:8080", 1), ("http://10.0.1.12:8080", 2)]
    );
    let cookie = balancer.sticky.as_ref().unwrap();
    assert_eq!((cookie.name.as_str(), cookie.max_age), ("app_pin", Some(86_400)));
    assert_eq!(balancer.health_check.as_ref().unwrap().timeout.as_secs(), 2);
    assert_eq!(model.transports[0].idle_per_server_max, 100);
    assert_eq!(model.transports[1].idle_per_server_max, 20);
    assert!(initial.statics.file_provider.unwrap().watch);
    let limits = initial.statics.settings.limits;
    let (addresses, requests) =
        (limits.connections_per_address_max, limits.requests_per_connection_max);
    assert_eq!((addresses, requests), (Some(200), Some(10_000)));
    assert_eq!(limits.request_body_bytes_max, Some(100 << 20));
}

#[test]
fn yaml_and_toml_say_the_same() {
    let load = |file: &str| Loader::open(Path::new(file), STRICT).unwrap().1;
    let (yaml, toml) = (load("examples/one-file.yml"), load("examples/one-file.toml"));
    assert_eq!(yaml.model, toml.model);
    assert_eq!(yaml.statics, toml.statics);
}

#[test]
fn a_file_that_holds_both_parts_counts_once() {
    let both = format!("providers: {{file: {{filename: DIR/both.yml}}}}\n{}", app("a", 1));
    let files = Files::new(&[("both.yml", &both)]);
    let (_, initial) = files.open("both.yml").unwrap();
    assert_eq!(ports(&initial.model), named(&[("a", 1)]));
    assert_eq!(initial.diagnostics, []);
    // Also beside another file, whose definitions come second.
    let static_file = format!("{BY_FILE}{}", app("a", 1));
    let files = Files::new(&[("s.yml", &static_file), ("app.yml", &app("a", 2))]);
    let (_, initial) = files.open("s.yml").unwrap();
    assert_eq!(ports(&initial.model), named(&[("a", 1)]));
    assert_eq!(files.lines(&initial.diagnostics).len(), 2);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let files = Files::new(&[
        ("missing.yml", BY_FILE),
        ("dir.yml", "providers: {file: {filename: DIR/d.yml}}"),
        ("d.yml/x.yml", ""),
        ("nodir.yml", "providers: {file: {directory: DIR/nowhere}}"),
        ("filedir.yml", "providers: {file: {directory: DIR/missing.yml}}"),
        ("neither.yml", "providers: {file: {watch: true}}"),
        ("template.yml", "http: {routers: {r: {rule: \"Host(`{{ x }}`)\"}}}"),
        ("broken-template.yml", "http:\n  rule: \"{{ env \"A\" }}\"\n"),
        ("kind.conf", ""),
    ]);
    fs::write(files.path("latin.yml"), b"# ok\nna\xefve: 1\n").unwrap();
    let table = [
        ("nothing.yml", "nothing.yml: no such file"),
        ("missing.yml", "app.yml: no such file; `filename` names it at missing.yml:1:30"),
        (
            "dir.yml",
            "d.yml: a directory where a file is expected; `filename` names it at dir.yml:1:30",
        ),
        ("nodir.yml", "nowhere: no such directory; `directory` names it at nodir.yml:1:31"),
        (
            "filedir.yml",
            "missing.yml: a file where a directory is expected; \
             `directory` names it at filedir.yml:1:31",
        ),
        ("latin.yml", "latin.yml:2:3: not UTF-8; save it as UTF-8"),
        ("kind.conf", "kind.conf: unknown kind of file; name it .yml, .yaml or .toml"),
        (
            "neither.yml",
            "neither.yml:1:13: providers.file: neither `filename` nor `directory`; \
             write one of them",
        ),
        (
            "broken-template.yml",
            "broken-template.yml:2:10: `{{` starts a Go template, which sundew does not run; \
             write the result of the template into the file",
        ),
        (
            "template.yml",
            "template.yml:1:35: `{{` starts a Go template, which sundew does not run; \
             write the result of the template into the file",
        ),
    ];
    for (file, want) in table {
        assert_eq!(files.open(file).unwrap_err(), [want], "{file}");
    }
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let files = Files::new(&[("s.yml", BY_FILE)]);
    let huge = fs::File::create(files.path("app.yml")).unwrap();
    huge.set_len(100 << 20).unwrap();
    let started = std::time::Instant::now();
    let want = ["app.yml: larger than 8 MiB; split it into the files of a directory"];
    assert_eq!(files.open("s.yml").unwrap_err(), want);
    assert!(started.elapsed().as_secs() < 1, "{:?}", started.elapsed());
    huge.set_len(FILE_BYTES_MAX + 1).unwrap();
    assert_eq!(files.open("s.yml").unwrap_err(), want);
}

#[test]
fn a_flood_of_mistakes_is_cut_off() {
    let lines: String = (0..20_000).map(|it| format!("    r{it}: {{rul: x}}\n")).collect();
    let files = Files::new(&[("s.yml", &format!("http:\n  routers:\n{lines}"))]);
    let problems = files.open("s.yml").unwrap_err();
    assert_eq!(problems.len(), crate::source::REPORTS_MAX);
}

#[test]
fn a_reload_takes_the_new_content_or_nothing() {
    let files = Files::new(&[("s.yml", BY_FILE), ("app.yml", &app("a", 1))]);
    let (mut loader, initial) = files.open("s.yml").unwrap();
    assert_eq!(ports(&initial.model), named(&[("a", 1)]));
    files.write("app.yml", &app("a", 2));
    let reload = loader.reload().unwrap();
    assert_eq!(ports(&reload.model), named(&[("a", 2)]));
    assert_eq!((reload.diagnostics, reload.restart_needed), (vec![], vec![]));
    for bad in ["a: [", "http: {routers: {r: {}}}", "http: {rooters: {}}"] {
        files.write("app.yml", bad);
        assert!(has_error(&loader.reload().unwrap_err()), "{bad}");
    }
    fs::remove_file(files.path("app.yml")).unwrap();
    assert_eq!(
        files.lines(&loader.reload().unwrap_err()),
        ["app.yml: no such file; `filename` names it at s.yml:1:30"]
    );
    // Comments only: valid, and no router is left.
    files.write("app.yml", "# nothing\n");
    let reload = loader.reload().unwrap();
    assert!(reload.model.routers.is_empty() && reload.model.services.is_empty());
}

#[test]
fn a_changed_static_key_needs_a_restart() {
    let text = |port: u16, level: &str| {
        format!(
            "entryPoints:\n  web: {{address: ':{port}'}}\nlog: {{level: {level}}}\n\
             serversTransport: {{maxIdleConnsPerHost: {port}}}\n{}",
            app("a", port)
        )
    };
    let files = Files::new(&[("s.yml", &text(1, "info"))]);
    let (mut loader, _) = files.open("s.yml").unwrap();
    files.write("s.yml", &text(2, "INFO"));
    let reload = loader.reload().unwrap();
    assert_eq!(
        reload.restart_needed,
        ["entryPoints.web.address", "log.level", "serversTransport.maxIdleConnsPerHost"]
    );
    assert_eq!(ports(&reload.model), named(&[("a", 2)]));
    // What runs is what was there at the start.
    assert_eq!(reload.model.transports[0].idle_per_server_max, 1);
    // A spelling alone changes nothing.
    files.write("s.yml", &text(1, "INFO").replace("address", "Address"));
    assert_eq!(loader.reload().unwrap().restart_needed, Vec::<String>::new());
    files.write("s.yml", "entryPoints: {web: {address: 5}}");
    assert_eq!(
        files.lines(&loader.reload().unwrap_err()),
        [
            "s.yml:1:30: entryPoints.web.address: `5` has no port; write :80, 127.0.0.1:80 or [::1]:80"
        ]
    );
}

#[test]
fn a_directory_is_read_recursively_and_the_first_definition_counts() {
    let files = Files::new(&[
        ("s.yml", BY_DIRECTORY),
        ("conf.d/b.yml", &app("a", 2)),
        ("conf.d/a/x.yaml", &app("a", 1)),
        ("conf.d/c.toml", "[http.services.t.loadBalancer]\nservers = [{url = 'http://a:3'}]\n"),
        ("conf.d/..2024/b.yml", &app("hidden", 9)),
        ("conf.d/notes.txt", "{{ not read }}"),
    ]);
    std::os::unix::fs::symlink(files.path("conf.d"), files.path("conf.d/loop.yml")).unwrap();
    let (loader, initial) = files.open("s.yml").unwrap();
    assert_eq!(ports(&initial.model), named(&[("a", 1), ("t", 3)]));
    assert_eq!(
        files.lines(&initial.diagnostics),
        [
            "conf.d/b.yml:3:5: warning: http.routers.a: `a` is already in DIR/conf.d/a/x.yaml; \
             that one counts; rename this one or remove it",
            "conf.d/b.yml:5:5: warning: http.services.a: `a` is already in DIR/conf.d/a/x.yaml; \
             that one counts; rename this one or remove it",
        ]
        .map(|it| it.replace("DIR/", ""))
    );
    let want = [files.path(""), files.path("conf.d"), files.path("conf.d/a")];
    let want: Vec<PathBuf> = want.iter().map(|it| it.components().collect()).collect();
    assert_eq!(loader.watched_directories(), want);
}

#[test]
fn a_bad_file_of_a_directory_refuses_the_start() {
    let files = Files::new(&[
        ("s.yml", BY_DIRECTORY),
        ("conf.d/a.yml", &app("a", 1)),
        ("conf.d/b.yml", "a: ["),
        ("conf.d/c.yml", "http: {rooters: {}}"),
    ]);
    assert_eq!(
        files.open("s.yml").unwrap_err(),
        [
            "conf.d/b.yml:2:1: not valid YAML: while parsing a node, did not find expected node \
             content",
            "conf.d/c.yml:1:8: http: unknown key `rooters`; did you mean `routers`?",
        ]
    );
}

#[test]
fn a_bad_file_of_a_directory_keeps_its_last_good_content_on_a_reload() {
    let files = Files::new(&[
        ("s.yml", BY_DIRECTORY),
        ("conf.d/a.yml", &app("a", 1)),
        ("conf.d/b.yml", &app("b", 1)),
    ]);
    let (mut loader, _) = files.open("s.yml").unwrap();
    files.write("conf.d/a.yml", &app("a", 2));
    let bad_url = app("b", 2).replace("http://", "//");
    let bad_key = app("b", 2).replace("servers", "server");
    for bad in ["b: [", &bad_url, &bad_key] {
        files.write("conf.d/b.yml", bad);
        files.write("conf.d/new.yml", "new: [");
        let reload = loader.reload().unwrap();
        assert_eq!(ports(&reload.model), named(&[("a", 2), ("b", 1)]), "{bad}");
        let lines = files.lines(&reload.diagnostics);
        let has = |want: &str| lines.iter().any(|it| it == want);
        assert!(has("conf.d/b.yml: warning: its last good content stays"), "{lines:#?}");
        assert!(has("conf.d/new.yml: warning: left out"), "{lines:#?}");
        let errors: BTreeSet<_> = reload
            .diagnostics
            .iter()
            .filter(|it| it.severity == Severity::Error)
            .map(|it| it.place.file.clone())
            .collect();
        let want = [files.path("conf.d/b.yml"), files.path("conf.d/new.yml")];
        assert_eq!(errors, BTreeSet::from(want), "{bad}");
    }
    files.write("conf.d/b.yml", &app("b", 3));
    fs::remove_file(files.path("conf.d/new.yml")).unwrap();
    fs::remove_file(files.path("conf.d/a.yml")).unwrap();
    let reload = loader.reload().unwrap();
    assert_eq!(ports(&reload.model), named(&[("b", 3)]));
    assert_eq!(reload.diagnostics, []);
    fs::remove_dir_all(files.path("conf.d")).unwrap();
    assert!(loader.reload().is_err());
}

#[test]
fn a_link_is_watched_at_both_ends() {
    let files = Files::new(&[("s.yml", BY_FILE), ("real/app.yml", &app("a", 1))]);
    std::os::unix::fs::symlink(files.path("real/app.yml"), files.path("app.yml")).unwrap();
    let (loader, _) = files.open("s.yml").unwrap();
    let directories = loader.watched_directories();
    assert!(directories.contains(&files.0.path().to_owned()), "{directories:?}");
    let real = files.path("real").canonicalize().unwrap();
    assert!(directories.contains(&real), "{directories:?}");
}

#[test]
fn a_loader_can_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Loader>();
}

#[test]
fn flags_make_a_sticky_model() {
    let flags = FlagOptions {
        listen: vec![":8080".to_owned(), "127.0.0.1:0".to_owned()],
        servers: vec!["http://a:1".to_owned(), "http://b:2".to_owned()],
        sticky_cookie: Some("sundew".to_owned()),
    };
    let (statics, model) = from_flags(&flags).unwrap();
    let points: Vec<_> =
        statics.entry_points.iter().map(|it| (it.name.as_str(), it.address.port)).collect();
    assert_eq!(points, [("web", 8080), ("web2", 0)]);
    let any = ListenAddress { host: String::new(), port: 8080 };
    assert_eq!(statics.entry_points[0].address, any);
    assert_eq!(model.routers[0].entry_points.len(), 2);
    assert_eq!(model.routers[0].target, RouterTarget::Service(ServiceIndex(0)));
    let (_, _, balancer) = model.load_balancers().next().unwrap();
    let cookie: &StickyCookie = balancer.sticky.as_ref().unwrap();
    assert_eq!((cookie.name.as_str(), cookie.path.as_deref()), ("sundew", Some("/")));
    let plain = from_flags(&FlagOptions { sticky_cookie: None, ..flags }).unwrap().1;
    assert_eq!(plain.load_balancers().next().unwrap().2.sticky, None);
}

#[test]
fn bad_flags_are_named() {
    let flags = FlagOptions {
        listen: vec!["80".to_owned()],
        servers: vec!["a:1".to_owned(), "https://b".to_owned()],
        sticky_cookie: Some("a b".to_owned()),
    };
    let lines: Vec<String> =
        from_flags(&flags).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "--cookie: `a b` is not a cookie name; write a_b",
            "--listen: `80` has no port; write :80, 127.0.0.1:80 or [::1]:80",
            "--server: `a:1` has no scheme; write http://host:port",
            "--server: not supported by sundew yet: `https://` servers; \
             remove it, or start with --lenient",
        ]
    );
    let none = from_flags(&FlagOptions::default()).unwrap_err();
    assert_eq!(none.len(), 2);
}

#[test]
fn a_static_key_in_a_dynamic_file_is_said_to_be_without_effect() {
    let text = format!("log: {{level: x}}\nx-y: 1\nrooters: 5\n{}", app("a", 1));
    let files = Files::new(&[("s.yml", BY_FILE), ("app.yml", &text.replace("rooters: 5\n", ""))]);
    let (_, initial) = files.open("s.yml").unwrap();
    let want = ["app.yml:1:1: warning: log: a static key in a dynamic file is not read"];
    assert_eq!(files.lines(&initial.diagnostics), want);
    files.write("app.yml", &text);
    let lines = files.open("s.yml").unwrap_err();
    assert_eq!(lines.last().unwrap(), "app.yml:3:1: unknown key `rooters`");
}
