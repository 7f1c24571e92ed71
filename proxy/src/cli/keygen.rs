//! `sundew keygen`: a new key file for sealed sticky cookies. Never replaces one unless told to,
//! and then at once: who reads it meanwhile finds the old key or the new one.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rustix::rand::{GetRandomFlags, getrandom};
use sundew_config::key_file;
use sundew_config::model::{SEALING_KEY_BYTES, SealingKey};

const AFTER_HELP: &str = "\
Examples:
  sundew keygen /etc/sundew/2027-01.key     name it under `sticky.cookie.keys`

The file has mode 0600. Every replica of sundew needs the same one.";

/// Write a new key for sealed sticky cookies.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct KeygenArguments {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Replace the file: values sealed with its key are void then
    #[arg(long)]
    force: bool,
}

#[cfg(test)]
impl KeygenArguments {
    /// Without `--force`.
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), force: false }
    }
}

/// Writes the file.
pub(super) fn keygen(arguments: &KeygenArguments) -> ExitCode {
    let KeygenArguments { file, force } = arguments;
    match new_key().and_then(|key| write(file, &key_file::text(&key), *force)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            eprintln!("{}: exists; its values would be void, --force replaces it", file.display());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}: cannot be written: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn new_key() -> io::Result<SealingKey> {
    let mut bytes = [0; SEALING_KEY_BYTES];
    let count = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if count < bytes.len() {
        return Err(io::Error::other("the kernel gave too few random bytes"));
    }
    Ok(SealingKey::new(bytes))
}

/// Whole or not at all: a temporary file beside it is linked or renamed to the name.
fn write(file: &Path, text: &str, replaces: bool) -> io::Result<()> {
    let mut name = file.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = file.with_file_name(name);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).and_then(|()| {
        if replaces { fs::rename(&fresh, file) } else { fs::hard_link(&fresh, file) }
    });
    if written.is_err() || !replaces {
        // What is left of it then is only a second name, or nothing that anybody wants.
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        entries.map(|it| it.file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_key_file_is_private_and_not_overwritten_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.key");
        let keygen = |force| {
            let status = keygen(&KeygenArguments { file: file.clone(), force });
            (status == ExitCode::SUCCESS, fs::read_to_string(&file).unwrap())
        };
        let (is_done, first) = keygen(false);
        assert!(is_done && first.starts_with("sundew-key-1:"), "{first}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keygen(false), (false, first.clone()));
        let (is_done, second) = keygen(true);
        assert!(is_done && second != first);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["a.key"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        for file in [taken.clone(), folder.path().join("missing/a.key"), PathBuf::from("/")] {
            for force in [false, true] {
                let status = keygen(&KeygenArguments { file: file.clone(), force });
                assert_eq!(status, ExitCode::FAILURE, "{}", file.display());
            }
        }
        assert_eq!(names(folder.path()), ["taken"]);
    }
}
