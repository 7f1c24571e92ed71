//! Every use of the sockets of monoio.
