//! Counts the subjects under callgrind, keeps the counts and has them compared. It knows nothing
//! of what a subject does. Called by `main`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use crate::rule::{Counts, GROWTH_MAX, compare, parse, render, total};
use crate::subjects;

/// Two runs of different length: their difference holds no start of a process.
const TIMES_SHORT: u32 = 1000;
const TIMES_LONG: u32 = 3000;
/// Exit code for "could not be checked here", as automake's.
const SKIPPED: u8 = 77;

/// Fails when a count has grown too much.
pub(crate) fn check() -> Result<ExitCode, String> {
    if !has_valgrind() {
        println!("valgrind is not installed: apt-get install valgrind");
        return Ok(ExitCode::from(SKIPPED));
    }
    let path = baseline_path();
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let (table, is_good) = compare(&parse(&text)?, &count_all()?);
    print!("{table}");
    if is_good {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!(
        "the hot path takes over {:.0} % more instructions; `just instructions --update` accepts \
         the new counts, or those of another compiler (now {})",
        GROWTH_MAX * 100.0,
        compiler()
    ))
}

/// Stores the counts of now.
pub(crate) fn update() -> Result<ExitCode, String> {
    if !has_valgrind() {
        return Err("valgrind is not installed: apt-get install valgrind".into());
    }
    let counts = count_all()?;
    let path = baseline_path();
    let text = render(&counts, &compiler());
    fs::write(&path, &text).map_err(|why| format!("{}: {why}", path.display()))?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.txt")
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|it| it.status.success())
}

fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output();
    let text = version.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "an unknown compiler".into())
}

fn count_all() -> Result<Counts, String> {
    let mut counts = Vec::new();
    for (name, _) in subjects::ALL {
        let (short, long) = (count(name, TIMES_SHORT)?, count(name, TIMES_LONG)?);
        let each = long.saturating_sub(short) as f64 / f64::from(TIMES_LONG - TIMES_SHORT);
        counts.push(((*name).to_owned(), each));
    }
    Ok(counts)
}

/// Instructions of a whole process that does `name` so many times.
fn count(name: &str, times: u32) -> Result<u64, String> {
    let own = env::current_exe().map_err(|why| format!("this program: {why}"))?;
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["--run", name, &times.to_string()])
        .output()
        .map_err(|why| format!("valgrind: {why}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        return Err(format!("{name} under valgrind: {}\n{said}", done.status));
    }
    total(&said).ok_or_else(|| format!("{name}: no total of callgrind in\n{said}"))
}
