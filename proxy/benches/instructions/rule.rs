//! The rule of the instruction guard: callgrind's words to counts, counts to text and back, counts
//! against a baseline. Pure; called by `count`, tested by `tests/instructions.rs`.

use std::fmt::Write as _;

/// A count may grow by this share before the check fails.
pub(crate) const GROWTH_MAX: f64 = 0.05;

/// Subjects with their instructions.
pub(crate) type Counts = Vec<(String, f64)>;

/// From callgrind's last words: `==7== Collected : 123`.
pub(crate) fn total(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// The counts as the baseline's text.
pub(crate) fn render(counts: &Counts, compiler: &str) -> String {
    let mut text =
        format!("# Instructions of each, by `just instructions --update`, {compiler}.\n");
    for (name, count) in counts {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {count:.1}");
    }
    text
}

/// The baseline's text as counts; other than `name number` is an error.
pub(crate) fn parse(text: &str) -> Result<Counts, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let entry = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    lines.map(|line| entry(line).ok_or_else(|| format!("the baseline has {line:?}"))).collect()
}

/// The counts side by side, and whether all of them are known and none grew too much.
pub(crate) fn compare(baseline: &Counts, counts: &Counts) -> (String, bool) {
    let mut text = String::new();
    let mut is_good = true;
    for (name, now) in counts {
        let Some((_, before)) = baseline.iter().find(|it| it.0 == *name) else {
            is_good = false;
            let _ = writeln!(text, "{name:10} {now:10.1}, not in the baseline");
            continue;
        };
        let growth = now / before - 1.0;
        let has_grown = growth > GROWTH_MAX;
        is_good &= !has_grown;
        let word = match growth {
            _ if has_grown => "  TOO MANY",
            it if it < -GROWTH_MAX => "  fewer: update the baseline",
            _ => "",
        };
        let percent = growth * 100.0;
        let _ = writeln!(text, "{name:10} {now:10.1}, was {before:10.1}: {percent:+5.1} %{word}");
    }
    (text, is_good)
}
