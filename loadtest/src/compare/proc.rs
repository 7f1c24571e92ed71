//! What `/proc` says about processes and CPUs: CPU time, resident memory, descendants. It reads
//! only. Called by the measurement and by the check that the machine is quiet.

use std::fs;
use std::ops::Sub;

/// One line of `/proc/PID/stat`, as far as it is used (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    parent: u32,
    ticks: Ticks,
    resident_pages: u64,
    /// Ticks since boot at its start: with the id it names one process for good.
    pub(super) started: u64,
}

/// CPU time in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    pub(super) user: u64,
    pub(super) system: u64,
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// One CPU since boot, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Core {
    pub(super) busy: u64,
    pub(super) total: u64,
}

impl Core {
    /// Share of the time since `earlier` that the CPU did something, 0 to 1.
    pub(super) fn busy_since(self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total).max(1);
        self.busy.saturating_sub(earlier.busy) as f64 / total as f64
    }
}

/// Microseconds of one clock tick.
pub(super) fn tick_us() -> f64 {
    1e6 / rustix::param::clock_ticks_per_second() as f64
}

/// A process that runs; one that ended and waits for its parent's look is gone.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command's name may hold blanks and brackets; the fields begin behind the last bracket.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    if *fields.first()? == "Z" {
        return None;
    }
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        // Those of children that ended stand beside its own.
        ticks: Ticks { user: number(11)? + number(13)?, system: number(12)? + number(14)? },
        resident_pages: number(21)?,
        started: number(19)?,
    })
}

/// A process and all that descend from it; itself first.
pub(super) fn family(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    descendants(pid, &parents)
}

fn descendants(pid: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&member) = found.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == member);
        found.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    found
}

/// CPU time of a process and its descendants.
pub(super) fn cpu_of(pid: u32) -> Ticks {
    family(pid).into_iter().filter_map(stat).fold(Ticks::default(), |sum, it| Ticks {
        user: sum.user + it.ticks.user,
        system: sum.system + it.ticks.system,
    })
}

/// Resident memory of a process and its descendants, KiB. Pages that they share count in each, as
/// they do in every tool that an operator would use.
pub(super) fn resident_kib(pid: u32) -> u64 {
    let pages: u64 = family(pid).into_iter().filter_map(stat).map(|it| it.resident_pages).sum();
    pages * rustix::param::page_size() as u64 / 1024
}

/// One CPU, or all of them.
pub(super) fn core(cpu: Option<usize>) -> Core {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    parse_core(&text, cpu).unwrap_or_default()
}

fn parse_core(text: &str, cpu: Option<usize>) -> Option<Core> {
    let name = cpu.map_or("cpu".to_owned(), |cpu| format!("cpu{cpu}"));
    let line = text.lines().find(|line| line.split(' ').next() == Some(name.as_str()))?;
    // user nice system idle iowait irq softirq steal; guest time is in user already. Time stolen
    // by the host is neither busy nor idle.
    let ticks: Vec<u64> =
        line.split_whitespace().skip(1).filter_map(|it| it.parse().ok()).collect();
    let total: u64 = ticks.iter().take(7).sum();
    Some(Core { busy: total - ticks.get(3)? - ticks.get(4)?, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_a_hostile_name() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 5 6 20 0 1 0 900 8192 55 18 0\n";
        let want = Stat {
            parent: 3,
            ticks: Ticks { user: 15, system: 26 },
            resident_pages: 55,
            started: 900,
        };
        assert_eq!(parse_stat(text), Some(want));
        assert_eq!(parse_stat("7 (a) S 3"), None);
        assert_eq!(parse_stat(&text.replace(" S ", " Z ")), None);
    }

    #[test]
    fn a_family_holds_grandchildren_and_no_strangers() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 2)];
        assert_eq!(descendants(2, &parents), [2, 3, 6, 4]);
        assert_eq!(descendants(9, &parents), [9]);
    }

    #[test]
    fn a_cpu_is_busy_when_it_is_neither_idle_nor_waiting_nor_stolen() {
        let text =
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 40 5 6 7 8 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(parse_core(text, Some(0)), Some(Core { busy: 19, total: 64 }));
        assert_eq!(parse_core(text, None), Some(Core { busy: 45, total: 63 }));
        assert_eq!(parse_core(text, Some(1)), None);
        let later = Core { busy: 29, total: 104 };
        assert!((later.busy_since(Core { busy: 19, total: 64 }) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn this_process_is_its_own_family_and_resides() {
        let own = std::process::id();
        assert_eq!(family(own).first(), Some(&own));
        assert!(resident_kib(own) > 100);
    }
}
