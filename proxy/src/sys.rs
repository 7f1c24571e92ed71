//! The only file with unsafe code.
