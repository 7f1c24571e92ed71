//! Raw structs → model. Collects every problem before it returns, and leaves out a dynamic object
//! that is wrong by itself. Reads no files. Called by `load`.

mod access_log;
mod admin;
mod composite;
mod cookie;
mod cookie_name;
mod dynamic;
mod entry_point;
mod health_check;
mod load;
mod scalar;
mod sealing;
mod server;
mod service;
mod settings;
mod statics;
mod sticky_rules;
mod transport;

#[cfg(test)]
mod tests;

pub(crate) use cookie::{generated_name, is_sanitised, sanitised};
pub(crate) use cookie_name::is_reserved;
pub(crate) use dynamic::{DynamicFile, EntryPoints, dynamic};
pub(crate) use entry_point::{default_entry_point, listen_address};
pub use scalar::duration_of;
pub(crate) use server::server;
pub(crate) use statics::{Statics, statics};
pub(crate) use transport::default_transport;
