//! What is measured: one row a kind of work, with its sizes and its bar. Constants only; nothing
//! is run here. Called by the plan, the reports and the plots.

/// A kind of work.
#[derive(Debug)]
pub(super) struct Row {
    /// As it is written on the command line and in `raw.csv`.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) who: Who,
    /// What `sizes` count.
    pub(super) unit: Unit,
    pub(super) sizes: &'static [u32],
    /// Largest ratio to the better of nginx and HAProxy that the project accepts.
    pub(super) bar: Option<f64>,
    /// Floor of the rounds that a full run makes of it; the memory of a process needs fewer.
    pub(super) rounds: u32,
}

/// How a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests as fast as they are answered.
    Closed { method: &'static str, path: &'static str, body_bytes: u32 },
    /// So many requests a second, whatever the answers do.
    Rate(u32),
    /// Resident memory at start, with idle connections, with the same connections at work.
    Memory,
    /// Resident memory at start and with idle connections, as many as descriptors allow: at work
    /// each would need a second one.
    Idle,
}

/// Which peers take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    All,
    /// sundew on both drivers, nginx, `HAProxy`: those that the bar names.
    Core,
    /// The same without the second driver: a curve takes long.
    Curve,
    /// A shape of sundew's own that asks for no comparison.
    Sundew,
}

/// What the size of a case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Connections,
    /// Connections as in row a; the origins listen on Unix sockets.
    UnixConnections,
    /// A new connection for each request, so many at a time.
    NewConnections,
    Workers,
    Servers,
    Routers,
}

impl Kind {
    /// Whether memory is what it is about.
    pub(super) fn is_memory(self) -> bool {
        matches!(self, Self::Memory | Self::Idle)
    }
}

impl Unit {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Connections | Self::UnixConnections | Self::NewConnections => "connections",
            Self::Workers => "workers",
            Self::Servers => "servers",
            Self::Routers => "routers",
        }
    }
}

/// Connections of every row that does not vary them.
pub(super) const CONNECTIONS: u32 = 64;
/// The bar of the quick comparison: row a.
pub(super) const QUICK_BAR: f64 = 0.80;

const SMALL: Kind = Kind::Closed { method: "GET", path: "/", body_bytes: 0 };

const fn closed(name: &'static str, about: &'static str, kind: Kind, bar: f64) -> Row {
    let unit = Unit::Connections;
    Row { name, about, kind, who: Who::All, unit, sizes: &[CONNECTIONS], bar: Some(bar), rounds: 3 }
}

/// All rows, in the order of the report.
pub(super) static ROWS: &[Row] = &[
    closed("a", "GET 100 B, keep-alive", SMALL, QUICK_BAR),
    Row {
        who: Who::Core,
        unit: Unit::UnixConnections,
        ..closed("unix", "GET 100 B, keep-alive, servers on Unix sockets", SMALL, 0.75)
    },
    Row {
        who: Who::Core,
        sizes: &[512],
        ..closed("a512", "GET 100 B, keep-alive, many connections", SMALL, 0.70)
    },
    closed(
        "b",
        "GET 64 KiB, keep-alive",
        Kind::Closed { method: "GET", path: "/b/65536", body_bytes: 0 },
        0.95,
    ),
    Row {
        unit: Unit::NewConnections,
        ..closed("c", "GET 100 B, a new connection for each request", SMALL, 0.95)
    },
    closed(
        "d",
        "POST 4 KiB, keep-alive",
        Kind::Closed { method: "POST", path: "/", body_bytes: 4096 },
        0.80,
    ),
    Row { kind: Kind::Rate(5000), ..closed("rate", "GET 100 B at 5,000/s, open loop", SMALL, 1.0) },
    Row {
        kind: Kind::Memory,
        sizes: &[5000],
        bar: None,
        rounds: 1,
        ..closed("memory", "resident memory at start, idle, at work", SMALL, 0.0)
    },
    Row {
        who: Who::Core,
        unit: Unit::Workers,
        sizes: &[1, 2],
        bar: None,
        ..closed("workers", "GET 100 B, nothing pinned to a CPU", SMALL, 0.0)
    },
    Row {
        who: Who::Curve,
        sizes: &[8, 64, 512, 2048, 8000],
        bar: None,
        ..closed("connections", "GET 100 B, 8 to 8,000 connections", SMALL, 0.0)
    },
    Row {
        kind: Kind::Idle,
        who: Who::Curve,
        sizes: &[1000, 5000, 20_000],
        bar: None,
        rounds: 1,
        ..closed("idle", "resident memory with idle connections", SMALL, 0.0)
    },
    Row {
        who: Who::Sundew,
        unit: Unit::Servers,
        sizes: &[4, 100, 500, 2000],
        bar: None,
        ..closed("servers", "GET 100 B, servers in the service", SMALL, 0.0)
    },
    Row {
        who: Who::Sundew,
        unit: Unit::Routers,
        sizes: &[10, 100, 1000, 10_000],
        bar: None,
        ..closed("routers", "GET 100 B, routers in the table", SMALL, 0.0)
    },
];

/// A row by its name.
///
/// # Errors
/// There is none of that name; names those that there are.
pub(super) fn find(name: &str) -> Result<&'static Row, String> {
    ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        format!("unknown row {name:?}; there are {}", known.join(", "))
    })
}

/// One row at one size: what a proxy is set up for and loaded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) row: &'static Row,
    pub(super) size: u32,
}

impl Case {
    pub(super) fn connections(&self) -> u32 {
        match self.row.unit {
            Unit::Connections | Unit::UnixConnections | Unit::NewConnections => self.size,
            Unit::Workers | Unit::Servers | Unit::Routers => CONNECTIONS,
        }
    }

    pub(super) fn workers(&self) -> u32 {
        if self.row.unit == Unit::Workers { self.size } else { 1 }
    }

    pub(super) fn servers(&self) -> u32 {
        if self.row.unit == Unit::Servers { self.size } else { 4 }
    }

    pub(super) fn routers(&self) -> u32 {
        if self.row.unit == Unit::Routers { self.size } else { 1 }
    }

    pub(super) fn is_unix(&self) -> bool {
        self.row.unit == Unit::UnixConnections
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.row.unit != Unit::Workers
    }

    /// The `Host` of each request: the router in the middle of the table, when there is a choice.
    pub(super) fn host(&self) -> Option<String> {
        (self.row.unit == Unit::Routers).then(|| router_host(self.size / 2))
    }
}

/// The host that a router of the row `routers` is for.
pub(super) fn router_host(at: u32) -> String {
    format!("h{at}.example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(
                std::ptr::eq(find(row.name).expect("a row"), &raw const ROWS[at]),
                "{}",
                row.name
            );
            assert!(!row.sizes.is_empty() && row.rounds > 0);
        }
        let why = find("z").expect_err("no such row");
        assert!(why.contains("a512"), "{why}");
    }

    #[test]
    fn a_case_varies_one_thing() {
        let of = |name, size| Case { row: find(name).expect("a row"), size };
        assert_eq!(of("servers", 2000).connections(), CONNECTIONS);
        assert_eq!(of("servers", 2000).servers(), 2000);
        assert_eq!(of("connections", 8).connections(), 8);
        assert_eq!(of("workers", 2).workers(), 2);
        assert!(!of("workers", 2).is_pinned() && of("a", 64).is_pinned());
        assert_eq!(of("routers", 10).host().as_deref(), Some("h5.example"));
        assert_eq!(of("a", 64).host(), None);
    }
}
