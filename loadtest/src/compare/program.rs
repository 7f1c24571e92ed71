//! A program that the comparison starts: pinned, watched, and ended by its id together with its
//! descendants, whatever happens. It never touches a process that it did not start. Called by the
//! measurement for origins, proxies and load generators.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::proc;

/// How long a program may take to end when asked.
const STOP_S_MAX: u64 = 5;
/// How often a state that no system call waits for is looked at.
pub(super) const LOOK_MS: u64 = 5;
/// Of a program's own words, as much as an error shows.
const WORDS_LINES_MAX: usize = 20;

/// Set by Ctrl-C and by a polite end; every wait looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Turns both signals into the flag, so that this process ends by its ordinary way and stops
    /// what it has started.
    pub(super) fn watch() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// # Errors
    /// Somebody wants an end.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
    }

    /// Waits a moment; for loops that end by a deadline or a fact.
    pub(super) fn pause(&self, length: Duration) -> Result<(), String> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        self.check()
    }
}

/// A started program.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    child: Child,
    words: PathBuf,
    output: PathBuf,
}

impl Program {
    /// Starts `command` on `cpus` (everywhere when empty); what it says goes to `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        name: &str,
        mut command: Command,
        cpus: &[usize],
        folder: &Path,
    ) -> Result<Self, String> {
        let words = folder.join(format!("{name}.stderr"));
        let output = folder.join(format!("{name}.stdout"));
        let file =
            |path: &Path| File::create(path).map_err(|why| format!("{}: {why}", path.display()));
        command.stdin(Stdio::null()).stderr(file(&words)?).stdout(file(&output)?);
        // A group of its own: Ctrl-C reaches this process alone, which then ends the others in
        // order.
        command.process_group(0);
        let started = pinned(cpus, || command.spawn())?;
        let child = started.map_err(|why| format!("{name} does not start: {why}"))?;
        Ok(Self { name: name.to_owned(), child, words, output })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// It has ended; with its last words.
    pub(super) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.fault(&format!("ended with {status}"))),
            Err(why) => Err(self.fault(&why.to_string())),
        }
    }

    /// An error about this program, with what it said last.
    pub(super) fn fault(&self, what: &str) -> String {
        let mut said = fs::read_to_string(&self.words).unwrap_or_default();
        if said.trim().is_empty() {
            said = fs::read_to_string(&self.output).unwrap_or_default();
        }
        let lines: Vec<&str> = said.lines().collect();
        let from = lines.len().saturating_sub(WORDS_LINES_MAX);
        let tail: String = lines.iter().skip(from).map(|it| format!("\n    {it}")).collect();
        let tail = if tail.is_empty() { " and said nothing".into() } else { tail };
        format!("{} {what}{tail}", self.name)
    }

    pub(super) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits for the program's own end, looking at `watch` now and then.
    ///
    /// # Errors
    /// It is not over by `deadline`, or `watch` says stop.
    pub(super) fn wait(
        &mut self,
        deadline: Instant,
        mut watch: impl FnMut() -> Result<(), String>,
    ) -> Result<ExitStatus, String> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(why) => return Err(self.fault(&why.to_string())),
            }
            if Instant::now() > deadline {
                return Err(self.fault("does not end"));
            }
            watch()?;
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }

    fn stop(&mut self) {
        // Named with their start, so that a process that took over an id is left alone.
        let members: Vec<_> =
            proc::family(self.pid()).into_iter().map(|pid| (pid, proc::stat(pid))).collect();
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.pid(), Signal::TERM);
            let end = Instant::now() + Duration::from_secs(STOP_S_MAX);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(LOOK_MS));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
        for (pid, before) in members.into_iter().skip(1) {
            let Some(before) = before else { continue };
            if proc::stat(pid).is_some_and(|now| now.started == before.started) {
                signal(pid, Signal::KILL);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks a started program for an early end, as Ctrl-C would.
pub(super) fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile, which is what is wanted.
        let _ = kill_process(pid, signal);
    }
}

/// Runs `act` with this thread on `cpus`; a process started there inherits them.
pub(super) fn pinned<T>(cpus: &[usize], act: impl FnOnce() -> T) -> Result<T, String> {
    if cpus.is_empty() {
        return Ok(act());
    }
    let before = sched_getaffinity(None).map_err(|why| format!("affinity: {why}"))?;
    let mut wanted = CpuSet::new();
    for cpu in cpus {
        wanted.set(*cpu);
    }
    sched_setaffinity(None, &wanted).map_err(|why| format!("CPUs {cpus:?}: {why}"))?;
    let done = act();
    sched_setaffinity(None, &before).map_err(|why| format!("affinity: {why}"))?;
    Ok(done)
}

/// Where a program is: a path, or a name looked for as a shell would. Debian keeps servers in a
/// folder that is not in everyone's `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|it| it.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> (tempfile::TempDir, Program) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        let program = Program::start("sh", command, &[], folder.path()).expect("a shell");
        (folder, program)
    }

    fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_that_ends_is_reported_with_its_own_words() {
        let (_folder, mut program) = shell("echo 'port is taken' >&2; exit 3");
        eventually("it ends", || program.check().is_err());
        let why = program.check().expect_err("ended");
        assert!(why.contains("exit status: 3") && why.contains("port is taken"), "{why}");
    }

    #[test]
    fn descendants_end_with_a_program_even_when_it_ignores_the_signal() {
        let (_folder, program) = shell("trap '' TERM; sleep 600 & sleep 601 & echo up; wait; wait");
        eventually("it has children", || proc::family(program.pid()).len() == 3);
        let members = proc::family(program.pid());
        drop(program);
        eventually("all are gone", || members.iter().all(|pid| proc::stat(*pid).is_none()));
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_when_the_watch_says_so() {
        let (_folder, mut program) = shell("sleep 600");
        let why = program.wait(Instant::now(), || Ok(())).expect_err("too long");
        assert!(why.contains("does not end"), "{why}");
        let far = Instant::now() + Duration::from_secs(60);
        assert_eq!(program.wait(far, || Err("enough".into())), Err("enough".into()));
    }

    #[test]
    fn a_program_is_found_by_path_and_by_name() {
        assert_eq!(find("/bin/sh"), Some("/bin/sh".into()));
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-here"), None);
    }
}
