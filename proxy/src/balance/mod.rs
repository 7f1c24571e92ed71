//! The choice of a member when no pin decides: pure, without clock, sockets or locks. `cluster`
//! owns one scheduler per service and worker, and says who is eligible.

pub mod hrw;
pub mod leasttime;
pub mod p2c;
pub mod random;
pub mod wrr;

pub use hrw::Hrw;
pub use leasttime::{LeastTime, ResponseTimes};
pub use random::Random;
pub use wrr::Wrr;
