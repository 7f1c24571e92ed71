//! The real binary in a folder of its own, with a configuration, its logs, and its end.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::{env, fs, thread};

use serde_json::Value;
use tempfile::TempDir;

use super::{Driver, eventually};

/// What a proxy is started with. Everything has a default but the dynamic file.
pub(crate) struct Setup {
    driver: Driver,
    workers: usize,
    entry_point: String,
    statics: String,
    access_log: String,
    dynamic: String,
    is_directory: bool,
    is_watched: bool,
    environment: Vec<(String, String)>,
    settings: String,
    flags: Vec<String>,
    launcher: Vec<String>,
    is_automatic: bool,
}

impl Setup {
    /// One worker, one entry point `web` on a port of the kernel's choice, a JSON access log.
    pub(crate) fn new(driver: Driver, dynamic: impl Into<String>) -> Self {
        Self {
            driver,
            workers: 1,
            entry_point: String::new(),
            statics: String::new(),
            access_log: "format: json".to_owned(),
            dynamic: dynamic.into(),
            is_directory: false,
            is_watched: true,
            environment: Vec::new(),
            settings: String::new(),
            flags: Vec::new(),
            launcher: Vec::new(),
            is_automatic: false,
        }
    }

    pub(crate) fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Adds lines below `entryPoints.web`.
    pub(crate) fn entry_point(mut self, lines: &str) -> Self {
        self.entry_point.push_str(&indent(lines, 4));
        self
    }

    /// Adds another entry point, after whatever is added below `web`.
    pub(crate) fn beside(mut self, name: &str) -> Self {
        self.entry_point.push_str(&format!("  {name}: {{address: \"127.0.0.1:0\"}}\n"));
        self
    }

    /// Adds top-level lines to the static file.
    pub(crate) fn statics(mut self, lines: &str) -> Self {
        self.statics.push_str(&indent(lines, 0));
        self
    }

    /// Replaces the lines below `accessLog`, the file's path excepted.
    pub(crate) fn access_log(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.access_log);
        self
    }

    /// Puts the dynamic file into a folder `dynamic`, which is what the provider reads.
    pub(crate) fn directory(mut self) -> Self {
        self.is_directory = true;
        self
    }

    /// Turns watching off.
    pub(crate) fn unwatched(mut self) -> Self {
        self.is_watched = false;
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds one key, in flow style, to the section `sundew`.
    pub(crate) fn settings(mut self, key: &str) -> Self {
        self.settings.push_str(", ");
        self.settings.push_str(key);
        self
    }

    /// Adds a flag to `sundew run`.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts the proxy by a command that replaces itself by the rest of its arguments.
    pub(crate) fn launched_by(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// `driver: auto`, whatever the driver of the test.
    pub(crate) fn automatic(mut self) -> Self {
        self.is_automatic = true;
        self
    }

    /// Writes the files and starts the proxy; returns once it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Sundew {
        let mut proxy = self.launch();
        proxy.wait_until_listening();
        proxy
    }

    /// Writes the files and starts the proxy, which may well refuse.
    pub(crate) fn launch(self) -> Sundew {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sundew.yml");
        let mut dynamic = folder.path().join("dynamic.yml");
        if self.is_directory {
            dynamic = folder.path().join("dynamic").join("one.yml");
            fs::create_dir(folder.path().join("dynamic")).expect("a folder");
        }
        fs::write(dynamic, &self.dynamic).expect("a dynamic file");
        fs::write(&path, self.static_text(folder.path())).expect("a static file");
        if !self.launcher.is_empty() {
            // For a launcher that changes the user.
            let everyone = fs::Permissions::from_mode(0o777);
            fs::set_permissions(folder.path(), everyone).expect("a folder for everyone");
        }
        let mut words = self.launcher.iter().map(OsString::from).chain([binary().into()]);
        let mut command = Command::new(words.next().expect("at least the binary"));
        command.args(words).arg("run").arg("--config").arg(&path).args(self.flags);
        command.current_dir(folder.path()).envs(self.environment);
        Sundew::spawn(command, folder)
    }

    fn static_text(&self, folder: &Path) -> String {
        let Self { workers, entry_point, statics, access_log, settings, .. } = self;
        let driver = match self.driver {
            _ if self.is_automatic => "auto",
            Driver::Uring => "uring",
            Driver::Epoll => "epoll",
        };
        let (folder, access_log) = (folder.display(), indent(access_log, 2));
        let source = if self.is_directory { "directory" } else { "filename" };
        let path = if self.is_directory { "dynamic" } else { "dynamic.yml" };
        let watch = self.is_watched;
        format!(
            "entryPoints:\n  web:\n    address: \"127.0.0.1:0\"\n{entry_point}\
             providers:\n  providersThrottleDuration: 50ms\n  \
             file:\n    {source}: \"{folder}/{path}\"\n    watch: {watch}\n\
             accessLog:\n  filePath: \"{folder}/access.log\"\n{access_log}\
             sundew: {{driver: {driver}, workers: {workers}{settings}}}\n{statics}"
        )
    }
}

/// A running proxy; killed when dropped.
pub(crate) struct Sundew {
    child: Child,
    folder: TempDir,
    log: Arc<Mutex<String>>,
    entry_points: HashMap<String, SocketAddr>,
}

impl Sundew {
    /// Runs the binary with arguments in a new folder, without waiting for anything.
    pub(crate) fn with_arguments(arguments: &[&str]) -> Self {
        Self::with_variables(arguments, &[])
    }

    /// The same, with variables of the environment.
    pub(crate) fn with_variables(arguments: &[&str], variables: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder.path());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: TempDir) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        gather(child.stdout.take().expect("stdout"), &log);
        gather(child.stderr.take().expect("stderr"), &log);
        Self { child, folder, log, entry_points: HashMap::new() }
    }

    /// Waits for the line of the entry point `web` (or whichever comes first) with its port.
    #[track_caller]
    pub(crate) fn wait_until_listening(&mut self) {
        let found = eventually("the line that names the entry point's address", || {
            let log = self.log();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the proxy ended with {status}:\n{}", self.log());
            }
            let listening: HashMap<_, _> = log.lines().filter_map(listening_line).collect();
            (!listening.is_empty()).then_some(listening)
        });
        self.entry_points = found;
    }

    /// Where the entry point `web` listens, or the only one.
    pub(crate) fn address(&self) -> SocketAddr {
        let named = self.entry_points.get("web");
        *named.or_else(|| self.entry_points.values().next()).expect("an entry point")
    }

    /// Where an entry point of this name listens.
    #[track_caller]
    pub(crate) fn address_of(&self, name: &str) -> SocketAddr {
        eventually("the entry point's address", || {
            let log = self.log();
            log.lines().filter_map(listening_line).find_map(|(it, at)| (it == name).then_some(at))
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output and error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Waits for a line of the log that contains `text`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        eventually(&format!("{text:?} in the log"), || {
            self.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Replaces the dynamic file the way editors do: another file, renamed over it.
    pub(crate) fn replace_dynamic(&self, text: &str) {
        let path = self.folder().join("dynamic.yml");
        let next = self.folder().join("dynamic.yml.next");
        fs::write(&next, text).expect("the new file");
        fs::rename(next, path).expect("a rename");
    }

    pub(crate) fn access_log_path(&self) -> PathBuf {
        self.folder().join("access.log")
    }

    /// Waits for `count` lines of the access log, and returns them all.
    #[track_caller]
    pub(crate) fn access_lines(&self, count: usize) -> Vec<String> {
        let path = self.access_log_path();
        eventually(&format!("{count} lines in the access log"), || {
            let text = fs::read_to_string(&path).ok()?;
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            (lines.len() >= count && text.ends_with('\n')).then_some(lines)
        })
    }

    /// Waits for `count` records of the JSON access log, and returns them all.
    #[track_caller]
    pub(crate) fn access_records(&self, count: usize) -> Vec<Record> {
        let lines = self.access_lines(count);
        lines.iter().map(|line| Record(serde_json::from_str(line).expect(line))).collect()
    }

    /// The only record of the JSON access log.
    #[track_caller]
    pub(crate) fn only_record(&self) -> Record {
        let mut records = self.access_records(1);
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// Sends a signal by its name, such as `HUP`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.pid().to_string()];
        let status = Command::new("kill").args(arguments).status().expect("kill");
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the process to end.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let status = eventually("the process ends", || self.child.try_wait().ok().flatten());
        assert_eq!(status.signal(), None, "ended by a signal:\n{}", self.log());
        status
    }

    /// Sends SIGTERM and returns the exit code.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> i32 {
        self.signal("TERM");
        self.wait_for_end().code().expect("an exit code")
    }

    /// CPU time of the process so far, in the 10 ms that the kernel counts in.
    pub(crate) fn cpu_ms(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("a process");
        // User and system time are the 14th and 15th field; the 2nd ends with the last bracket.
        let (_, rest) = text.rsplit_once(')').expect("a name in brackets");
        let times = rest.split_whitespace().skip(11).take(2);
        times.map(|it| it.parse::<u64>().expect("a number of ticks") * 10).sum()
    }

    /// How many descriptors are open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a live process").count()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let text = fs::read_to_string(path).expect("a live process");
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let number = line.split_whitespace().nth(1).and_then(|it| it.parse().ok());
        number.expect("a number of KiB")
    }
}

impl Drop for Sundew {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of the proxy\n{}---", self.log());
        }
    }
}

/// One object of the JSON access log.
#[derive(Debug)]
pub(crate) struct Record(Value);

impl Record {
    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{key} in {}", self.0))
    }

    #[track_caller]
    pub(crate) fn number(&self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or_else(|| panic!("{key} in {}", self.0))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    pub(crate) fn sticky(&self) -> &str {
        self.text("StickyStatus")
    }
}

/// The dynamic file of one sticky service `app` (cookie `sid`) behind every path.
pub(crate) fn app(urls: &[&str]) -> String {
    app_with("sticky: {cookie: {name: sid}}", urls)
}

/// The dynamic file of one service `app` behind every path, with lines for its load balancer.
pub(crate) fn app_with(balancer: &str, urls: &[&str]) -> String {
    let servers: String =
        urls.iter().map(|url| format!("          - {{url: \"{url}\"}}\n")).collect();
    let servers = if urls.is_empty() { " []\n".to_owned() } else { format!("\n{servers}") };
    let balancer = indent(balancer, 8);
    format!(
        "http:\n  routers:\n    app: {{rule: \"PathPrefix(`/`)\", service: app}}\n  \
         services:\n    app:\n      loadBalancer:\n{balancer}        servers:{servers}"
    )
}

/// The binary under test; `SUNDEW_BINARY` names another build of it.
fn binary() -> PathBuf {
    env::var_os("SUNDEW_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sundew")), PathBuf::from)
}

fn gather(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("the log");
            log.push_str(&line);
            log.push('\n');
        }
    });
}

fn listening_line(line: &str) -> Option<(String, SocketAddr)> {
    let (_, rest) = line.split_once("entry point ")?;
    let (name, address) = rest.split_once(": listening on ")?;
    let address = address.split_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), address))
}

fn indent(lines: &str, columns: usize) -> String {
    lines.lines().map(|line| format!("{:columns$}{line}\n", "")).collect()
}
