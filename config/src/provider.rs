//! Who turns outside state into raw structs.

pub(crate) mod file;
