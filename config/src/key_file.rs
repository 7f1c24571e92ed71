//! Files that hold one key for sealed values: their text, and reading them.
//!
//! Owns what makes such a file good: its form, and that strangers cannot read it. Never prints what
//! is in one. Read by `load`, looked up by `check`; the command line writes new ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::model::{SEALING_KEY_BYTES, SealingKey};

/// What a key file begins with: says what it is, to people and to scanners for secrets.
const PREFIX: &str = "sundew-key-1:";
const DIGITS: usize = SEALING_KEY_BYTES * 2;
/// Nobody but the owner and the group may do anything with it.
const OTHERS: u32 = 0o007;

/// The text of a key file.
#[must_use]
pub fn text(key: &SealingKey) -> String {
    let mut text = PREFIX.to_owned();
    for byte in key.as_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

/// Why a key file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

const MAKE_ONE: &str = "make one with `sundew keygen`";

fn refusal<T>(message: impl Into<String>, help: &'static str) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), help })
}

/// The key in a file's text.
fn parse(text: &[u8]) -> Result<SealingKey, Refusal> {
    let text = text.trim_ascii_end();
    if text.is_empty() {
        return refusal("the key file is empty", MAKE_ONE);
    }
    let digits = text.strip_prefix(PREFIX.as_bytes()).filter(|it| it.len() == DIGITS);
    let Some(digits) = digits else {
        return refusal(format!("not a key file: `{PREFIX}` and {DIGITS} digits"), MAKE_ONE);
    };
    let mut key = [0; SEALING_KEY_BYTES];
    for (place, pair) in key.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|it| char::from(it).to_digit(16));
        let (Some(high), Some(low)) = (high, low) else {
            return refusal("the key holds something that is not a hexadecimal digit", MAKE_ONE);
        };
        // Two digits fit into a byte.
        *place = (high << 4 | low) as u8;
    }
    if key.iter().all(|byte| Some(byte) == key.first()) {
        return refusal("the key is one byte over and over", MAKE_ONE);
    }
    Ok(SealingKey::new(key))
}

/// Reads one file. What it is and who may read it is asked of the open file, not of its name.
pub(crate) fn read(file: &Path) -> Result<SealingKey, Refusal> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Refusal { message: "no such key file".to_owned(), help: MAKE_ONE },
        ErrorKind::PermissionDenied => Refusal {
            message: "no permission to read the key file".to_owned(),
            help: "let the user that runs sundew read it",
        },
        _ => Refusal { message: format!("the key file cannot be read: {error}"), help: "" },
    };
    // Opening a pipe would wait for whoever writes into it.
    if !std::fs::metadata(file).map_err(failed)?.is_file() {
        return refusal("the key file is not a regular file", MAKE_ONE);
    }
    let opened = File::open(file).map_err(failed)?;
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if mode & OTHERS != 0 {
        let message = format!("everybody can get at the key file (mode {:04o})", mode & 0o7777);
        return refusal(message, "chmod o= the file; in Kubernetes set `defaultMode: 0440`");
    }
    let mut text = Vec::new();
    // One byte more than any key file has, to notice what is longer.
    let bytes_max = (PREFIX.len() + DIGITS + "\r\n".len() + 1) as u64;
    opened.take(bytes_max).read_to_end(&mut text).map_err(failed)?;
    parse(&text)
}

/// What is known of one key file.
#[derive(Clone, Debug)]
pub(crate) enum KeyFile {
    /// Read just now.
    Fresh(SealingKey),
    /// Refused; the key that was read from it earlier stays.
    Kept(SealingKey, Refusal),
    /// Refused.
    Refused(Refusal),
}

/// The key files of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyFiles(BTreeMap<PathBuf, KeyFile>);

impl KeyFiles {
    /// Reads `files`; a key that `before` knows stays where its file is refused now.
    pub(crate) fn read<'f>(files: impl Iterator<Item = &'f str>, before: &Self) -> Self {
        let mut found = BTreeMap::new();
        for file in files.map(Path::new).filter(|it| !it.as_os_str().is_empty()) {
            found.entry(file.to_owned()).or_insert_with(|| match read(file) {
                Ok(key) => KeyFile::Fresh(key),
                Err(refusal) => match before.0.get(file) {
                    Some(KeyFile::Fresh(key) | KeyFile::Kept(key, _)) => {
                        KeyFile::Kept(key.clone(), refusal)
                    }
                    Some(KeyFile::Refused(_)) | None => KeyFile::Refused(refusal),
                },
            });
        }
        Self(found)
    }

    /// What was found at `file`, as it is written in the configuration.
    pub(crate) fn find(&self, file: &str) -> Option<&KeyFile> {
        self.0.get(Path::new(file))
    }

    /// The files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    const GOOD: &str =
        "sundew-key-1:00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    #[test]
    fn the_text_of_a_key_is_read_back() {
        let key = SealingKey::new(std::array::from_fn(|at| at as u8 * 3));
        assert_eq!(parse(text(&key).as_bytes()), Ok(key));
        let key = parse(GOOD.as_bytes()).unwrap();
        assert_eq!((key.as_bytes()[1], key.as_bytes()[31]), (0x11, 0xff));
    }

    #[test]
    fn a_malformed_key_is_refused_and_not_shown() {
        let not_hex = GOOD.replace("0011", "00g1");
        let same = format!("{PREFIX}{}", "5a".repeat(32));
        for (name, text, want) in [
            ("nothing", "", "empty"),
            ("blanks", " \n\n", "empty"),
            ("no prefix", &GOOD[PREFIX.len()..], "not a key file"),
            ("another version", &GOOD.replace("-1:", "-2:"), "not a key file"),
            ("cut", &GOOD[..GOOD.len() - 1], "not a key file"),
            ("too long", &format!("{GOOD}0"), "not a key file"),
            ("two of them", &format!("{GOOD}\n{GOOD}\n"), "not a key file"),
            ("blanks before it", &format!(" {GOOD}"), "not a key file"),
            ("not hexadecimal", &not_hex, "hexadecimal"),
            ("a sign", &GOOD.replace("0011", "+011"), "hexadecimal"),
            ("a PEM file", "-----BEGIN PRIVATE KEY-----\n", "not a key file"),
            ("no key at all", &same, "over and over"),
        ] {
            let refusal = parse(text.as_bytes()).unwrap_err();
            assert!(refusal.message.contains(want), "{name}: {refusal:?}");
            assert!(!refusal.message.contains("2233"), "{name}: {refusal:?}");
        }
        for end in ["\n", "\r\n", ""] {
            assert!(parse(format!("{GOOD}{end}").as_bytes()).is_ok(), "{end:?}");
        }
    }

    #[test]
    fn a_file_that_strangers_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.key");
        write(&file, GOOD).unwrap();
        for mode in [0o600, 0o400, 0o440, 0o660, 0o644, 0o604, 0o602, 0o601, 0o777] {
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let refused = read(&file).err().map(|it| it.message);
            let want = (mode & 0o7 != 0)
                .then(|| format!("everybody can get at the key file (mode {mode:04o})"));
            assert_eq!(refused, want, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_readable_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long.key");
        write(&long, format!("{GOOD}{}", "0".repeat(1 << 20))).unwrap();
        set_permissions(&long, Permissions::from_mode(0o600)).unwrap();
        let missing = folder.path().join("missing.key");
        for (file, want) in [
            (missing.as_path(), "no such key file"),
            (folder.path(), "not a regular file"),
            (Path::new("/dev/zero"), "not a regular file"),
            (&long, "not a key file"),
        ] {
            let refusal = read(file).unwrap_err();
            assert!(refusal.message.contains(want), "{}: {refusal:?}", file.display());
        }
    }
}
