//! Instructions that the hot path takes, counted by callgrind: a guard that noise cannot fool, as
//! the count does not depend on the machine's mood. `just instructions` runs it, and so does CI.
//! Nothing here opens a socket.
//!
//! The counts are those of one compiler and of a processor with AVX2 (memchr asks for it at run
//! time): elsewhere they differ, and the baseline is made anew.

mod count;
mod rule;
mod subjects;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => smoke(),
        ["--check"] => count::check(),
        ["--update"] => count::update(),
        ["--run", name, times] => run(name, times),
        _ => Err("instructions [--check | --update]".into()),
    };
    match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Each subject once, so that a plain `cargo test --all-targets` sees it work.
fn smoke() -> Result<ExitCode, String> {
    for (name, _) in subjects::ALL {
        run(name, "1")?;
    }
    println!("--check compares the counts with the baseline, --update writes it anew");
    Ok(ExitCode::SUCCESS)
}

/// What callgrind watches.
fn run(name: &str, times: &str) -> Result<ExitCode, String> {
    let times = times.parse::<u32>().map_err(|why| format!("{times}: {why}"))?;
    let subject = subjects::ALL.iter().find(|it| it.0 == name);
    let (_, subject) = subject.ok_or_else(|| format!("no subject {name}"))?;
    subject(times);
    Ok(ExitCode::SUCCESS)
}
