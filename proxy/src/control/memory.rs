//! Measures the memory of the process against its limit (`sundew.limits.memory`, http1 G7), ten
//! times a second, and says when that changes what the workers may take on.
//!
//! Owns the open files that it measures by: at the limit of open files it could open none. Never
//! acts by itself; [`super::run`] tells the workers.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sundew_config::model::MemoryLimit;
use tokio::time::{Instant, sleep_until};

use crate::worker::Pressure;

/// At a gigabyte a second, a tenth of that comes between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A limit beyond it is how version 1 says that there is none.
const UNLIMITED: u64 = 1 << 60;

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// Names of the files of one version of control groups.
#[derive(Debug)]
struct Names {
    limit: &'static str,
    used: &'static str,
    /// Lines of `memory.stat` that the kernel gives back before it ends a process.
    reclaimable: [&'static str; 3],
}

const V2: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    reclaimable: ["inactive_file", "active_file", "slab_reclaimable"],
};

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file", "slab_reclaimable"],
};

/// What is measured.
#[derive(Debug)]
enum Gauge {
    /// Resident memory of this process.
    Resident { statm: File, page_bytes: u64 },
    /// Everything that counts towards the limit of a control group.
    Group { used: File, stat: File, names: &'static Names },
}

/// The gauge and its limit.
#[derive(Debug)]
struct Limited {
    gauge: Gauge,
    bytes_max: u64,
}

/// Watches the memory of the process.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    /// `None`: there is no limit.
    limited: Option<Limited>,
    state: Pressure,
    next: Instant,
}

impl MemoryWatch {
    /// Finds out what the limit is, and says so.
    #[must_use]
    pub(super) fn new(limit: MemoryLimit) -> Self {
        let limited = match limit {
            MemoryLimit::Off => None,
            MemoryLimit::Bytes(bytes_max) => resident(bytes_max),
            MemoryLimit::Auto => {
                let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
                group(&text, Path::new(GROUPS))
            }
        };
        if let Some(Limited { gauge, bytes_max }) = &limited {
            let whose = match gauge {
                Gauge::Resident { .. } => "sundew.limits.memory",
                Gauge::Group { .. } => "the control group's",
            };
            tracing::info!("memory: at most {} MiB ({whose})", bytes_max >> 20);
        }
        Self { limited, state: Pressure::None, next: Instant::now() }
    }

    /// The next change. Cancelling it loses none.
    pub(super) async fn next(&mut self) -> Pressure {
        let Some(limited) = &self.limited else { return std::future::pending().await };
        loop {
            sleep_until(self.next).await;
            self.next = Instant::now() + LOOK_EVERY;
            let Some(used) = limited.used() else { continue };
            let state = self.state.after(used, limited.bytes_max);
            if state != self.state {
                self.state = state;
                say(state, used, limited.bytes_max);
                return state;
            }
        }
    }
}

fn say(state: Pressure, used: u64, bytes_max: u64) {
    let (used, max) = (used >> 20, bytes_max >> 20);
    match state {
        Pressure::None => tracing::info!("memory: {used} of {max} MiB: all requests are served"),
        Pressure::Tight => tracing::warn!(
            "memory: {used} of {max} MiB: requests with a body to come are answered 503"
        ),
        Pressure::Full => {
            tracing::warn!("memory: {used} of {max} MiB: new requests are answered 503");
        }
    }
}

impl Limited {
    /// Bytes now; `None` when the kernel does not say.
    fn used(&self) -> Option<u64> {
        match &self.gauge {
            Gauge::Resident { statm, page_bytes } => {
                // proc(5): the second number is the resident set.
                let pages: u64 = read(statm)?.split_whitespace().nth(1)?.parse().ok()?;
                Some(pages.saturating_mul(*page_bytes))
            }
            Gauge::Group { used, stat, names } => {
                let used = read(used)?.trim().parse().ok()?;
                if Pressure::is_far(used, self.bytes_max) {
                    return Some(used);
                }
                // The page cache (of our logs, for one) fills a group up, and hurts nobody.
                Some(used.saturating_sub(reclaimable(&read(stat)?, names)))
            }
        }
    }
}

/// From the beginning, whatever was read before.
fn read(file: &File) -> Option<String> {
    // memory.stat has some 2 KiB; what counts stands in whole lines.
    let mut bytes = [0; 8 * 1024];
    let count = file.read_at(&mut bytes, 0).ok()?;
    bytes.get(..count).map(|it| String::from_utf8_lossy(it).into_owned())
}

fn reclaimable(stat: &str, names: &Names) -> u64 {
    let lines = stat.lines().filter_map(|line| line.split_once(' '));
    let counted = lines.filter(|(name, _)| names.reclaimable.contains(name));
    counted.filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok()).sum()
}

fn resident(bytes_max: u64) -> Option<Limited> {
    match File::open("/proc/self/statm") {
        Ok(statm) => {
            let page_bytes = rustix::param::page_size() as u64;
            Some(Limited { gauge: Gauge::Resident { statm, page_bytes }, bytes_max })
        }
        Err(error) => {
            tracing::warn!("sundew.limits.memory has no effect: /proc/self/statm: {error}");
            None
        }
    }
}

/// The tightest limit on the way from the process's own group (`text`: /proc/self/cgroup) to the
/// root; `None` where there is none.
fn group(text: &str, root: &Path) -> Option<Limited> {
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    // cgroups(7): version 2 has no controllers in its line.
    let v2 = lines().find(|(controllers, _)| controllers.is_empty());
    let v1 = lines().find(|(controllers, _)| controllers.split(',').any(|it| it == "memory"));
    let v2 = v2.map(|(_, path)| (root.to_owned(), path, &V2));
    let v1 = v1.map(|(_, path)| (root.join("memory"), path, &V1));
    let found = v2.into_iter().chain(v1);
    let limits = found.flat_map(|(mount, path, names)| {
        // In a container the path may be the host's, and only the mount itself is there.
        let own = mount.join(path.trim_start_matches('/'));
        let groups: Vec<PathBuf> = own.ancestors().map(Path::to_owned).collect();
        let inside = move |group: &PathBuf| group.starts_with(&mount);
        groups.into_iter().take_while(inside).filter_map(|group| limit_of(&group, names))
    });
    limits.min_by_key(|limited| limited.bytes_max)
}

fn limit_of(group: &Path, names: &'static Names) -> Option<Limited> {
    // "max" is no number.
    let bytes_max: u64 = fs::read_to_string(group.join(names.limit)).ok()?.trim().parse().ok()?;
    if bytes_max == 0 || bytes_max >= UNLIMITED {
        return None;
    }
    let used = File::open(group.join(names.used)).ok()?;
    let stat = File::open(group.join("memory.stat")).ok()?;
    Some(Limited { gauge: Gauge::Group { used, stat, names }, bytes_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, group: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(root.join(group)).unwrap();
        for (name, text) in files {
            fs::write(root.join(group).join(name), text).unwrap();
        }
    }

    fn v2<'t>(limit: &'t str, used: &'t str) -> [(&'static str, &'t str); 3] {
        let stat = "anon 500\nfile 300\ninactive_file 200\nactive_file 100\nslab_reclaimable 50\n";
        [("memory.max", limit), ("memory.current", used), ("memory.stat", stat)]
    }

    fn found(text: &str, root: &Path) -> Option<(u64, u64)> {
        let limited = group(text, root)?;
        Some((limited.bytes_max, limited.used().unwrap()))
    }

    #[test]
    fn g7_the_tightest_limit_above_the_process_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "a.slice", &v2("4000\n", "800\n"));
        put(root, "a.slice/b.service", &v2("max\n", "700\n"));
        put(root, "a.slice/c.service", &v2("1000\n", "700\n"));
        assert_eq!(found("0::/a.slice/b.service\n", root), Some((4000, 800)));
        assert_eq!(found("0::/a.slice/c.service\n", root), Some((1000, 700)));
        assert_eq!(found("0::/elsewhere\n", root), None);
        assert_eq!(found("", root), None);
        // As a container with a namespace of its own sees it.
        put(root, "", &v2("2000\n", "10\n"));
        assert_eq!(found("0::/\n", root), Some((2000, 10)));
    }

    #[test]
    fn g7_near_the_limit_the_page_cache_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a", &v2("1000\n", "990\n"));
        assert_eq!(found("0::/a\n", folder.path()), Some((1000, 990 - 350)));
    }

    #[test]
    fn g7_version_1_is_found_beside_a_version_2_without_memory() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let stat = "cache 9\ntotal_inactive_file 40\ntotal_active_file 2\n";
        let limited = [
            ("memory.limit_in_bytes", "1000\n"),
            ("memory.usage_in_bytes", "950\n"),
            ("memory.stat", stat),
        ];
        put(root, "memory/docker/x", &limited);
        let text = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n";
        assert_eq!(found(text, root), Some((1000, 908)));
        // The path of the host, which is not there inside: the mount is the container's own group.
        put(root, "memory", &limited);
        assert_eq!(found("4:memory:/not/here\n", root), Some((1000, 908)));
        let unlimited = [("memory.limit_in_bytes", "9223372036854771712\n")];
        put(root, "memory", &unlimited);
        assert_eq!(found("4:memory:/\n", root), None);
    }

    #[test]
    fn g7_the_resident_set_of_this_process_is_measured() {
        let limited = resident(1 << 40).unwrap();
        let used = limited.used().unwrap();
        assert!((1 << 20..1 << 40).contains(&used), "{used} bytes");
    }

    #[tokio::test]
    async fn g7_a_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a", &v2("1000\n", "2000\n"));
        let limited = group("0::/a\n", folder.path());
        let mut watch = MemoryWatch { limited, state: Pressure::None, next: Instant::now() };
        assert_eq!(watch.next().await, Pressure::Full);
        let quiet = tokio::time::timeout(LOOK_EVERY * 3, watch.next()).await;
        assert!(quiet.is_err(), "told again: {quiet:?}");
        put(folder.path(), "a", &v2("1000\n", "1280\n"));
        assert_eq!(watch.next().await, Pressure::Tight);
        put(folder.path(), "a", &v2("1000\n", "800\n"));
        assert_eq!(watch.next().await, Pressure::None);
    }
}
