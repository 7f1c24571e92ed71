//! The data plane: one thread, one event loop, one replica of every table.

pub mod inbox;
