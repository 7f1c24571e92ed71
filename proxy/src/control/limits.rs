//! What the kernel grants this process: CPUs and open files. Read and raised once at start, by
//! [`super::run`].

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::sys;

/// Raises the soft limit of open files to the hard one: every connection is one or two of them.
/// Returns the soft limit afterwards; `None`: unlimited.
pub(super) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!("the limit of open files could not be raised: {error}");
            limit.current
        }
    }
}

/// Descriptors of a worker besides its listeners: its ring or epoll, the timer's, both ends of its
/// wake pipe, its reserve, with some to spare.
const WORKER_DESCRIPTORS: u64 = 8;

/// How many descriptors the process will have open before its first client, asked when all that it
/// needs but the workers is there.
pub(super) fn own_descriptors(workers: usize) -> u64 {
    let next = sys::new_reserve().map_or(0, |next| next.as_raw_fd());
    u64::try_from(next).unwrap_or(0) + WORKER_DESCRIPTORS * workers as u64
}

/// The CPUs of the process's affinity mask, in order; never empty.
pub(super) fn allowed_cpus() -> Vec<usize> {
    let cpus: Vec<usize> = match sched_getaffinity(None) {
        Ok(mask) => (0..CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect(),
        // A machine with more CPUs than the mask holds, or a filtered system call.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    };
    if cpus.is_empty() { vec![0] } else { cpus }
}

/// Which CPU each worker is pinned to; `None`: the scheduler chooses.
///
/// By default only when there is one worker for every CPU: with fewer, someone else has plans for
/// the rest; with more, two would be chained to one CPU while another idles.
pub(super) fn placement(workers: usize, cpus: &[usize], pin: Option<bool>) -> Vec<Option<usize>> {
    let is_pinned = pin.unwrap_or(workers == cpus.len());
    let wheel = cpus.iter().copied().cycle();
    if is_pinned { wheel.take(workers).map(Some).collect() } else { vec![None; workers] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_pinned_only_when_there_is_one_for_every_cpu_or_it_was_asked_for() {
        let cpus = [2, 5];
        let cases = [
            ("one each", 2, None, vec![Some(2), Some(5)]),
            ("fewer workers", 1, None, vec![None]),
            ("more workers", 3, None, vec![None, None, None]),
            ("forced", 3, Some(true), vec![Some(2), Some(5), Some(2)]),
            ("off", 2, Some(false), vec![None, None]),
        ];
        for (name, workers, pin, want) in cases {
            assert_eq!(placement(workers, &cpus, pin), want, "{name}");
        }
    }

    #[test]
    fn the_affinity_mask_names_at_least_one_cpu() {
        assert!(!allowed_cpus().is_empty());
    }

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let raised = raise_open_files();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((raised, limit.current), (limit.maximum, limit.maximum));
    }
}
