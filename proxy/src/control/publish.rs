//! The only door from the control thread to the workers.
//!
//! Every worker has one inbox; messages arrive in the order in which they were sent, so indexes in
//! a [`Message`] always mean the tables that were published last before it.
