//! Wire formats.
pub mod target;
