//! The static part from flags and from variables, without a file.

use std::fs;

use crate::support::{Client, Driver, Origin, Sundew, app, eventually, on_both_drivers};

on_both_drivers!(
    flags_serve_as_a_static_file_does,
    variables_serve_as_a_static_file_does,
    a_bad_file_of_a_directory_is_named_and_the_others_follow_their_changes,
);

fn word(driver: Driver) -> &'static str {
    match driver {
        Driver::Epoll => "epoll",
        Driver::Uring => "uring",
    }
}

fn flags_serve_as_a_static_file_does(driver: Driver) {
    let origin = Origin::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("app.yml"), app(&[&origin.url()])).expect("written");
    let arguments = [
        "run".to_owned(),
        "--workers=1".to_owned(),
        format!("--sundew.driver={}", word(driver)),
        "--entrypoints.web.ADDRESS=127.0.0.1:0".to_owned(),
        format!("--providers.file.directory={}", folder.path().display()),
        "--accesslog".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut proxy = Sundew::with_arguments(&arguments);
    proxy.wait_until_listening();
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    // Traefik's line goes to standard output, as `accessLog: {}` says.
    proxy.wait_for_log("\"GET / HTTP/1.1\" 200");
}

fn variables_serve_as_a_static_file_does(driver: Driver) {
    let origin = Origin::named("a");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.yml");
    fs::write(&file, app(&[&origin.url()])).expect("written");
    for prefix in ["TRAEFIK", "SUNDEW"] {
        let variables = [
            (format!("{prefix}_SUNDEW_DRIVER"), word(driver).to_owned()),
            (format!("{prefix}_ENTRYPOINTS_WEB_ADDRESS"), "127.0.0.1:0".to_owned()),
            (format!("{prefix}_PROVIDERS_FILE_FILENAME"), file.display().to_string()),
            (format!("{prefix}_OF_SOMEBODY_ELSE"), "is nobody's business".to_owned()),
        ];
        let mut proxy = Sundew::with_variables(&["run", "--workers", "1"], &variables);
        proxy.wait_until_listening();
        assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    }
}

fn a_bad_file_of_a_directory_is_named_and_the_others_follow_their_changes(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str, url: &str| {
        app(&[url]).replace("app", name).replace("PathPrefix(`/`)", &format!("Path(`/{name}`)"))
    };
    fs::write(folder.path().join("1.yml"), of("one", &a.url())).expect("written");
    fs::write(folder.path().join("2.yml"), of("two", &a.url())).expect("written");
    let arguments = [
        "run".to_owned(),
        format!("--sundew.driver={}", word(driver)),
        "--entryPoints.web.address=127.0.0.1:0".to_owned(),
        format!("--providers.file.directory={}", folder.path().display()),
        "--providers.providersThrottleDuration=10ms".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut proxy = Sundew::with_arguments(&arguments);
    proxy.wait_until_listening();
    let address = proxy.address();
    assert_eq!(Client::fetch(address, "/one").text(), "a");
    fs::write(folder.path().join("1.yml"), "http: {rooters: {}}").expect("written");
    fs::write(folder.path().join("2.yml"), of("two", &b.url())).expect("written");
    eventually("the good file's change", || {
        (Client::fetch(address, "/two").text() == "b").then_some(())
    });
    proxy.wait_for_log("1.yml:1:8: http: unknown key `rooters`");
    proxy.wait_for_log("its last good content stays");
    assert_eq!(Client::fetch(address, "/one").text(), "a");
}
