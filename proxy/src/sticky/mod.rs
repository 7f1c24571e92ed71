//! sticky
