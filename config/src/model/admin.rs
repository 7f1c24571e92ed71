//! What operators see at run time: `api`, `metrics` and the administrative part of `sundew:`.

use std::path::PathBuf;

use super::EntryPointIndex;

/// What the control thread serves to operators, and what it keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admin {
    /// `api.insecure`: the entry point of the API; `None`: it is on none.
    pub api_entry_point: Option<EntryPointIndex>,
    /// `metrics.prometheus`, off when `None`.
    pub metrics: Option<MetricsOptions>,
    /// `sundew.api.socket`: a Unix socket for the owner alone.
    pub socket: Option<PathBuf>,
    /// `sundew.api.remoteWrites`: writes are accepted from everybody who reaches the entry point.
    pub remote_writes: bool,
    /// `sundew.stateFile`: where the states that operators gave to servers survive a restart.
    pub state_file: Option<PathBuf>,
}

impl Admin {
    /// Whether the control thread serves an entry point, and so no worker and no router does.
    #[must_use]
    pub fn owns(&self, point: EntryPointIndex) -> bool {
        let metrics = self.metrics.as_ref().map(|metrics| metrics.entry_point);
        self.api_entry_point == Some(point) || metrics == Some(point)
    }

    /// Whether anybody could ask what the workers count.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.api_entry_point.is_some() || self.metrics.is_some() || self.socket.is_some()
    }
}

/// `metrics.prometheus`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsOptions {
    /// Where `/metrics` is.
    pub entry_point: EntryPointIndex,
    /// Upper bounds of the histograms in seconds, ascending.
    pub buckets_s: Vec<f64>,
    /// `addEntryPointsLabels`: series by entry point.
    pub by_entry_point: bool,
    /// `addRoutersLabels`: series by router.
    pub by_router: bool,
    /// `addServicesLabels`: series by service.
    pub by_service: bool,
}
