//! Raw bytes of hostile clients and broken servers, row by row: the answer, whether the
//! connection is closed, and what reached the other side. Each row is sent at once and again in
//! two pieces, cut at every point. The numbers in the names are those of `docs/threat-model.md`.
//!
//! Client and server here share no code with the proxy's parsers.

mod case;
mod client;
mod closing;
mod deadlines;
mod exchange;
mod lane;
mod origin;
mod requests;
mod responses;
#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "made for the black-box tests; starting the proxy is all that is used of it here"
)]
mod support;

use support::Driver;

#[test]
fn every_request_of_the_tables_on_uring() {
    lane::check_requests(Driver::Uring, &requests::all());
}

#[test]
fn every_request_of_the_tables_on_epoll() {
    lane::check_requests(Driver::Epoll, &requests::all());
}

#[test]
fn every_response_of_the_tables_on_uring() {
    exchange::check_responses(Driver::Uring, &responses::all());
}

#[test]
fn every_response_of_the_tables_on_epoll() {
    exchange::check_responses(Driver::Epoll, &responses::all());
}
