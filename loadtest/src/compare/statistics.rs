//! Medians, spreads and the rule by which a comparison passes: plain arithmetic over rounds.
//! It never measures anything. Called by the reports and by the verdict of the quick comparison.

use std::fmt;

/// Middle, least and greatest of one figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    /// `None` without values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, least, greatest })
    }

    /// Distance from the least to the greatest.
    pub(super) fn width(&self) -> f64 {
        self.greatest - self.least
    }

    /// Whether the figure is above `bar` by more than noise explains: its median less half its
    /// spread still is.
    pub(super) fn is_above(&self, bar: f64) -> bool {
        self.median - self.width() / 2.0 > bar
    }
}

impl fmt::Display for Spread {
    /// `12.4 (12.2–13.3)`, with the precision asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let Self { median, least, greatest } = self;
        write!(f, "{median:.digits$} ({least:.digits$}–{greatest:.digits$})")
    }
}

/// Cost of one peer against the cheapest of `rivals`, round by round: interleaved rounds share the
/// machine's mood, so the ratio is taken inside a round. The rival is the one with the least
/// median, the same in every round; picking the best anew each round would favour the rivals.
///
/// Costs are `(round, value)`. `None` where no round has both.
pub(super) fn ratio(own: &[(u32, f64)], rivals: &[Vec<(u32, f64)>]) -> Option<Spread> {
    let median = |costs: &Vec<(u32, f64)>| Spread::of(costs.iter().map(|it| it.1));
    let rival = rivals
        .iter()
        .filter_map(|costs| Some((median(costs)?.median, costs)))
        .min_by(|a, b| a.0.total_cmp(&b.0))?
        .1;
    Spread::of(own.iter().filter_map(|(round, cost)| {
        let (_, other) = rival.iter().find(|it| it.0 == *round)?;
        (*other > 0.0).then_some(cost / other)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_with_both_ends() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(Spread { median: 3.0, least: 3.0, greatest: 3.0 }));
        assert_eq!(of(&[9.0, 1.0, 2.0]).map(|it| it.median), Some(2.0));
        let even = of(&[4.0, 1.0, 2.0, 10.0]).expect("values");
        assert_eq!((even.median, even.width()), (3.0, 9.0));
        assert_eq!(format!("{even:.2}"), "3.00 (1.00–10.00)");
    }

    #[test]
    fn a_ratio_fails_the_bar_only_beyond_half_its_spread() {
        for (least, median, greatest, above) in [
            (0.60, 0.70, 0.75, false),
            (0.79, 0.85, 0.95, false),
            (0.81, 0.82, 0.83, true),
            (0.84, 0.90, 0.96, true),
            (0.80, 0.80, 0.80, false),
        ] {
            let ratio = Spread { median, least, greatest };
            assert_eq!(ratio.is_above(0.80), above, "{ratio:.2}");
        }
    }

    #[test]
    fn a_ratio_is_taken_inside_each_round_to_the_rival_of_the_least_median() {
        let own = [(0, 10.0), (1, 20.0), (2, 12.0)];
        let rivals =
            vec![vec![(0, 20.0), (1, 40.0), (2, 16.0)], vec![(0, 100.0), (1, 4.0), (2, 90.0)]];
        let got = ratio(&own, &rivals).expect("rounds in common");
        assert_eq!((got.median, got.least, got.greatest), (0.5, 0.5, 0.75));
        assert_eq!(ratio(&own, &[]), None);
        assert_eq!(ratio(&own, &[vec![(7, 1.0)]]), None);
    }
}
