//! What operators see: the access log and counters.

pub mod access_log;
pub mod counters;
pub mod outcome;
pub mod tally;
