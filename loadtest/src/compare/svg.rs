//! A small writer of plots as SVG: bars in groups, and lines over a scale. Shapes and text only;
//! it knows nothing of what the numbers mean. Called by `plots`.
//!
//! Legible on white and on black: all colours are of a middle lightness, text and grid follow
//! `prefers-color-scheme`, and lines differ in their marks as well as in their colour.

use std::fmt::Write as _;

/// Width of every plot; the height follows from what is in it. User units, as are all lengths here.
const WIDTH: f64 = 820.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 52.0;
const LINES_HEIGHT: f64 = 420.0;
const BAR: f64 = 15.0;
const GROUP_GAP: f64 = 26.0;

const STYLE: &str = "<style>\n\
    svg{font:13px system-ui,sans-serif;background:#fff}\n\
    text{fill:#222}.title{font-weight:600;font-size:15px}.soft{fill:#555}\n\
    .grid{stroke:#ddd}.axis{stroke:#777}.line{fill:none;stroke-width:2}\n\
    @media (prefers-color-scheme:dark){svg{background:#111}text{fill:#eee}.soft{fill:#aaa}\
    .grid{stroke:#333}.axis{stroke:#888}}\n</style>\n";

/// Colours by place; the first stands out.
const COLOURS: &[&str] = &[
    "#d9480f", "#e8923a", "#2f7dc9", "#2b9a66", "#9357c9", "#c2479d", "#7a8a1f", "#1f94a3",
    "#8b6f5c",
];

/// How values become places on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
    /// Percentiles: each further nine takes as much room as the one before.
    Nines,
}

impl Scale {
    fn project(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(1e-9).log10(),
            Self::Nines => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }
}

/// An axis: what it says, and how values lie on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis<'a> {
    /// With the unit.
    pub(super) label: &'a str,
    pub(super) scale: Scale,
}

/// A named line; `colour` is the place of its peer in the tables, the same in every plot.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) colour: usize,
    pub(super) points: Vec<(f64, f64)>,
}

/// A group of bars: its name, and for each bar name, colour and value.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) name: String,
    pub(super) bars: Vec<(&'a str, usize, f64)>,
}

/// Lines over two axes. Empty lines are left out.
pub(super) fn lines(title: &str, x: Axis<'_>, y: Axis<'_>, lines: &[Line<'_>]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Ticks::of(x.scale, points().map(|it| it.0));
    let up = Ticks::of(y.scale, points().map(|it| it.1));
    let (right, floor) = (WIDTH - RIGHT, LINES_HEIGHT - BOTTOM);
    let place_x = |value: f64| LEFT + across.share(value) * (right - LEFT);
    let place_y = |value: f64| floor - up.share(value) * (floor - TOP);
    let mut out = open(LINES_HEIGHT, title);
    for tick in &up.at {
        let at = place_y(*tick);
        rule(&mut out, "grid", (LEFT, at), (right, at));
        text(&mut out, ("soft", "end"), (LEFT - 8.0, at + 4.0), &short(*tick));
    }
    for tick in &across.at {
        let at = place_x(*tick);
        rule(&mut out, "grid", (at, TOP), (at, floor));
        text(&mut out, ("soft", "middle"), (at, floor + 18.0), &short(*tick));
    }
    rule(&mut out, "axis", (LEFT, floor), (right, floor));
    rule(&mut out, "axis", (LEFT, TOP), (LEFT, floor));
    text(&mut out, ("", "middle"), (f64::midpoint(LEFT, right), floor + 42.0), x.label);
    text(&mut out, ("", "start"), (LEFT - 66.0, TOP - 10.0), y.label);
    let mut names = Vec::new();
    for line in lines.iter().filter(|line| !line.points.is_empty()) {
        let places: Vec<(f64, f64)> =
            line.points.iter().map(|it| (place_x(it.0), place_y(it.1))).collect();
        curve(&mut out, line.colour, &places);
        names.push((places.last().map_or(TOP, |it| it.1), line));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    legend(&mut out, right, floor, &names);
    out + "</svg>\n"
}

/// Names at the ends of their lines, pushed apart so that none covers another.
fn legend(out: &mut String, right: f64, floor: f64, names: &[(f64, &Line<'_>)]) {
    const APART: f64 = 16.0;
    let room = floor - APART * names.len().saturating_sub(1) as f64;
    let mut least = TOP;
    for (place, (at, line)) in names.iter().enumerate() {
        let at = at.clamp(least, (room + APART * place as f64).max(least));
        least = at + APART;
        mark(out, line.colour, (right + 14.0, at));
        text(out, ("", "start"), (right + 24.0, at + 4.0), line.name);
    }
}

/// Groups of horizontal bars with their values behind them. Empty groups are left out.
pub(super) fn bars(title: &str, label: &str, groups: &[Group<'_>]) -> String {
    const NAMES: f64 = 120.0;
    let groups: Vec<&Group<'_>> = groups.iter().filter(|it| !it.bars.is_empty()).collect();
    let count: usize = groups.iter().map(|it| it.bars.len()).sum();
    let floor = TOP + BAR * count as f64 + GROUP_GAP * groups.len() as f64;
    let values = groups.iter().flat_map(|it| it.bars.iter().map(|bar| bar.2));
    let scale = Ticks::of(Scale::Linear, values.chain([0.0]));
    let right = WIDTH - 60.0;
    let place = |value: f64| NAMES + scale.share(value) * (right - NAMES);
    let mut out = open(floor + BOTTOM, title);
    for tick in &scale.at {
        rule(&mut out, "grid", (place(*tick), TOP), (place(*tick), floor));
        text(&mut out, ("soft", "middle"), (place(*tick), floor + 18.0), &short(*tick));
    }
    let mut at = TOP;
    for group in groups {
        text(&mut out, ("title", "start"), (10.0, at + 16.0), &group.name);
        at += GROUP_GAP;
        for (name, colour, value) in &group.bars {
            let (end, base) = (place(*value), at + BAR - 4.0);
            let colour = COLOURS[colour % COLOURS.len()];
            let width = end - NAMES;
            let thick = BAR - 3.0;
            put(
                &mut out,
                format_args!(
                    "<rect x=\"{NAMES:.1}\" y=\"{at:.1}\" width=\"{width:.1}\" height=\"{thick:.1}\" \
                 fill=\"{colour}\"/>\n"
                ),
            );
            text(&mut out, ("", "end"), (NAMES - 8.0, base), name);
            text(&mut out, ("soft", "start"), (end + 6.0, base), &format!("{value:.1}"));
            at += BAR;
        }
    }
    rule(&mut out, "axis", (NAMES, TOP), (NAMES, floor));
    text(&mut out, ("", "middle"), (f64::midpoint(NAMES, right), floor + 42.0), label);
    out + "</svg>\n"
}

/// Round places on an axis, and what lies between the first and the last.
#[derive(Debug, PartialEq)]
struct Ticks {
    at: Vec<f64>,
    scale: Scale,
    from: f64,
    to: f64,
}

impl Ticks {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values
            .filter(|it| it.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
                (least.min(it), most.max(it))
            });
        if least > most {
            return Self::of(scale, [1.0, 10.0].into_iter());
        }
        let at = match scale {
            Scale::Linear => linear_ticks(most),
            Scale::Log => log_ticks(least, most),
            Scale::Nines => [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999]
                .into_iter()
                .filter(|it| *it <= most && (*it >= least || *it == 0.0 && least < 50.0))
                .collect(),
        };
        let ends = at.iter().copied().chain([least, most]).map(|it| scale.project(it));
        let (mut from, mut to) = ends
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), it| (from.min(it), to.max(it)));
        if scale == Scale::Linear {
            from = 0.0;
        }
        if to - from < 1e-9 {
            (from, to) = (from - 0.5, to + 0.5);
        }
        Self { at, scale, from, to }
    }

    /// Place of a value, 0 at the beginning of the axis and 1 at its end.
    fn share(&self, value: f64) -> f64 {
        (self.scale.project(value) - self.from) / (self.to - self.from)
    }
}

/// From nought to above `most`, in steps of 1, 2 or 5 times a power of ten.
fn linear_ticks(most: f64) -> Vec<f64> {
    let most = most.max(1e-6);
    let rough = most / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
    let step = step.into_iter().find(|it| *it >= rough).unwrap_or(rough);
    let count = (most / step - 1e-9).ceil() as usize;
    (0..=count).map(|at| at as f64 * step).collect()
}

/// Powers of ten around the values, with steps between where there are few.
fn log_ticks(least: f64, most: f64) -> Vec<f64> {
    let (low, high) = (least.max(1e-6).log10().floor(), most.max(1e-6).log10().ceil());
    let decades = (high - low).max(1.0) as i32;
    let steps: &[f64] = if decades <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (0..=decades).map(|at| 10_f64.powi(low as i32 + at));
    let all: Vec<f64> = powers.flat_map(|it| steps.iter().map(move |step| step * it)).collect();
    // One tick below the least and one above the greatest are enough.
    let first = all.iter().rposition(|it| *it <= least).unwrap_or(0);
    let last = all.iter().position(|it| *it >= most).unwrap_or(all.len().saturating_sub(1));
    all.into_iter().take(last + 1).skip(first).collect()
}

fn open(height: f64, title: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\">\n<title>{title}</title>\n{STYLE}\
         <text x=\"10\" y=\"20\" class=\"title\">{title}</text>\n"
    )
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(what);
}

fn rule(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    put(
        out,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ),
    );
}

fn text(out: &mut String, (class, anchor): (&str, &str), (x, y): (f64, f64), words: &str) {
    let words = escaped(words);
    put(
        out,
        format_args!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n"
        ),
    );
}

fn curve(out: &mut String, colour: usize, places: &[(f64, f64)]) {
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (stroke, path) = (COLOURS[colour % COLOURS.len()], path.join(" "));
    put(out, format_args!("<polyline class=\"line\" stroke=\"{stroke}\" points=\"{path}\"/>\n"));
    for place in places {
        mark(out, colour, *place);
    }
}

/// A small shape: which one tells lines apart without their colours.
fn mark(out: &mut String, colour: usize, (x, y): (f64, f64)) {
    let fill = COLOURS[colour % COLOURS.len()];
    let corners: &[(f64, f64)] = match colour % 4 {
        0 => &[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)],
        1 => &[(0.0, -5.0), (5.0, 4.0), (-5.0, 4.0)],
        2 => &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
        _ => &[(-5.0, -4.0), (5.0, -4.0), (0.0, 5.0)],
    };
    let points: Vec<String> =
        corners.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    let points = points.join(" ");
    put(out, format_args!("<polygon fill=\"{fill}\" points=\"{points}\"/>\n"));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `1500` as it is, `20k`, `3M`, `0.5`.
fn short(value: f64) -> String {
    let trimmed =
        |it: f64| format!("{it:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
    if value >= 1e6 {
        return trimmed(value / 1e6) + "M";
    }
    if value >= 1e4 {
        return trimmed(value / 1e3) + "k";
    }
    trimmed(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Axis<'_> = Axis { label: "connections", scale: Scale::Log };
    const TIME: Axis<'_> = Axis { label: "µs", scale: Scale::Linear };

    /// Every number behind `name="` in the text.
    fn numbers(text: &str, name: &str) -> Vec<f64> {
        let name = format!(" {name}=\"");
        let parts = text.split(&name).skip(1);
        parts.filter_map(|it| it.split('"').next()?.parse().ok()).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        assert_eq!(linear_ticks(97.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(linear_ticks(100.0).last(), Some(&100.0));
        assert_eq!(log_ticks(8.0, 8000.0), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(log_ticks(12.0, 90.0), [10.0, 20.0, 50.0, 100.0]);
        for most in [0.0, 1e-9, 0.3, 7.0, 12_345.0, 3e9] {
            let ticks = linear_ticks(most);
            assert!(ticks.len() <= 9 && *ticks.last().expect("ticks") >= most, "{ticks:?}");
        }
    }

    #[test]
    fn each_further_nine_takes_the_same_room() {
        let ticks = Ticks::of(Scale::Nines, [50.0, 90.0, 99.99].into_iter());
        let room = |a: f64, b: f64| ticks.share(b) - ticks.share(a);
        assert!((room(90.0, 99.0) - room(99.0, 99.9)).abs() < 1e-9);
        assert_eq!(ticks.at, [50.0, 90.0, 99.0, 99.9, 99.99]);
        assert!((ticks.share(99.99) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_shape_of_a_plot_of_lines_lies_inside_it() {
        let line =
            |name, colour, points: &[(f64, f64)]| Line { name, colour, points: points.into() };
        let plot = lines(
            "Latency & more",
            COUNT,
            TIME,
            &[
                line("sundew", 0, &[(8.0, 10.0), (8000.0, 700.0)]),
                line("nginx", 2, &[(8.0, 12.0), (8000.0, 701.0)]),
                line("none", 3, &[]),
            ],
        );
        assert!(plot.contains("Latency &amp; more") && plot.contains(">connections<"), "{plot}");
        assert!(plot.contains(">µs<") && plot.contains(">sundew<") && !plot.contains(">none<"));
        assert_eq!(plot.matches("<polyline").count(), 2);
        for (name, most) in [("x", WIDTH), ("x1", WIDTH), ("x2", WIDTH), ("y", LINES_HEIGHT)] {
            for value in numbers(&plot, name) {
                assert!((0.0..=most).contains(&value), "{name}={value}");
            }
        }
        // Two names that would cover each other stand apart.
        let at = |name: &str| {
            let before = plot.split(&format!(">{name}<")).next().expect("text");
            *numbers(before, "y").last().expect("a place")
        };
        assert!((at("sundew") - at("nginx")).abs() >= 15.0);
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let group = Group { name: "a".into(), bars: vec![("sundew", 0, 10.0), ("nginx", 2, 20.0)] };
        let plot = bars("CPU", "µs", &[group, Group { name: "empty".into(), bars: vec![] }]);
        let widths = numbers(&plot, "width");
        assert_eq!(widths.len(), 3, "the plot and two bars");
        assert!((widths[1] * 2.0 - widths[2]).abs() < 0.2, "{widths:?}");
        assert!(plot.contains(">20.0<") && !plot.contains("empty"));
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_plot() {
        for plot in [lines("t", COUNT, TIME, &[]), bars("t", "µs", &[])] {
            assert!(
                plot.starts_with("<svg") && plot.ends_with("</svg>\n") && !plot.contains("NaN")
            );
        }
    }

    #[test]
    fn numbers_on_an_axis_are_short() {
        for (value, want) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (1500.0, "1500"),
            (20_000.0, "20k"),
            (3e6, "3M"),
            (99.9, "99.9"),
        ] {
            assert_eq!(short(value), want);
        }
    }
}
