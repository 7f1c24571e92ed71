//! sundew: a reverse proxy that pins clients to servers with a cookie.
//!
//! Layers, each importing only what stands below it (`tests/layers.rs` holds this true):
//! `cli` → `control`, `worker` → `conn` → `upstream` → `cluster`, `sticky`, `balance`, `route` →
//! `http1`, `observe` → `io` → `sys`.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

pub mod balance;
pub mod cli;
pub mod cluster;
pub mod conn;
pub mod control;
pub mod http1;
pub mod io;
pub mod observe;
pub mod route;
pub mod sticky;
pub mod sys;
pub mod upstream;
pub mod worker;
