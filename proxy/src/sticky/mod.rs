//! Pins: the cookie's scan, the table from its value to a member, its rendering, and what a service
//! asks for beyond Traefik.
//!
//! Pure: no clock, no sockets, no notion of which server is up. `conn` asks with the request's
//! Cookie lines; `cluster` builds one [`StickyTable`] per sticky service whenever tables change.

mod cache;
mod key;
mod rules;
mod scan;
mod sealed;
mod table;
mod value;

pub use cache::cache_control_line;
pub use key::{Key, KeyKind};
pub use rules::Rules;
pub use scan::{COOKIES_MAX, cookie_value};
pub use sealed::{
    AHEAD_S_MAX, NONCE_BYTES, Opened, Renewal, Seal, SealedPin, SealedValue, Standing, VALUE_CHARS,
};
pub use table::{Found, Level, Member, Reading, StickyTable};
pub use value::current_value;
