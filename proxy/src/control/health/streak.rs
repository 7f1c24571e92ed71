//! How many probes in a row came to the same: one bad answer of a busy server need not move its
//! clients. Called by the task that probes one server.

use sundew_config::model::HealthCheck;

/// The last probes of one server.
#[derive(Debug, Default)]
pub(super) struct Streak {
    was_healthy: bool,
    count: u32,
}

impl Streak {
    /// Takes a probe into account. Returns whether there are enough in a row to believe it.
    pub(super) fn note(&mut self, is_healthy: bool, check: &HealthCheck) -> bool {
        let goes_on = self.was_healthy == is_healthy;
        self.count = if goes_on { self.count.saturating_add(1) } else { 1 };
        self.was_healthy = is_healthy;
        let wanted = if is_healthy { check.healthy_threshold } else { check.unhealthy_threshold };
        self.count >= wanted
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::check;
    use super::*;

    #[test]
    fn a_probe_is_believed_when_there_are_enough_in_a_row() {
        for (healthy_threshold, unhealthy_threshold, probes, want) in [
            (1, 1, "+-+--", "+-+--"),
            (2, 3, "+++--+---+-++-", ".++.....-...+."),
            (1, 2, "-+--", ".+.-"),
            (3, 1, "-++-+++", "-..-..+"),
        ] {
            let check = HealthCheck { healthy_threshold, unhealthy_threshold, ..check() };
            let mut streak = Streak::default();
            let note = |probe| if streak.note(probe == '+', &check) { probe } else { '.' };
            assert_eq!(probes.chars().map(note).collect::<String>(), want, "{probes}");
        }
    }
}
