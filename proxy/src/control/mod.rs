//! The control thread (tokio, current-thread): configuration, health, names, signals, systemd.
//! It tells the workers what is true, through [`publish`] alone.

pub mod publish;
