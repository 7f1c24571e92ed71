//! What operators ordered for single servers: drain it, or take it down. Owns the orders, their
//! deadlines and the file that keeps them over a restart; a reload does not touch them. Never tells
//! a worker anything: [`super::publish`] reads what is in force, [`super::run`] brings the time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sundew_config::model::Server;

/// More than an operator gives by hand; a script that has gone astray must not fill the memory.
const ORDERS_MAX: usize = 10_000;

/// Bytes of the state file that are read: more than [`ORDERS_MAX`] orders need.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Form of the state file.
const VERSION: u32 = 1;

/// What a server is told to be; without an order it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// No new pins; those that there are stay.
    Drain,
    /// Nobody is sent there.
    Down,
}

/// An order that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was ordered, or what came of it at its deadline.
    pub order: Order,
    /// When.
    pub since: SystemTime,
    /// When a drained server goes down.
    pub deadline: Option<SystemTime>,
}

/// The name of a server in an order, in the API and in the state file.
#[must_use]
pub fn server_id(server: &Server) -> &str {
    server.pin_name()
}

/// Whether an operator means this server: by its `id`, or by its URL.
#[must_use]
pub fn is_called(server: &Server, name: &str) -> bool {
    server_id(server) == name || server.url == name
}

/// Every order, by service and server.
#[derive(Debug, Default)]
pub struct Orders {
    standing: BTreeMap<(String, String), Standing>,
    file: Option<PathBuf>,
}

/// One order in the state file; times are seconds of Unix time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    service: String,
    server: String,
    state: Order,
    since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    version: u32,
    servers: Vec<Line>,
}

impl Orders {
    /// Those of the state file; none when it does not exist yet.
    ///
    /// # Errors
    /// When it cannot be read: to begin without it would give drained servers new clients.
    pub fn load(file: Option<PathBuf>) -> io::Result<Self> {
        let Some(path) = &file else { return Ok(Self::default()) };
        let text = match fs::File::open(path) {
            Ok(opened) => io::read_to_string(io::Read::take(opened, FILE_BYTES_MAX))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { standing: BTreeMap::new(), file });
            }
            Err(error) => return Err(error),
        };
        let lines: Lines = serde_json::from_str(&text).map_err(io::Error::other)?;
        if lines.version != VERSION {
            let version = lines.version;
            return Err(io::Error::other(format!("it is of version {version}, not {VERSION}")));
        }
        let standing = lines.servers.into_iter().take(ORDERS_MAX).map(|line| {
            let standing = Standing {
                order: line.state,
                since: moment(line.since),
                deadline: line.deadline.map(moment),
            };
            ((line.service, line.server), standing)
        });
        Ok(Self { standing: standing.collect(), file })
    }

    /// What stands for a server.
    #[must_use]
    pub fn find(&self, service: &str, server: &str) -> Option<Standing> {
        // The map's key owns its text; orders are rare, and so are questions about them.
        self.standing.get(&(service.to_owned(), server.to_owned())).copied()
    }

    /// Replaces what stands for a server; `None` ends it. Kept in the file before it is in force.
    ///
    /// # Errors
    /// When the state file cannot be written, or there are too many orders; nothing changes then.
    pub fn give(
        &mut self,
        service: &str,
        server: &str,
        standing: Option<Standing>,
    ) -> io::Result<()> {
        let key = (service.to_owned(), server.to_owned());
        let mut next = self.standing.clone();
        match standing {
            Some(standing) => next.insert(key, standing),
            None => next.remove(&key),
        };
        if next.len() > ORDERS_MAX {
            return Err(io::Error::other(format!("more than {ORDERS_MAX} orders")));
        }
        self.keep(&next)?;
        self.standing = next;
        Ok(())
    }

    /// The next deadline, from now.
    #[must_use]
    pub fn next_deadline(&self, now: SystemTime) -> Option<Duration> {
        let deadlines = self.standing.values().filter_map(|standing| standing.deadline);
        deadlines.min().map(|first| first.duration_since(now).unwrap_or_default())
    }

    /// Ends the drains whose deadline has come; returns whose those were.
    pub fn take_due(&mut self, now: SystemTime) -> Vec<(String, String)> {
        let mut due = Vec::new();
        for (key, standing) in &mut self.standing {
            if standing.deadline.is_some_and(|deadline| deadline <= now) {
                *standing = Standing { order: Order::Down, since: now, deadline: None };
                due.push(key.clone());
            }
        }
        if !due.is_empty()
            && let Err(error) = self.keep(&self.standing)
        {
            // The file still says when they are due, so a restart comes to the same.
            tracing::warn!("the state file could not be written: {error}");
        }
        due
    }

    /// Writes the file beside itself and renames it, so that it is whole whatever happens.
    fn keep(&self, standing: &BTreeMap<(String, String), Standing>) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let servers = standing.iter().map(|((service, server), standing)| Line {
            service: service.clone(),
            server: server.clone(),
            state: standing.order,
            since: seconds(standing.since),
            deadline: standing.deadline.map(seconds),
        });
        let lines = Lines { version: VERSION, servers: servers.collect() };
        let mut text = serde_json::to_vec_pretty(&lines).map_err(io::Error::other)?;
        text.push(b'\n');
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }
}

fn moment(second: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(second)).unwrap_or(UNIX_EPOCH)
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
