//! Files of this repository that are made from the code: `just generate` writes them, and tests
//! hold them to it.

use std::path::Path;
use std::{env, fs};

/// Fails when the stored file, relative to this crate, is not `want`; under `just generate`
/// writes it.
pub(crate) fn assert_stored(name: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if env::var_os("SUNDEW_GENERATE").is_some() {
        fs::write(&path, want).unwrap();
        return;
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let differs = stored.lines().zip(want.lines()).position(|(a, b)| a != b);
    assert!(
        stored == want,
        "{name} is out of date (line {}): run `just generate`",
        differs.unwrap_or_else(|| stored.lines().count().min(want.lines().count())) + 1
    );
}
