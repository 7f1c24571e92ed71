//! What `sundew config show` shows: everything that is read, in order of precedence.

use super::{Options, StaticSource, Whole, check_source, has_error};
use crate::Diagnostics;
use crate::effective::{self, Names, Part, Setting};
use crate::raw;

/// The configuration that counts, of what [`check_source`] takes, with where each value comes from.
///
/// # Errors
/// Every problem, when one of them is an error.
pub fn effective(source: &StaticSource, options: Options) -> Result<Setting, Diagnostics> {
    let diagnostics = check_source(source, options).diagnostics;
    if has_error(&diagnostics) {
        return Err(diagnostics);
    }
    let root = source.parse(options.lenient).map_err(|it| vec![it])?;
    let first = |root| Part { source: root, names: source.names() };
    let is_static = source.as_file().is_none() || root.source.root_keys().any(raw::is_static_key);
    if !is_static {
        return Ok(effective::effective(&[first(&root.source)], true));
    }
    let whole = Whole::load(root, options);
    let files = whole.files.iter().map(|it| Part { source: &it.source, names: Names::Places });
    let parts: Vec<Part<'_>> = std::iter::once(first(&whole.root.source)).chain(files).collect();
    Ok(effective::effective(&parts, false))
}
