//! The compiled router table: request → router. Pure; `cluster` builds one table per entry point
//! whenever the configuration changes, `conn` asks it once a request.

mod index;
mod query;
mod rule;
mod table;

pub use table::{RequestView, RouteMatch, RouteTable};
