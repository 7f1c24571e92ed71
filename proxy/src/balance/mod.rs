//! The choice of a member when no pin decides: pure, without clock, sockets or locks. `cluster`
//! owns one scheduler per service and worker, and says who is eligible.

pub mod hrw;
pub mod wrr;

pub use hrw::Hrw;
pub use wrr::Wrr;
