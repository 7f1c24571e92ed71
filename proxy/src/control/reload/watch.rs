//! Notices that a configuration file may have changed. Owns the inotify watches, all on
//! directories: editors rename, Kubernetes swaps a symbolic link, and a watch on the file itself
//! would stay with the old one. Never reads a file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Device and inode of a directory: after a symbolic link was swapped, the path leads to another.
type Identity = (u64, u64);

/// The watched directories.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: RecommendedWatcher,
    watched: BTreeMap<PathBuf, Identity>,
    changed: Arc<Notify>,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the kernel gives no inotify instance.
    pub(super) fn new() -> notify::Result<Self> {
        let changed = Arc::new(Notify::new());
        let signal = changed.clone();
        let inotify = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            match event {
                Ok(event) if !is_relevant(&event) => {}
                // After an error events may be missing; loading again is never wrong.
                Ok(_) | Err(_) => signal.notify_one(),
            }
        })?;
        Ok(Self { inotify, watched: BTreeMap::new(), changed })
    }

    /// Watches exactly these directories. Returns whether one of them is new or is another one
    /// under the same name: what is in it may have changed unseen.
    pub(super) fn follow(&mut self, directories: &[PathBuf]) -> bool {
        let wanted: BTreeMap<PathBuf, Identity> = directories
            .iter()
            .map(|path| here_if_empty(path))
            .filter_map(|path| Some((path.to_owned(), identity(path)?)))
            .collect();
        let mut is_changed = false;
        let stale: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, identity)| wanted.get(*path) != Some(identity))
            .map(|(path, _)| path.clone())
            .collect();
        for path in stale {
            // The directory may be gone, and its watch with it.
            let _ = self.inotify.unwatch(&path);
            self.watched.remove(&path);
            is_changed = true;
        }
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.inotify.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                    is_changed = true;
                }
                Err(error) => tracing::warn!("cannot watch {}: {error}", path.display()),
            }
        }
        is_changed
    }

    /// Waits for a change. Cancelling it loses none.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The parent of a bare file name is the empty path.
fn here_if_empty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().filter(fs::Metadata::is_dir).map(|it| (it.dev(), it.ino()))
}

/// Names that come, go or are swapped always count; new content only in files that hold
/// configuration, since a log may be written beside them. Reading, which loading does, never counts.
fn is_relevant(event: &notify::Event) -> bool {
    let is_content = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => return false,
        EventKind::Modify(ModifyKind::Name(_)) => false,
        EventKind::Modify(_) => true,
        _ => false,
    };
    !is_content || event.paths.iter().any(|path| holds_configuration(path))
}

fn holds_configuration(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    ["yml", "yaml", "toml"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn watching(directories: &[PathBuf]) -> Watcher {
        let mut watcher = Watcher::new().unwrap();
        assert!(watcher.follow(directories));
        watcher
    }

    async fn notices(watcher: &Watcher) {
        timeout(SOON, watcher.changed()).await.expect("the change was not noticed");
        // The rest of the same change.
        while timeout(Duration::from_millis(30), watcher.changed()).await.is_ok() {}
    }

    async fn is_quiet(watcher: &Watcher) -> bool {
        timeout(Duration::from_millis(150), watcher.changed()).await.is_err()
    }

    #[tokio::test]
    async fn writing_renaming_and_removing_a_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.yml");
        let watcher = watching(&[directory.path().into()]);
        fs::write(&file, "a").unwrap();
        notices(&watcher).await;
        fs::write(&file, "b").unwrap();
        notices(&watcher).await;
        let other = tempfile::tempdir_in(directory.path().parent().unwrap()).unwrap();
        fs::write(other.path().join("new"), "c").unwrap();
        fs::rename(other.path().join("new"), &file).unwrap();
        notices(&watcher).await;
        fs::remove_file(&file).unwrap();
        notices(&watcher).await;
    }

    #[tokio::test]
    async fn reading_and_a_growing_log_beside_it_are_not_changes() {
        let directory = tempfile::tempdir().unwrap();
        let (file, log) = (directory.path().join("app.yml"), directory.path().join("access.log"));
        fs::write(&file, "a").unwrap();
        fs::write(&log, "line\n").unwrap();
        let watcher = watching(&[directory.path().into()]);
        fs::read(&file).unwrap();
        let mut grows = fs::OpenOptions::new().append(true).open(&log).unwrap();
        std::io::Write::write_all(&mut grows, b"line\n").unwrap();
        drop(grows);
        assert!(is_quiet(&watcher).await);
        fs::write(&file, "b").unwrap();
        notices(&watcher).await;
    }

    #[tokio::test]
    async fn a_swapped_symbolic_link_inside_the_directory_is_noticed() {
        // How Kubernetes mounts a ConfigMap: app.yml -> ..data/app.yml, ..data -> ..1
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for version in ["..1", "..2"] {
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("app.yml"), version).unwrap();
        }
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/app.yml", root.join("app.yml")).unwrap();
        let watcher = watching(&[root.into()]);
        symlink("..2", root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        notices(&watcher).await;
        assert_eq!(fs::read_to_string(root.join("app.yml")).unwrap(), "..2");
    }

    #[tokio::test]
    async fn a_directory_that_is_replaced_as_a_whole_is_watched_anew() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for version in ["1", "2"] {
            fs::create_dir(root.join(version)).unwrap();
        }
        let current = root.join("current");
        symlink("1", &current).unwrap();
        let directories = [current.clone()];
        let mut watcher = watching(&directories);
        assert!(!watcher.follow(&directories), "nothing changed yet");
        symlink("2", root.join("next")).unwrap();
        fs::rename(root.join("next"), &current).unwrap();
        assert!(watcher.follow(&directories));
        while !is_quiet(&watcher).await {}
        fs::write(root.join("2").join("app.yml"), "a").unwrap();
        notices(&watcher).await;
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_watched_once_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let directories = [directory.path().join("later")];
        let mut watcher = Watcher::new().unwrap();
        assert!(!watcher.follow(&directories));
        fs::create_dir(&directories[0]).unwrap();
        assert!(watcher.follow(&directories));
    }
}
