//! What operators see at run time: `api`, `metrics` and the administrative part of `sundew:`.

use std::path::PathBuf;

use super::EntryPointIndex;

/// What the control thread serves to operators, and what it keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admin {
    /// The entry point that the control thread serves itself; `None`: nothing asks for one.
    pub entry_point: Option<EntryPointIndex>,
    /// `api.insecure`: the API is on that entry point.
    pub is_api_served: bool,
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
    /// Whether anybody could ask what the workers count.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_api_served || self.metrics.is_some() || self.socket.is_some()
    }
}

/// `metrics.prometheus`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsOptions {
    /// Upper bounds of the histograms in seconds, ascending.
    pub buckets_s: Vec<f64>,
    /// `addEntryPointsLabels`: series by entry point.
    pub by_entry_point: bool,
    /// `addRoutersLabels`: series by router.
    pub by_router: bool,
    /// `addServicesLabels`: series by service.
    pub by_service: bool,
}
