//! Connections to servers: pooled per server and worker, last used first.

mod budget;
mod connect;
mod pool;

use crate::io::{Address, Stream};

pub use budget::RetryBudget;
pub use connect::{ConnectError, connect};
pub use pool::{put_back, sweep_idle, take_idle, trim_idle};

/// A checked-out connection to a server, for one exchange.
#[derive(Debug)]
pub struct Lease {
    /// The connection.
    pub stream: Stream,
    /// Where it leads.
    pub address: Address,
    /// It has carried an exchange before, so the server may have closed it meanwhile.
    pub is_reused: bool,
}
