//! Black-box tests: the real binary, real sockets, scripted origins; each on both drivers.

#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod admin;
mod admin_orders;
mod bad_network;
mod body;
mod connection_cap;
mod descriptors;
mod drain;
mod errors;
mod failover;
mod faults;
mod forwarded;
mod health;
mod interim;
mod keep_alive;
mod lenient;
mod lifecycle;
mod limits;
mod malformed;
mod memory;
mod mirroring;
mod names;
mod passive;
mod proxy_protocol;
mod real_clients;
mod reload;
mod resets;
mod resources;
mod retry;
mod rules;
mod sealed;
mod split_points;
mod static_keys;
mod sticky;
mod sticky_cookie;
mod sticky_options;
mod strategies;
mod strict;
mod timeouts;
mod tunnel;
mod unix_socket;
mod upgrade;
mod weighted;
