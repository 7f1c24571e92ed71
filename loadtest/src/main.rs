//! sundew-loadtest: an origin that is never the bottleneck.

fn main() {}
