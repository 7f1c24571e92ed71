//! HTTP/1.1 as bytes in and bytes out: no sockets, no time, no allocation on the usual path.

pub mod chunked;
mod cookies;
pub mod fields;
pub mod forwarded;
pub mod framing;
pub mod head;
pub mod proxy_protocol;
pub mod respond;
pub mod rewrite;
pub mod target;
