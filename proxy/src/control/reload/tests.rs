use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sundew_config::load::Options;
use sundew_config::model::ServiceKind;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn dynamic(url: &str) -> String {
    format!(
        "http:\n  routers: {{app: {{rule: PathPrefix(`/`), service: app}}}}\n  \
         services: {{app: {{loadBalancer: {{servers: [{{url: \"{url}\"}}]}}}}}}\n"
    )
}

/// A static file that names `provider`, loaded.
fn open(directory: &Path, provider: &str) -> Loader {
    let file = directory.join("static.yml");
    let text = format!(
        "entryPoints: {{web: {{address: \"127.0.0.1:0\"}}}}\n\
         providers: {{file: {{{provider}}}}}\n"
    );
    fs::write(&file, text).unwrap();
    Loader::open(&file, Options::default()).unwrap().0
}

fn open_file(directory: &Path) -> Loader {
    open(directory, &format!("filename: \"{}/app.yml\"", directory.display()))
}

fn urls(reload: &Reload) -> Vec<&str> {
    let services = reload.model.services.iter();
    let servers = services.flat_map(|it| match &it.kind {
        ServiceKind::LoadBalancer(balancer) => balancer.servers.as_slice(),
        _ => &[],
    });
    servers.map(|it| it.url.as_str()).collect()
}

/// The outcome of the next load, whatever starts it.
async fn next_load(reloader: &mut Reloader) -> (Loaded, bool) {
    assert!(matches!(timeout(SOON, reloader.next()).await, Ok(Event::Started)));
    match timeout(SOON, reloader.next()).await {
        Ok(Event::Finished { loaded, is_forced }) => (loaded, is_forced),
        other => panic!("{other:?}"),
    }
}

/// Loads until a file's last state has been seen: one change may be several events.
async fn eventually(reloader: &mut Reloader, is_wanted: impl Fn(&Loaded) -> bool) {
    while !is_wanted(&next_load(reloader).await.0) {}
}

fn has(url: &str) -> impl Fn(&Loaded) -> bool {
    move |loaded| loaded.as_ref().is_ok_and(|reload| urls(reload) == [url])
}

#[tokio::test]
async fn a_file_that_is_written_or_renamed_over_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.yml");
    fs::write(&file, dynamic("http://10.0.0.1")).unwrap();
    let mut reloader = Reloader::new(Some(open_file(directory.path())), Duration::ZERO, true);
    fs::write(&file, dynamic("http://10.0.0.2")).unwrap();
    eventually(&mut reloader, has("http://10.0.0.2")).await;
    let fresh = directory.path().join("app.yml.new");
    fs::write(&fresh, dynamic("http://10.0.0.3")).unwrap();
    fs::rename(&fresh, &file).unwrap();
    eventually(&mut reloader, has("http://10.0.0.3")).await;
}

#[tokio::test]
async fn many_writes_in_a_row_are_loaded_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.yml");
    fs::write(&file, dynamic("http://10.0.0.1")).unwrap();
    let mut reloader = Reloader::new(Some(open_file(directory.path())), Duration::ZERO, true);
    for last in 2..=20 {
        fs::write(&file, dynamic(&format!("http://10.0.0.{last}"))).unwrap();
    }
    let (loaded, is_forced) = next_load(&mut reloader).await;
    assert!(has("http://10.0.0.20")(&loaded) && !is_forced, "{loaded:?}");
    let another = timeout(Duration::from_millis(300), reloader.next()).await;
    assert!(another.is_err(), "{another:?}");
}

#[tokio::test]
async fn a_swapped_symbolic_link_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, url) in [("..1", "http://10.0.0.1"), ("..2", "http://10.0.0.2")] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("app.yml"), dynamic(url)).unwrap();
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/app.yml", root.join("app.yml")).unwrap();
    let mut reloader = Reloader::new(Some(open_file(root)), Duration::ZERO, true);
    symlink("..2", root.join("..tmp")).unwrap();
    fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
    eventually(&mut reloader, has("http://10.0.0.2")).await;
}

#[tokio::test]
async fn a_directory_created_later_is_watched_too() {
    let directory = tempfile::tempdir().unwrap();
    let sources = directory.path().join("sources");
    fs::create_dir(&sources).unwrap();
    fs::write(sources.join("app.yml"), dynamic("http://10.0.0.1")).unwrap();
    let loader = open(directory.path(), &format!("directory: \"{}\"", sources.display()));
    let mut reloader = Reloader::new(Some(loader), Duration::ZERO, true);
    fs::create_dir(sources.join("team")).unwrap();
    eventually(&mut reloader, Result::is_ok).await;
    fs::remove_file(sources.join("app.yml")).unwrap();
    fs::write(sources.join("team/app.yml"), dynamic("http://10.0.0.2")).unwrap();
    eventually(&mut reloader, has("http://10.0.0.2")).await;
    fs::write(sources.join("team/app.yml"), dynamic("http://10.0.0.3")).unwrap();
    eventually(&mut reloader, has("http://10.0.0.3")).await;
}

#[tokio::test]
async fn a_bad_file_is_reported_and_a_repaired_one_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.yml");
    fs::write(&file, dynamic("http://10.0.0.1")).unwrap();
    let mut reloader = Reloader::new(Some(open_file(directory.path())), Duration::ZERO, true);
    fs::write(&file, "http: {routers: {app: {rulez: x}}}").unwrap();
    eventually(&mut reloader, |loaded| {
        loaded.as_ref().is_err_and(|it| it.iter().any(|it| it.message.contains("rulez")))
    })
    .await;
    fs::write(&file, dynamic("http://10.0.0.2")).unwrap();
    eventually(&mut reloader, has("http://10.0.0.2")).await;
}

#[tokio::test]
async fn the_operator_reloads_even_when_nothing_is_watched_or_the_throttle_is_long() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.yml");
    fs::write(&file, dynamic("http://10.0.0.1")).unwrap();
    let loader = open_file(directory.path());
    let mut reloader = Reloader::new(Some(loader), Duration::from_secs(3600), false);
    reloader.applied();
    fs::write(&file, dynamic("http://10.0.0.2")).unwrap();
    assert!(timeout(Duration::from_millis(300), reloader.next()).await.is_err());
    assert!(reloader.force());
    let (loaded, is_forced) = next_load(&mut reloader).await;
    assert!(has("http://10.0.0.2")(&loaded) && is_forced, "{loaded:?}");
}

#[tokio::test]
async fn without_files_there_is_nothing_to_reload() {
    let mut reloader = Reloader::new(None, Duration::ZERO, true);
    assert!(!reloader.force());
    assert!(timeout(Duration::from_millis(50), reloader.next()).await.is_err());
}
