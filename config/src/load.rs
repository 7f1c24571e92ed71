//! The doors of this crate: load, reload, check, and a model from flags.
