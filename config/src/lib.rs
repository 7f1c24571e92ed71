//! What an operator writes, checked into an immutable [`model`].
//!
//! The way of a file: text → `source` (values, and the place of each) → `raw` structs, read with
//! Traefik's tolerance (keys in any case, quoted numbers, comma lists) → `check` → [`model`].
//! Every problem is collected as a [`Diagnostic`] with its place before anything is refused; what
//! comes out is valid by construction. No runtime, no sockets.
#![forbid(unsafe_code)]

pub mod audit;
mod check;
pub mod diagnostic;
pub mod effective;
#[cfg(test)]
mod generated;
pub mod key_file;
pub mod load;
pub mod model;
mod provider;
mod raw;
#[cfg(test)]
mod reference;
pub mod rule;
pub mod schema;
mod shape;
mod source;

pub use check::duration_of;
pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
