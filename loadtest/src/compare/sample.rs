//! One measurement as a row of `raw.csv`, and as the numbers that the reports ask for. It knows
//! nothing of how it was taken. Called by the measurement, the reports and the plots.

use super::generator::PERCENTILES;

/// One peer in one case in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) row: &'static str,
    pub(super) size: u32,
    pub(super) round: u32,
    pub(super) peer: &'static str,
    pub(super) generator: &'static str,
    pub(super) connections: u32,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) seconds: f64,
    /// CPU time of the proxy's processes for one request, microseconds.
    pub(super) user_us: f64,
    pub(super) system_us: f64,
    /// Busy time of the proxy's CPU for one request, kernel threads included, microseconds.
    pub(super) core_us: f64,
    /// Share of the time that this CPU was busy.
    pub(super) core_busy: f64,
    /// Percentile and microseconds.
    pub(super) latency: Vec<(f64, f64)>,
    /// Resident memory when ready, with idle connections, with connections at work.
    pub(super) start_kib: Option<u64>,
    pub(super) idle_kib: Option<u64>,
    pub(super) active_kib: Option<u64>,
}

/// A number that tables and plots are made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    CpuUs,
    UserUs,
    SystemUs,
    CoreUs,
    Rate,
    Latency(f64),
    StartMib,
    IdleMib,
    ActiveMib,
    /// Growth of resident memory for each idle connection, KiB.
    IdleKibEach,
}

impl Sample {
    /// The figure, where this sample has it.
    pub(super) fn figure(&self, figure: Figure) -> Option<f64> {
        let mib = |kib: Option<u64>| kib.map(|it| it as f64 / 1024.0);
        let loaded = (self.requests > 0 && self.seconds > 0.0).then_some(());
        match figure {
            Figure::CpuUs => loaded.map(|()| self.user_us + self.system_us),
            Figure::UserUs => loaded.map(|()| self.user_us),
            Figure::SystemUs => loaded.map(|()| self.system_us),
            Figure::CoreUs => loaded.map(|()| self.core_us),
            Figure::Rate => loaded.map(|()| self.requests as f64 / self.seconds),
            Figure::Latency(at) => {
                self.latency.iter().find(|it| (it.0 - at).abs() < 1e-9).map(|it| it.1)
            }
            Figure::StartMib => mib(self.start_kib),
            Figure::IdleMib => mib(self.idle_kib),
            Figure::ActiveMib => mib(self.active_kib),
            Figure::IdleKibEach => {
                let grown = self.idle_kib? as f64 - self.start_kib? as f64;
                (self.connections > 0).then(|| grown / f64::from(self.connections))
            }
        }
    }
}

/// A figure of a peer in a case, as `(round, value)`.
pub(super) fn of(
    samples: &[Sample],
    (row, size, peer): (&str, u32, &str),
    figure: Figure,
) -> Vec<(u32, f64)> {
    samples
        .iter()
        .filter(|it| (it.row, it.size, it.peer) == (row, size, peer))
        .filter_map(|it| Some((it.round, it.figure(figure)?)))
        .collect()
}

/// The samples as comma-separated values with a head line (RFC 4180, but for its line ends).
pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = String::from(
        "row,size,round,peer,generator,connections,requests,errors,seconds,requests_per_s,\
         cpu_us,user_us,system_us,core_us,core_busy,start_kib,idle_kib,active_kib",
    );
    for at in PERCENTILES {
        text.push_str(&format!(",p{}_us", at.to_string().replace('.', "")));
    }
    text.push('\n');
    for it in samples {
        let mut fields = vec![
            quoted(it.row),
            it.size.to_string(),
            it.round.to_string(),
            quoted(it.peer),
            quoted(it.generator),
            it.connections.to_string(),
            it.requests.to_string(),
            it.errors.to_string(),
            format!("{:.3}", it.seconds),
            number(it.figure(Figure::Rate), 1),
            number(it.figure(Figure::CpuUs), 2),
            number(it.figure(Figure::UserUs), 2),
            number(it.figure(Figure::SystemUs), 2),
            number(it.figure(Figure::CoreUs), 2),
            format!("{:.3}", it.core_busy),
        ];
        let kib = [it.start_kib, it.idle_kib, it.active_kib];
        fields.extend(kib.map(|it| it.map(|kib| kib.to_string()).unwrap_or_default()));
        fields.extend(PERCENTILES.iter().map(|at| number(it.figure(Figure::Latency(*at)), 0)));
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map(|it| format!("{it:.digits$}")).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// A sample that tests make up: so much CPU time for each of 1,000 requests.
#[cfg(test)]
pub(super) fn made_up(
    row: &'static str,
    size: u32,
    round: u32,
    peer: &'static str,
    us: f64,
) -> Sample {
    Sample {
        row,
        size,
        round,
        peer,
        generator: "wrk",
        connections: size,
        requests: 1000,
        seconds: 0.5,
        user_us: us / 4.0,
        system_us: us * 3.0 / 4.0,
        core_us: us + 0.5,
        core_busy: 0.9,
        latency: vec![(50.0, 10.0 * us), (99.0, 30.0 * us)],
        ..Sample::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_line_of_the_file_with_blanks_for_what_it_lacks() {
        let mut memory = Sample { row: "memory", size: 5, peer: "x,\"y", ..Sample::default() };
        (memory.start_kib, memory.idle_kib) = (Some(1024), Some(3072));
        let text = csv(&[made_up("a", 64, 2, "nginx", 20.0), memory]);
        let lines: Vec<&str> = text.lines().collect();
        let names = lines[0].split(',').count();
        assert!(lines[0].ends_with(",p99_us,p999_us,p9999_us"), "{text}");
        assert_eq!(
            lines[1],
            "a,64,2,nginx,wrk,64,1000,0,0.500,2000.0,20.00,5.00,15.00,20.50,0.900,,,,200,,,,600,,"
        );
        assert_eq!(lines[1].split(',').count(), names);
        assert_eq!(lines[2], "memory,5,0,\"x,\"\"y\",,0,0,0,0.000,,,,,,0.000,1024,3072,,,,,,,,");
    }

    #[test]
    fn memory_of_a_connection_is_the_growth_shared_out() {
        let sample = Sample {
            connections: 1000,
            start_kib: Some(10_000),
            idle_kib: Some(12_500),
            ..Sample::default()
        };
        assert_eq!(sample.figure(Figure::IdleKibEach), Some(2.5));
        assert_eq!(sample.figure(Figure::CpuUs), None);
        assert_eq!(sample.figure(Figure::ActiveMib), None);
    }

    #[test]
    fn figures_are_taken_from_one_case_and_peer() {
        let samples = [
            made_up("a", 64, 0, "nginx", 20.0),
            made_up("a", 64, 1, "nginx", 22.0),
            made_up("a", 512, 0, "nginx", 30.0),
            made_up("a", 64, 0, "sundew", 12.0),
        ];
        assert_eq!(of(&samples, ("a", 64, "nginx"), Figure::CpuUs), [(0, 20.0), (1, 22.0)]);
        assert_eq!(of(&samples, ("b", 64, "nginx"), Figure::CpuUs), []);
    }
}
