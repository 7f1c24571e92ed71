//! Pins: the cookie's scan, the table from its value to a member, and its rendering.
//!
//! Pure: no clock, no sockets, no notion of which server is up. `conn` asks with the request's
//! Cookie lines; `cluster` builds one [`StickyTable`] per sticky service whenever tables change.

mod scan;
mod table;
mod value;

pub use scan::{COOKIES_MAX, cookie_value};
pub use table::{Found, Level, StickyTable};
pub use value::current_value;
