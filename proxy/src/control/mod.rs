//! The control thread (tokio, current-thread): configuration, health, names, signals, systemd.
//! It tells the workers what is true, through [`publish`] alone.

pub mod admin;
pub mod health;
pub mod listeners;
pub mod log;
pub mod orders;
pub mod passive;
pub mod publish;
pub mod reload;
pub mod resolve;
pub mod run;
pub mod signals;
pub mod systemd;

#[cfg(test)]
mod fixtures;
mod limits;
mod memory;
mod occupant;
mod stop;
mod workers;
