//! What an operator writes, checked into an immutable [`model`].
//!
//! The way of a file: text → [`provider`] → value → normalised by the schema → [`raw`] structs →
//! [`check`] → [`model`]. Every problem is collected as a [`Diagnostic`] with its place before
//! anything is refused; what comes out is valid by construction. No runtime, no sockets.
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod load;
pub mod model;
pub mod rule;

pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
