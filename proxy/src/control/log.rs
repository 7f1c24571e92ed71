//! The log of the process itself (`log:` in the static file): level, text or JSON, and a file that
//! can be opened anew. Never the access log. Set up by [`super::run`] before anything is logged.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sundew_config::model::{LogLevel, LogOptions};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Where the lines go; a clone is the same place.
#[derive(Clone, Debug)]
pub struct LogOutput(Arc<Destination>);

#[derive(Debug)]
enum Destination {
    StandardError,
    File { path: PathBuf, file: Mutex<File> },
}

impl LogOutput {
    /// Opens the file, or takes standard error.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        Ok(Self(Arc::new(match path {
            None => Destination::StandardError,
            Some(path) => Destination::File { path: path.into(), file: Mutex::new(append(path)?) },
        })))
    }

    /// Opens the file at its path again: a rotation moved the old one away. When that fails the old
    /// file stays in use.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn reopen(&self) -> io::Result<()> {
        if let Destination::File { path, file } = &*self.0 {
            let fresh = append(path)?;
            *file.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    fn is_terminal(&self) -> bool {
        matches!(*self.0, Destination::StandardError) && io::stderr().is_terminal()
    }
}

impl Write for &LogOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*self.0 {
            Destination::StandardError => io::stderr().lock().write(bytes),
            Destination::File { file, .. } => {
                file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // neither destination buffers
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = &'a LogOutput;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Sends everything that is logged from now on to where `options` say. Libraries speak only from
/// warnings upwards. A log that was set up before stays as it is.
///
/// # Errors
/// When the file cannot be opened for appending.
pub fn start(options: &LogOptions) -> io::Result<LogOutput> {
    let output = LogOutput::open(options.file.as_deref())?;
    // Only the first set-up of a process counts; a second one is a test beside another.
    let _ = subscriber(options, output.clone()).try_init();
    Ok(output)
}

fn subscriber(
    options: &LogOptions,
    output: LogOutput,
) -> Box<dyn tracing::Subscriber + Send + Sync> {
    let level = match options.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let filter =
        Targets::new().with_target("sundew", level).with_default(level.min(LevelFilter::WARN));
    let has_colour = output.is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(output);
    let registry = tracing_subscriber::registry().with(filter);
    if options.json {
        Box::new(registry.with(lines.json().flatten_event(true)))
    } else {
        Box::new(registry.with(lines.with_ansi(has_colour)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: bool, level: LogLevel) -> LogOptions {
        LogOptions { level, file: None, json }
    }

    fn logged(options: &LogOptions, work: impl FnOnce(&LogOutput, &Path)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sundew.log");
        let output = LogOutput::open(Some(&path)).unwrap();
        let subscriber = subscriber(options, output.clone());
        tracing::subscriber::with_default(subscriber, || work(&output, &path));
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn text_lines_carry_level_and_message_without_colour_in_a_file() {
        let text = logged(&options(false, LogLevel::Info), |_, _| {
            tracing::info!("entry point web: listening on 127.0.0.1:80");
            tracing::debug!("not for operators");
        });
        assert!(text.ends_with(" INFO entry point web: listening on 127.0.0.1:80\n"), "{text:?}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn json_lines_are_objects_with_level_and_message() {
        let text = logged(&options(true, LogLevel::Warn), |_, _| {
            tracing::warn!("a \"quoted\" word");
            tracing::info!("below the level");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "a \"quoted\" word");
        assert_eq!(line["level"], "WARN");
    }

    #[test]
    fn after_a_rotation_lines_go_to_a_new_file() {
        let text = logged(&options(false, LogLevel::Info), |output, path| {
            tracing::info!("old");
            std::fs::rename(path, path.with_extension("1")).unwrap();
            tracing::info!("still old");
            output.reopen().unwrap();
            tracing::info!("new");
            let old = std::fs::read_to_string(path.with_extension("1")).unwrap();
            assert_eq!(old.lines().count(), 2);
        });
        assert!(text.ends_with("new\n") && text.lines().count() == 1, "{text:?}");
    }

    #[test]
    fn libraries_speak_only_from_warnings_upwards() {
        let text = logged(&options(false, LogLevel::Debug), |_, _| {
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "hyper", "trouble");
        });
        assert!(text.contains("trouble") && !text.contains("chatter"), "{text:?}");
    }
}
