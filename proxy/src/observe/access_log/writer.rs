//! The way of lines to their file: each worker collects them in a batch, one thread writes the
//! batches. A worker never waits: when the thread falls behind, lines are dropped and counted.
//!
//! Batches travel over one bounded channel and come back empty over another, so that nothing is
//! allocated in steady state.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::mem;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use sundew_config::model::AccessLogOptions;

use super::AccessRecord;
use super::line::LineFormat;

/// A batch is handed to the writer when it has this many bytes, or at the next tick.
const BATCH_BYTES: usize = 32 * 1024;

/// Room for the line that fills a batch, so that batches do not grow.
const BATCH_CAPACITY: usize = BATCH_BYTES + 4 * 1024;

/// A batch that one huge line has made larger than this is not kept for reuse.
const BATCH_CAPACITY_MAX: usize = 4 * BATCH_BYTES;

/// Full batches that may wait for the writer, per worker: half a MiB.
const WAITING_PER_WORKER: usize = 16;

/// Readable by the group that collects logs, by nobody else: lines name clients.
const FILE_MODE: u32 = 0o640;

/// Lines on their way.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
    }
}

enum Order {
    Reopen,
    Stop,
}

/// Opens the log and starts its writer: one [`AccessLog`] for each of `workers`.
///
/// `accessLog.bufferingSize` changes nothing: lines are always collected, and written each tick.
///
/// # Errors
/// The file, or its directory, cannot be created or opened (the message names the file), or no
/// thread can be started.
pub fn start(
    options: &AccessLogOptions,
    workers: usize,
) -> io::Result<(AccessLogWriter, Vec<AccessLog>)> {
    let output = Output::open(options.file.as_deref())?;
    let waiting = WAITING_PER_WORKER * workers.max(1);
    let (full_in, full_out) = bounded(waiting);
    let (empty_in, empty_out) = bounded(waiting);
    let (orders_in, orders_out) = bounded(4);
    let dropped = Arc::new(AtomicU64::new(0));
    let writer =
        Writer { output, dropped: Arc::clone(&dropped), is_failing: false, is_torn: false };
    let thread = std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || writer.run(&full_out, &empty_in, &orders_out))?;
    let logs = (0..workers).map(|_| AccessLog {
        line: LineFormat::new(options),
        batch: Batch { bytes: Vec::with_capacity(BATCH_CAPACITY), lines: 0 },
        full: full_in.clone(),
        empty: empty_out.clone(),
        dropped: 0,
        dropped_by_all: Arc::clone(&dropped),
    });
    let logs = logs.collect();
    Ok((AccessLogWriter { orders: orders_in, thread: Some(thread), dropped }, logs))
}

/// A worker's end of the access log. What it holds is handed over when it is dropped.
#[derive(Debug)]
pub struct AccessLog {
    line: LineFormat,
    batch: Batch,
    full: Sender<Batch>,
    empty: Receiver<Batch>,
    dropped: u64,
    /// Written only when lines are lost.
    dropped_by_all: Arc<AtomicU64>,
}

impl AccessLog {
    /// Formats `record` if a filter keeps it. Never waits.
    pub fn record(&mut self, record: &AccessRecord<'_>) {
        if self.line.push(record, &mut self.batch.bytes) {
            self.batch.lines += 1;
            if self.batch.bytes.len() >= BATCH_BYTES {
                self.flush();
            }
        }
    }

    /// Hands what was recorded to the writer; called every tick (100 ms). Never waits.
    pub fn flush(&mut self) {
        if self.batch.lines == 0 {
            return;
        }
        if self.full.is_full() {
            self.count_dropped();
            return;
        }
        let next = self
            .empty
            .try_recv()
            .unwrap_or_else(|_| Batch { bytes: Vec::with_capacity(BATCH_CAPACITY), lines: 0 });
        let batch = mem::replace(&mut self.batch, next);
        if let Err(refused) = self.full.try_send(batch) {
            // Another worker took the last place, or the writer has stopped.
            self.batch = refused.into_inner();
            self.count_dropped();
        }
    }

    /// Lines of this worker that were lost because the writer fell behind.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn count_dropped(&mut self) {
        self.dropped += self.batch.lines;
        self.dropped_by_all.fetch_add(self.batch.lines, Ordering::Relaxed);
        self.batch.clear();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The control thread's end of the access log.
#[derive(Debug)]
pub struct AccessLogWriter {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    dropped: Arc<AtomicU64>,
}

impl AccessLogWriter {
    /// Opens the file again by its name (SIGUSR1, after it was rotated); lines handed over before
    /// still go to the old one. If that fails, the old file stays and the reason is logged.
    pub fn reopen(&self) {
        // A full channel holds a reopening that has not happened yet.
        let _ = self.orders.try_send(Order::Reopen);
    }

    /// Writes what workers have handed over, and ends the thread. Drop the workers' ends first.
    pub fn stop(mut self) {
        self.end();
    }

    /// Lines of all workers that were lost: the writer fell behind, or a write failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.orders.send(Order::Stop);
            if thread.join().is_err() {
                tracing::error!("the access log's thread panicked; its last lines may be lost");
            }
        }
    }
}

impl Drop for AccessLogWriter {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where lines go.
#[derive(Debug)]
struct Output {
    /// `None`: standard output.
    path: Option<PathBuf>,
    file: File,
}

impl Output {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            // A descriptor of our own: the standard library's buffer would split lines.
            None => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Some(path) => open_file(path).map_err(|error| {
                io::Error::new(error.kind(), format!("access log {}: {error}", path.display()))
            })?,
        };
        Ok(Self { path: path.map(Path::to_owned), file })
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)
}

/// The thread's own state.
struct Writer {
    output: Output,
    dropped: Arc<AtomicU64>,
    /// The last write failed, and that was reported.
    is_failing: bool,
    /// A failed write has left half a line behind.
    is_torn: bool,
}

impl Writer {
    fn run(mut self, full: &Receiver<Batch>, empty: &Sender<Batch>, orders: &Receiver<Order>) {
        loop {
            let order = select! {
                recv(full) -> batch => match batch {
                    Ok(batch) => {
                        self.write(batch, empty);
                        continue;
                    }
                    // Every worker has left: only orders can come.
                    Err(_) => orders.recv(),
                },
                recv(orders) -> order => order,
            };
            // What was handed over before the order is written before it is obeyed.
            for _ in 0..full.len() {
                if let Ok(batch) = full.try_recv() {
                    self.write(batch, empty);
                }
            }
            match order {
                Ok(Order::Reopen) => self.reopen(),
                Ok(Order::Stop) | Err(_) => return,
            }
        }
    }

    fn write(&mut self, mut batch: Batch, empty: &Sender<Batch>) {
        match self.write_bytes(&batch.bytes) {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!("the access log can be written again");
            }
            Ok(()) => {}
            Err((error, lines_written)) => {
                let lost = batch.lines.saturating_sub(lines_written);
                self.dropped.fetch_add(lost, Ordering::Relaxed);
                if !self.is_failing {
                    self.is_failing = true;
                    tracing::error!(%error, "cannot write the access log; lines are being lost");
                }
            }
        }
        if batch.bytes.capacity() <= BATCH_CAPACITY_MAX {
            batch.clear();
            // A full channel has buffers enough.
            let _ = empty.try_send(batch);
        }
    }

    /// Writes all of `bytes`, or says how many whole lines were written.
    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), (io::Error, u64)> {
        if self.is_torn {
            self.output.file.write_all(b"\n").map_err(|error| (error, 0))?;
            self.is_torn = false;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let error = match self.output.file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let written = bytes.strip_suffix(rest).unwrap_or_default();
            self.is_torn = !written.is_empty() && !written.ends_with(b"\n");
            let lines = memchr::memchr_iter(b'\n', written).count();
            return Err((error, lines as u64));
        }
        Ok(())
    }

    fn reopen(&mut self) {
        if self.output.path.is_none() {
            return;
        }
        match Output::open(self.output.path.as_deref()) {
            Ok(output) => {
                self.output = output;
                self.is_torn = false;
            }
            Err(error) => {
                tracing::error!(%error, "cannot reopen the access log; the old file stays");
            }
        }
    }
}

#[cfg(test)]
mod tests;
