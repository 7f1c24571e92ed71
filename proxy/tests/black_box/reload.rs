//! New files while the proxy runs: all or nothing, and nobody is disturbed.

use std::fs;

use crate::support::{
    Client, Driver, Next, Origin, Setup, Sundew, app, eventually, on_both_drivers,
};

on_both_drivers!(
    a_file_renamed_over_the_old_one_is_taken,
    a_file_written_in_place_is_taken,
    sighup_reads_the_file_again,
    a_bad_file_keeps_the_last_good_configuration_and_says_why,
    an_empty_file_takes_the_routers_away,
    a_removed_file_keeps_the_last_configuration,
    a_request_in_flight_finishes_on_the_old_configuration,
    a_reload_keeps_client_connections_open,
    a_directory_is_read_and_watched,
    every_worker_gets_the_new_configuration,
);

fn wait_for(proxy: &Sundew, body: &str) {
    eventually(&format!("{body:?} is served"), || {
        (Client::fetch(proxy.address(), "/").text() == body).then_some(())
    });
}

fn a_file_renamed_over_the_old_one_is_taken(driver: Driver) {
    let origins = [Origin::named("a"), Origin::named("b")];
    let proxy = Setup::new(driver, app(&[&origins[0].url()])).start();
    wait_for(&proxy, "a");
    // More than once: a watch on the file itself would follow the first inode into nothing.
    for turn in [1, 0, 1, 0] {
        proxy.replace_dynamic(&app(&[&origins[turn].url()]));
        wait_for(&proxy, ["a", "b"][turn]);
    }
}

fn a_file_written_in_place_is_taken(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    wait_for(&proxy, "a");
    fs::write(proxy.folder().join("dynamic.yml"), app(&[&b.url()])).expect("written");
    wait_for(&proxy, "b");
}

fn sighup_reads_the_file_again(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let setup = Setup::new(driver, app(&[&a.url()])).unwatched();
    let proxy = setup.start();
    wait_for(&proxy, "a");
    proxy.replace_dynamic(&app(&[&b.url()]));
    proxy.signal("HUP");
    wait_for(&proxy, "b");
}

fn a_bad_file_keeps_the_last_good_configuration_and_says_why(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    wait_for(&proxy, "a");
    proxy.replace_dynamic(&app(&[&b.url()]).replace("sticky", "stiky"));
    let line = proxy.wait_for_log("stiky");
    assert!(line.contains("dynamic.yml:"), "{line}");
    assert!(proxy.log().contains("sticky"), "no suggestion:\n{}", proxy.log());
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    proxy.replace_dynamic("http: [");
    proxy.replace_dynamic(&app(&[&b.url()]));
    wait_for(&proxy, "b");
}

fn an_empty_file_takes_the_routers_away(driver: Driver) {
    let a = Origin::named("a");
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    wait_for(&proxy, "a");
    proxy.replace_dynamic("# nothing here\n");
    wait_for(&proxy, "404 page not found\n");
}

fn a_removed_file_keeps_the_last_configuration(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    wait_for(&proxy, "a");
    fs::remove_file(proxy.folder().join("dynamic.yml")).expect("removed");
    proxy.signal("HUP");
    assert_eq!(Client::fetch(proxy.address(), "/").text(), "a");
    proxy.replace_dynamic(&app(&[&b.url()]));
    wait_for(&proxy, "b");
}

fn a_request_in_flight_finishes_on_the_old_configuration(driver: Driver) {
    let (may_answer, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let slow = Origin::scripted(move |exchange| {
        if exchange.request.line().contains("/slow") {
            let _ = wait.lock().expect("the only reader").recv();
        }
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
        Next::KeepAlive
    });
    let b = Origin::named("b");
    let proxy = Setup::new(driver, app(&[&slow.url()])).start();
    let mut client = Client::connect(proxy.address());
    client.send("GET /slow HTTP/1.1\r\nHost: example.test\r\n\r\n");
    eventually("the request arrives", || slow.requests().pop());
    proxy.replace_dynamic(&app(&[&b.url()]));
    wait_for(&proxy, "b");
    may_answer.send(()).expect("the origin waits");
    assert_eq!(client.response().text(), "old");
    assert_eq!(client.get("/", "").text(), "b");
}

fn a_reload_keeps_client_connections_open(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url()])).start();
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/", "").text(), "a");
    proxy.replace_dynamic(&app(&[&b.url()]));
    eventually("the same connection is served by b", || {
        (client.get("/", "").text() == "b").then_some(())
    });
}

fn a_directory_is_read_and_watched(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let part = |name: &str, url: &str| {
        app(&[url]).replace("app", name).replace("PathPrefix(`/`)", &format!("Path(`/{name}`)"))
    };
    let setup = Setup::new(driver, part("one", &a.url())).directory();
    let proxy = setup.start();
    assert_eq!(Client::fetch(proxy.address(), "/one").text(), "a");
    assert_eq!(Client::fetch(proxy.address(), "/two").status, 404);
    let folder = proxy.folder().join("dynamic");
    fs::write(folder.join("two.yml"), part("two", &b.url())).expect("written");
    eventually("the second file is taken", || {
        (Client::fetch(proxy.address(), "/two").text() == "b").then_some(())
    });
    // One bad file keeps its own last good content and blocks nobody else's.
    fs::write(folder.join("two.yml"), "http: {routers: [").expect("written");
    proxy.wait_for_log("two.yml");
    fs::write(folder.join("three.yml"), part("three", &a.url())).expect("written");
    eventually("the third file is taken", || {
        (Client::fetch(proxy.address(), "/three").text() == "a").then_some(())
    });
    assert_eq!(Client::fetch(proxy.address(), "/two").text(), "b");
    assert_eq!(Client::fetch(proxy.address(), "/one").text(), "a");
}

fn every_worker_gets_the_new_configuration(driver: Driver) {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let proxy = Setup::new(driver, app(&[&a.url()])).workers(3).start();
    let mut clients: Vec<_> = (0..24).map(|_| Client::connect(proxy.address())).collect();
    assert!(clients.iter_mut().all(|client| client.get("/", "").text() == "a"));
    proxy.replace_dynamic(&app(&[&b.url()]));
    eventually("every connection is served by b", || {
        clients.iter_mut().all(|client| client.get("/", "").text() == "b").then_some(())
    });
}
