//! One run: starts a proxy and its load, looks at the clocks, ends what it started. It decides
//! nothing about order, repetition or meaning. Called by the plan, once a sample.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::generator::{Generator, Load, Report};
use super::http::{Answer, Client};
use super::peer::{Own, Peer, Places};
use super::proc;
use super::program::{Interrupt, LOOK_MS, Program};
use super::row::{Case, Kind};
use super::sample::Sample;

/// Where a pinned proxy runs, and where everything else does.
pub(super) const PROXY_CPU: usize = 0;
pub(super) const LOAD_CPU: usize = 1;
/// How long a program may take until it answers.
const READY_S_MAX: u64 = 20;
/// Requests without a cookie that may pass before every wanted pin was seen. A random choice of
/// four servers misses one of them this often once in 10^24.
const FRESH_MAX: usize = 200;
/// Different pins that a load uses at most.
const PINS_MAX: usize = 64;
/// How often memory is looked at while connections work.
const MEMORY_LOOK_MS: u64 = 100;

/// Shortest load that a memory row measures.
const MEMORY_LOAD_S_MIN: u64 = 3;

/// What every run of one comparison shares.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) own: Own,
    pub(super) loadtest: PathBuf,
    pub(super) generator: Generator,
    pub(super) warm_up: Duration,
    pub(super) length: Duration,
    /// Silence before the memory of idle connections is read.
    pub(super) idle: Duration,
    pub(super) files_max: u64,
    pub(super) interrupt: Interrupt,
    /// Scratch folder of this comparison.
    pub(super) folder: PathBuf,
}

/// Origins that serve; they end with this value.
#[derive(Debug)]
pub(super) struct Origins {
    program: Program,
    /// As a peer's configuration names them.
    servers: Vec<String>,
    is_unix: bool,
    is_pinned: bool,
}

impl Origins {
    /// Whether a case can use them.
    pub(super) fn fit(&self, case: &Case) -> bool {
        self.servers.len() == case.servers() as usize
            && self.is_unix == case.is_unix()
            && self.is_pinned == case.is_pinned()
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        self.program.check()
    }
}

impl Bench {
    /// Load that does not count; the slowest proxy accepts some 4,000 clients a second.
    pub(super) fn warm_up_of(&self, case: &Case) -> Duration {
        self.warm_up + Duration::from_secs_f64(f64::from(case.connections()) / 4000.0)
    }

    /// Load that counts; long enough in a memory row for every connection to be at work.
    pub(super) fn length_of(&self, case: &Case) -> Duration {
        let least = if case.row.kind == Kind::Memory { MEMORY_LOAD_S_MIN } else { 0 };
        self.length.max(Duration::from_secs(least))
    }

    /// Starts origins for a case and waits until they answer.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn origins(&self, case: &Case) -> Result<Origins, String> {
        let count = case.servers() as usize;
        let mut command = Command::new(&self.loadtest);
        command.arg("origin");
        let servers: Vec<String> = if case.is_unix() {
            let paths = (1..=count).map(|at| self.folder.join(format!("{at}.sock")));
            let paths: Vec<PathBuf> = paths.collect();
            for path in &paths {
                command.arg("--unix").arg(path);
            }
            paths.iter().map(|path| format!("unix:{}", path.display())).collect()
        } else {
            let ports = free_ports(count)?;
            let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
            command.arg("--ports").arg(list.join(","));
            ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
        };
        let mut program = Program::start("origin", command, load_cpus(case), &self.folder)?;
        let end = Instant::now() + Duration::from_secs(READY_S_MAX);
        while program.output().lines().count() < count {
            program.check()?;
            if Instant::now() > end {
                return Err(program.fault("does not listen"));
            }
            self.interrupt.pause(Duration::from_millis(LOOK_MS))?;
        }
        let (is_unix, is_pinned) = (case.is_unix(), case.is_pinned());
        Ok(Origins { program, servers, is_unix, is_pinned })
    }

    /// Takes one sample.
    ///
    /// # Errors
    /// Anything that makes its figures worthless.
    pub(super) fn sample(
        &self,
        peer: Peer,
        case: &Case,
        round: u32,
        origins: &mut Origins,
    ) -> Result<Sample, String> {
        let folder = self.folder.join(peer.name());
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let [port] = free_ports(1)?.try_into().map_err(|_| "no free port".to_owned())?;
        let files_max = self.files_max;
        let places = Places { port, servers: &origins.servers, folder: &folder, files_max };
        let command = peer.command(&self.own, case, &places)?;
        let cpus: &[usize] = if case.is_pinned() { &[PROXY_CPU] } else { &[] };
        let mut proxy = Program::start(peer.name(), command, cpus, &folder)?;
        self.wait_for(&mut proxy, port, case)?;
        let mut sample = Sample {
            row: case.row.name,
            size: case.size,
            round,
            peer: peer.name(),
            connections: case.connections(),
            start_kib: Some(proc::resident_kib(proxy.pid())),
            ..Sample::default()
        };
        let pins = pins(port, case).map_err(|why| proxy.fault(&why))?;
        if case.row.kind.is_memory() {
            sample.idle_kib = Some(self.idle_kib(&mut proxy, port, case, &pins)?);
        }
        if case.row.kind == Kind::Idle {
            return Ok(sample);
        }
        let run = Run { proxy: &mut proxy, origins, port, pins: &pins, folder: &folder, case };
        self.load(run, &mut sample)?;
        Ok(sample)
    }

    fn wait_for(&self, proxy: &mut Program, port: u16, case: &Case) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(READY_S_MAX);
        loop {
            proxy.check()?;
            let host = case.host();
            let answer =
                Client::connect(port, host.as_deref()).and_then(|mut client| client.ask(None));
            let why = match answer {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => format!("status {}", answer.status),
                Err(why) => why,
            };
            if Instant::now() > end {
                return Err(proxy.fault(&format!("is not ready ({why})")));
            }
            self.interrupt.pause(Duration::from_millis(20))?;
        }
    }

    /// Resident memory once every connection of the case has asked once and then been silent.
    fn idle_kib(
        &self,
        proxy: &mut Program,
        port: u16,
        case: &Case,
        pins: &[String],
    ) -> Result<u64, String> {
        let mut clients = Vec::new();
        for at in 0..case.connections() as usize {
            self.interrupt.check()?;
            let pin = pins.get(at % pins.len().max(1)).map(String::as_str);
            let asked = Client::connect(port, None).and_then(|mut client| {
                client.ask(pin)?;
                Ok(client)
            });
            clients.push(asked.map_err(|why| proxy.fault(&format!("lost client {at}: {why}")))?);
        }
        self.interrupt.pause(self.idle)?;
        proxy.check()?;
        let resident = proc::resident_kib(proxy.pid());
        // A connection that was closed meanwhile costs nothing, which would flatter.
        for (at, client) in clients.iter_mut().enumerate() {
            self.interrupt.check()?;
            let why = |why| format!("closed the idle client {at}: {why}");
            client.ask(None).map_err(|it| proxy.fault(&why(it)))?;
        }
        Ok(resident)
    }

    fn load(&self, run: Run<'_>, sample: &mut Sample) -> Result<(), String> {
        let Run { proxy, origins, port, pins, folder, case } = run;
        let generator = self.generator.for_case(case);
        let mut load = Load {
            case,
            port,
            pins,
            length: self.warm_up_of(case),
            cpus: load_cpus(case),
            folder,
            loadtest: &self.loadtest,
        };
        generator.run(&load, &self.interrupt, || proxy.check())?;
        load.length = self.length_of(case);
        let core = case.is_pinned().then_some(PROXY_CPU);
        let (ticks, busy) = (proc::cpu_of(proxy.pid()), proc::core(core));
        let mut looked = Instant::now();
        let mut active_kib = 0;
        let report = generator.run(&load, &self.interrupt, || {
            proxy.check()?;
            origins.check()?;
            let is_due = looked.elapsed() >= Duration::from_millis(MEMORY_LOOK_MS);
            if case.row.kind == Kind::Memory && is_due {
                looked = Instant::now();
                active_kib = active_kib.max(proc::resident_kib(proxy.pid()));
            }
            Ok(())
        })?;
        let (ticks, later) = (proc::cpu_of(proxy.pid()) - ticks, proc::core(core));
        proxy.check()?;
        if report.requests == 0 {
            return Err(proxy.fault("answered nothing under load"));
        }
        if case.row.kind == Kind::Memory {
            sample.active_kib = Some(active_kib);
        }
        let each = |ticks: u64| proc::tick_us() * ticks as f64 / report.requests as f64;
        sample.user_us = each(ticks.user);
        sample.system_us = each(ticks.system);
        sample.core_us = each(later.busy.saturating_sub(busy.busy));
        sample.core_busy = later.busy_since(busy);
        sample.generator = generator.name();
        let Report { requests, errors, seconds, latency } = report;
        (sample.requests, sample.errors) = (requests, errors);
        (sample.seconds, sample.latency) = (seconds, latency);
        Ok(())
    }
}

/// Where generator and origins run.
fn load_cpus(case: &Case) -> &'static [usize] {
    if case.is_pinned() { &[LOAD_CPU] } else { &[] }
}

/// What the load of one sample works on.
struct Run<'a> {
    proxy: &'a mut Program,
    origins: &'a mut Origins,
    port: u16,
    pins: &'a [String],
    folder: &'a Path,
    case: &'a Case,
}

/// Ports that nobody listens on. Somebody may take one before it is used: then the program that
/// wanted it says so and the run fails.
fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held: Vec<TcpListener> = (0..count)
        .map(|_| bind())
        .collect::<Result<_, _>>()
        .map_err(|why| format!("no free port: {why}"))?;
    let port = |it: &TcpListener| it.local_addr().map(|at| at.port());
    held.iter().map(port).collect::<Result<_, _>>().map_err(|why| why.to_string())
}

/// Valid cookies for a load, learned from the proxy itself and checked: a proxy that does not pin
/// would do less work than the others.
fn pins(port: u16, case: &Case) -> Result<Vec<String>, String> {
    let wanted = (case.servers() as usize).min(PINS_MAX);
    let host = case.host();
    let ask = |pin: Option<&str>| -> Result<Answer, String> {
        Client::connect(port, host.as_deref())?.ask(pin)
    };
    let mut servers = BTreeMap::new();
    let mut pins = Vec::new();
    for _ in 0..FRESH_MAX {
        if servers.len() == wanted {
            break;
        }
        let answer = ask(None)?;
        let pin = answer.cookie.ok_or("set no cookie")?;
        if servers.insert(answer.server.clone(), pin.clone()).is_none() {
            pins.push((pin, answer.server));
        }
    }
    if pins.len() != wanted {
        return Err(format!("served from {} of {wanted} servers", pins.len()));
    }
    for (pin, server) in &pins {
        for _ in 0..2 {
            let answer = ask(Some(pin))?;
            if answer.status != 200 || answer.server != *server {
                return Err(format!(
                    "sent {pin} to {:?} with status {}, not to {server:?}",
                    answer.server, answer.status
                ));
            }
        }
    }
    Ok(pins.into_iter().map(|(pin, _)| pin).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_different_and_free() {
        let ports = free_ports(50).expect("ports");
        let mut unique = ports.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), 50);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).is_ok());
    }
}
