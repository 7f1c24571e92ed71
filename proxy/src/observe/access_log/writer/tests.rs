use std::time::{Duration, Instant, SystemTime};

use sundew_config::model::{AccessLogFields, AccessLogFilters, AccessLogFormat};
use tempfile::TempDir;

use super::*;
use crate::observe::access_log::FieldLines;
use crate::observe::outcome::StickyOutcome;

fn options(file: PathBuf) -> AccessLogOptions {
    AccessLogOptions {
        file: Some(file),
        format: AccessLogFormat::GenericClf,
        buffering_lines: 0,
        filters: AccessLogFilters::default(),
        fields: AccessLogFields::default(),
        internals: false,
    }
}

fn record(target: &[u8]) -> AccessRecord<'_> {
    AccessRecord {
        started: SystemTime::UNIX_EPOCH,
        duration: Duration::ZERO,
        origin_duration: None,
        client: "127.0.0.1:1".parse().unwrap(),
        client_host: None,
        entry_point: "web",
        method: b"GET",
        target,
        protocol: "HTTP/1.1",
        host: b"",
        scheme: "http",
        request_bytes: 0,
        status: 200,
        response_bytes: 0,
        origin_status: None,
        origin_bytes: 0,
        router: None,
        service: None,
        server_url: None,
        server_address: None,
        request_count: 0,
        retries: 0,
        sticky: StickyOutcome::None,
        request_fields: FieldLines::default(),
        origin_fields: FieldLines::default(),
    }
}

/// Waits until `path` holds `count` lines.
fn eventually_lines(path: &Path, count: usize) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text;
        }
        assert!(Instant::now() < deadline, "{} of {count} lines", text.lines().count());
        std::thread::yield_now();
    }
}

#[test]
fn lines_of_every_worker_reach_the_file_by_the_stop() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new/access.log");
    let (writer, logs) = start(&options(path.clone()), 3).unwrap();
    let workers = logs.into_iter().map(|mut log| {
        std::thread::spawn(move || {
            for _ in 0..500 {
                log.record(&record(b"/x"));
            }
            log.dropped()
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        assert_eq!(worker.join().unwrap(), 0);
    }
    assert_eq!(writer.dropped(), 0);
    writer.stop();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1500);
    assert!(text.lines().all(|line| line.ends_with("\"GET /x HTTP/1.1\" 200 0 \"-\" \"-\"")));
}

#[test]
fn a_tick_writes_what_was_recorded_and_a_full_batch_does_not_wait_for_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    let (_writer, mut logs) = start(&options(path.clone()), 1).unwrap();
    let log = &mut logs[0];
    log.record(&record(b"/1"));
    assert_eq!(log.batch.lines, 1);
    log.flush();
    eventually_lines(&path, 1);
    let long = vec![b'x'; BATCH_BYTES];
    log.record(&record(&long));
    assert_eq!(log.batch.lines, 0);
    eventually_lines(&path, 2);
}

#[test]
fn the_file_is_only_for_its_owner_and_group_and_is_appended_to() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    for _ in 0..2 {
        let (writer, mut logs) = start(&options(path.clone()), 1).unwrap();
        logs[0].record(&record(b"/"));
        drop(logs);
        writer.stop();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let directory = TempDir::new().unwrap();
    let error = start(&options(directory.path().to_owned()), 1).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
}

#[test]
fn after_a_reopen_lines_go_to_a_new_file_of_the_same_name() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    let rotated = directory.path().join("access.log.1");
    let (writer, mut logs) = start(&options(path.clone()), 1).unwrap();
    logs[0].record(&record(b"/old"));
    logs[0].flush();
    std::fs::rename(&path, &rotated).unwrap();
    writer.reopen();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    logs[0].record(&record(b"/new"));
    drop(logs);
    writer.stop();
    assert!(std::fs::read_to_string(rotated).unwrap().contains("/old"));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("/new"));
}

/// Ends of the channels without a thread behind them.
fn stuck_log(waiting: usize) -> (AccessLog, Receiver<Batch>, Sender<Batch>) {
    let (full, full_out) = bounded(waiting);
    let (empty_in, empty) = bounded(waiting);
    let log = AccessLog {
        line: LineFormat::new(&options(PathBuf::new())),
        batch: Batch::default(),
        full,
        empty,
        dropped: 0,
        dropped_by_all: Arc::default(),
    };
    (log, full_out, empty_in)
}

#[test]
fn a_writer_that_falls_behind_costs_lines_and_no_time() {
    let (mut log, full, _empty) = stuck_log(2);
    for _ in 0..5 {
        log.record(&record(b"/"));
        log.record(&record(b"/"));
        log.flush();
    }
    assert_eq!(full.len(), 2);
    assert_eq!(log.dropped(), 6);
    assert_eq!(log.dropped_by_all.load(Ordering::Relaxed), 6);
    assert!(log.batch.bytes.is_empty());
}

#[test]
fn a_used_batch_comes_back_and_is_filled_again() {
    let (mut log, full, empty) = stuck_log(2);
    let mut used = Batch { bytes: Vec::with_capacity(12_345), lines: 0 };
    let place = used.bytes.as_ptr();
    used.clear();
    empty.send(used).unwrap();
    log.record(&record(b"/"));
    log.flush();
    assert_eq!(full.recv().unwrap().lines, 1);
    assert_eq!(log.batch.bytes.as_ptr(), place);
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let output =
        Output { path: None, file: OpenOptions::new().write(true).open("/dev/full").unwrap() };
    let dropped = Arc::<AtomicU64>::default();
    let mut writer =
        Writer { output, dropped: Arc::clone(&dropped), is_failing: false, is_torn: false };
    let (empty, back) = bounded(1);
    writer.write(Batch { bytes: b"a\nb\n".to_vec(), lines: 2 }, &empty);
    assert!(writer.is_failing);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert!(back.recv().unwrap().bytes.is_empty(), "the buffer comes back all the same");

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    writer.output = Output::open(Some(&path)).unwrap();
    writer.is_torn = true;
    writer.write(Batch { bytes: b"c\n".to_vec(), lines: 1 }, &empty);
    assert!(!writer.is_failing);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "\nc\n", "half a line is ended first");
}

#[test]
fn a_writer_that_is_let_go_ends_its_thread() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("access.log");
    let (writer, mut logs) = start(&options(path.clone()), 1).unwrap();
    logs[0].record(&record(b"/"));
    logs[0].flush();
    drop(writer);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
    logs[0].record(&record(b"/"));
    logs[0].flush();
    assert_eq!(logs[0].dropped(), 1, "nobody is there to write it");
}
