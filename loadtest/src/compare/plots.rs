//! Samples as plots: which figures, over what. It measures nothing and writes no file. Called by
//! the report.

use super::peer::ALL;
use super::row::{Kind, ROWS, Row};
use super::sample::{self, Figure, Sample};
use super::statistics::Spread;
use super::svg::{self, Axis, Group, Line, Scale};

const CPU: Axis<'_> = Axis { label: "proxy CPU time per request, µs", scale: Scale::Linear };

/// Every plot that the samples have figures for, as file name and SVG.
pub(super) fn all(samples: &[Sample]) -> Vec<(&'static str, String)> {
    let count = |label| Axis { label, scale: Scale::Log };
    let mut plots = Vec::new();
    let groups = cpu_groups(samples);
    if groups.iter().any(|it| !it.bars.is_empty()) {
        plots.push(("cpu-per-request.svg", svg::bars("CPU time per request", CPU.label, &groups)));
    }
    let mut add = |file, title: &str, x: Axis<'_>, y: Axis<'_>, lines: Vec<Line<'_>>| {
        if lines.iter().any(|it| !it.points.is_empty()) {
            plots.push((file, svg::lines(title, x, y, &lines)));
        }
    };
    let nines = Axis { label: "percentile", scale: Scale::Nines };
    let micros = Axis { label: "latency, µs", scale: Scale::Log };
    add(
        "latency-rate.svg",
        "Latency at 5,000 requests/s",
        nines,
        micros,
        latencies(samples, "rate"),
    );
    add(
        "latency-a.svg",
        "Latency at full load, 64 connections",
        nines,
        micros,
        latencies(samples, "a"),
    );
    let over = |row, figure| curves(samples, row, figure);
    let connections = count("connections");
    let rate = Axis { label: "requests/s", scale: Scale::Linear };
    add(
        "throughput-connections.svg",
        "Throughput against connections",
        connections,
        rate,
        over("connections", Figure::Rate),
    );
    add(
        "latency-connections.svg",
        "99th percentile of latency against connections",
        connections,
        micros,
        over("connections", Figure::Latency(99.0)),
    );
    add(
        "cpu-connections.svg",
        "CPU time per request against connections",
        connections,
        CPU,
        over("connections", Figure::CpuUs),
    );
    add(
        "memory-idle.svg",
        "Resident memory against idle connections",
        Axis { label: "idle connections", scale: Scale::Linear },
        Axis { label: "resident memory, MiB", scale: Scale::Linear },
        over("idle", Figure::IdleMib),
    );
    for (file, row) in [("cpu-servers.svg", "servers"), ("cpu-routers.svg", "routers")] {
        let title = format!("CPU time per request against {row}");
        add(file, &title, count(row), CPU, over(row, Figure::CpuUs));
    }
    plots
}

/// Rows of one size, one group each.
fn cpu_groups(samples: &[Sample]) -> Vec<Group<'static>> {
    let one_size = |row: &&Row| row.sizes.len() == 1 && matches!(row.kind, Kind::Closed { .. });
    ROWS.iter()
        .filter(one_size)
        .map(|row| Group {
            name: format!("{}: {}", row.name, row.about),
            bars: cpu_bars(samples, row),
        })
        .collect()
}

fn cpu_bars(samples: &[Sample], row: &Row) -> Vec<(&'static str, usize, f64)> {
    let peers = ALL.iter().enumerate();
    peers
        .filter_map(|(colour, peer)| {
            let size = *row.sizes.first()?;
            let value = median(samples, (row.name, size, peer.name()), Figure::CpuUs)?;
            Some((peer.name(), colour, value))
        })
        .collect()
}

fn median(samples: &[Sample], key: (&str, u32, &str), figure: Figure) -> Option<f64> {
    let values = sample::of(samples, key, figure);
    Some(Spread::of(values.into_iter().map(|it| it.1))?.median)
}

/// A line a peer: medians of each percentile.
fn latencies(samples: &[Sample], row: &str) -> Vec<Line<'static>> {
    let size = samples.iter().find(|it| it.row == row).map_or(0, |it| it.size);
    let percentiles = super::generator::PERCENTILES;
    lines(|peer| {
        let at = |at: &f64| Some((*at, median(samples, (row, size, peer), Figure::Latency(*at))?));
        percentiles.iter().filter_map(at).collect()
    })
}

/// A line a peer: medians of a figure at each size of a row.
fn curves(samples: &[Sample], row: &str, figure: Figure) -> Vec<Line<'static>> {
    let mut sizes: Vec<u32> = samples.iter().filter(|it| it.row == row).map(|it| it.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    lines(|peer| {
        let at =
            |size: &u32| Some((f64::from(*size), median(samples, (row, *size, peer), figure)?));
        sizes.iter().filter_map(at).collect()
    })
}

fn lines(points: impl Fn(&str) -> Vec<(f64, f64)>) -> Vec<Line<'static>> {
    let peers = ALL.iter().enumerate();
    peers
        .map(|(colour, peer)| Line { name: peer.name(), colour, points: points(peer.name()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::made_up;
    use super::*;

    #[test]
    fn only_what_was_measured_is_plotted() {
        assert!(all(&[]).is_empty());
        let files = |samples: &[Sample]| -> Vec<&str> {
            all(samples).into_iter().map(|(file, _)| file).collect()
        };
        let row_a = [made_up("a", 64, 0, "nginx", 20.0), made_up("a", 64, 0, "sundew", 12.0)];
        assert_eq!(files(&row_a), ["cpu-per-request.svg", "latency-a.svg"]);
        let curve = [made_up("connections", 8, 0, "sundew", 12.0)];
        let want = ["throughput-connections.svg", "latency-connections.svg", "cpu-connections.svg"];
        assert_eq!(files(&curve), want);
    }

    #[test]
    fn a_curve_holds_the_median_of_each_size() {
        let samples = [
            made_up("connections", 512, 0, "sundew", 14.0),
            made_up("connections", 8, 0, "sundew", 10.0),
            made_up("connections", 8, 1, "sundew", 30.0),
            made_up("connections", 8, 2, "sundew", 12.0),
        ];
        let lines = curves(&samples, "connections", Figure::CpuUs);
        assert_eq!(
            (lines[0].name, &*lines[0].points),
            ("sundew", &[(8.0, 12.0), (512.0, 14.0)][..])
        );
        assert!(lines[2].points.is_empty());
    }
}
