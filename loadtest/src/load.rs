//! The load generator: asks at a constant rate or as fast as answers come, from a thread per core,
//! and reports. Called by `main`; judges nothing but what the oracle judges. Its response reader
//! shares no code with the proxy.

mod client;
mod collect;
mod connection;
mod jar;
mod options;
mod oracle;
mod pacer;
mod plan;
pub(crate) mod report;
mod response;
mod tally;
mod target;

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, Hours, Shared};
use collect::{Collector, Told};
pub(crate) use options::Options;
use pacer::Pacer;
use plan::Plan;
use report::Report;
use tally::Tally;

/// How often a thread looks whether it is to stop.
const WATCH_MS: u64 = 50;
/// How long answers are awaited after an interruption.
const LEAVE_MS: u64 = 1_000;
/// Threads start together this long after the first was made.
const START_MS: u64 = 20;

/// Runs, reports, and says whether all was well.
///
/// # Errors
/// Wrong input, no ring or epoll, a report that cannot be written.
pub(crate) fn run(options: &Options) -> io::Result<ExitCode> {
    let plan = Plan::new(options).map_err(io::Error::other)?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the program at once.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_stopped))?;
        signal_hook::flag::register(signal, Arc::clone(&is_stopped))?;
    }
    let started = time::OffsetDateTime::now_utc();
    let open = Instant::now() + Duration::from_millis(START_MS);
    let measured = open + plan.ramp + plan.warm_up;
    let hours = Hours { open, measured, end: measured + plan.duration };
    let (tell, told) = mpsc::channel();
    let mut threads = Vec::new();
    for thread in 0..plan.threads {
        let (plan, tell, stop) = (plan.clone(), tell.clone(), Arc::clone(&is_stopped));
        threads.push(thread::spawn(move || work(&plan, hours, thread, &tell, &stop)));
    }
    drop(tell);
    let mut collector = Collector::new(plan.threads, hours, options.progress);
    told.iter().for_each(|it| collector.hear(it));
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    let mut report = collector.report(&plan);
    report.command = std::env::args().collect();
    report.started =
        started.format(&time::format_description::well_known::Rfc3339).map_err(io::Error::other)?;
    publish(&report, options.json.as_deref())?;
    Ok(verdict(&report, &plan))
}

fn publish(report: &Report, json: Option<&Path>) -> io::Result<()> {
    let Some(path) = json else {
        return io::stdout().write_all(report.to_string().as_bytes());
    };
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    if path == Path::new("-") {
        eprint!("{report}");
        return io::stdout().write_all(text.as_bytes());
    }
    // First what cannot fail for want of a folder.
    io::stdout().write_all(report.to_string().as_bytes())?;
    std::fs::write(path, text)
        .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))
}

/// What fails a run: no answer at all, a wrong answer, or an oracle that had nothing to check.
fn verdict(report: &Report, plan: &Plan) -> ExitCode {
    let mut why = Vec::new();
    if report.responses == 0 {
        why.push("no request was answered".to_owned());
    }
    if let Some(oracle) = &report.oracle {
        if oracle.wrong > 0 {
            why.push(format!("{} wrong answers", oracle.wrong));
        }
        if oracle.checked == 0 {
            why.push("the oracle checked no answer".to_owned());
        } else if oracle.pinned == 0 && plan.cookies == options::Cookies::Jar {
            why.push("no client was pinned: was a cookie set?".to_owned());
        }
    }
    if why.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("sundew-loadtest: failed: {}", why.join("; "));
    ExitCode::FAILURE
}

fn work(
    plan: &Plan,
    hours: Hours,
    thread: usize,
    tell: &mpsc::Sender<Told>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let clients = ask_all(plan, hours, thread, tell, stop);
    if plan.epoll {
        let runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer();
        runtime.build()?.block_on(clients)
    } else {
        let runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
            .with_entries(4096)
            .enable_timer();
        let runtime = runtime.build();
        let mut runtime = runtime
            .map_err(|why| io::Error::new(why.kind(), format!("io_uring: {why}; --epoll?")))?;
        runtime.block_on(clients)
    }
}

/// One thread's part of the run.
async fn ask_all(
    plan: &Plan,
    hours: Hours,
    thread: usize,
    tell: &mpsc::Sender<Told>,
    stop: &AtomicBool,
) -> io::Result<()> {
    let begin = hours.open + plan.ramp;
    let pacer =
        plan.rate.map(|rate| Rc::new(Pacer::new(begin, hours.end, rate, thread, plan.threads)));
    let numbers = (thread..plan.connections).step_by(plan.threads);
    let shared = Rc::new(Shared {
        plan: plan.clone(),
        hours,
        pacer: pacer.clone(),
        tally: RefCell::new(Tally::new()),
        is_stopped: Cell::new(false),
        awaited: RefCell::new(vec![None; numbers.len()]),
        run: run_tag(),
    });
    let pacing = async move {
        match pacer {
            Some(it) => it.run().await,
            None => std::future::pending().await,
        }
    };
    let mut clients = Vec::new();
    for (slot, number) in numbers.enumerate() {
        clients.extend(Client::new(Rc::clone(&shared), number, slot));
    }
    let clients: Vec<_> = clients.into_iter().map(|it| monoio::spawn(it.run())).collect();
    let all_asked = async move {
        for client in clients {
            client.await;
        }
    };
    let watching = watch(&shared, tell, stop);
    monoio::select! {
        () = all_asked => {}
        () = watching => {}
        // Without it the clients would wait for ever.
        broken = pacing => return broken,
    }
    settle(&shared);
    let tally = shared.tally.replace(Tally::new());
    drop(tell.send(Told::Last { at: Instant::now(), tally }));
    Ok(())
}

/// Tells the collector each second; returns a while after the run was interrupted.
async fn watch(shared: &Shared, tell: &mpsc::Sender<Told>, stop: &AtomicBool) {
    let mut next = shared.hours.measured + Duration::from_secs(1);
    let mut leave = None;
    loop {
        monoio::time::sleep(Duration::from_millis(WATCH_MS)).await;
        let now = Instant::now();
        if leave.is_none() && stop.load(Ordering::Relaxed) {
            shared.is_stopped.set(true);
            if let Some(pacer) = &shared.pacer {
                pacer.stop(now);
            }
            drop(tell.send(Told::Stopped { at: now }));
            leave = Some(now + Duration::from_millis(LEAVE_MS));
        }
        if leave.is_some_and(|it| now >= it) {
            return;
        }
        if now >= next && now < shared.hours.end {
            next += Duration::from_secs(1);
            let tally = shared.tally.replace(Tally::new());
            // The collector outlives the threads.
            drop(tell.send(Told::Second { at: now, tally }));
        }
    }
}

/// Counts what was due and has no answer.
fn settle(shared: &Shared) {
    let now = Instant::now();
    let end = shared.hours.end.min(now);
    let mut tally = shared.tally.borrow_mut();
    for due in shared.awaited.borrow().iter().flatten() {
        tally.count_unanswered(now.saturating_duration_since(*due));
    }
    let left = shared.pacer.iter().flat_map(|it| it.left());
    for due in left.filter(|it| *it >= shared.hours.measured) {
        tally.count_unanswered(end.saturating_duration_since(due));
    }
}

/// Tells runs at the same time apart well enough.
fn run_tag() -> u16 {
    (std::process::id() & 0xffff) as u16
}
