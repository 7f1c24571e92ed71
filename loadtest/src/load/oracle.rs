//! The stickiness oracle: is this answer the one to this request, whole, and from the server that
//! the client is pinned to? It learns a pin from the first answer after which the client holds a
//! cookie. Needs servers that name themselves ([`SERVER_FIELD`]) and say whose request they
//! answered ([`ID_FIELD`], and a body made of the id). Does no input or output. Called by the
//! client for each answer.

/// The field in which a server names itself.
pub(super) const SERVER_FIELD: &str = "x-server";
/// The field with which a request carries its id, and the answer too.
pub(super) const ID_FIELD: &str = "x-load-id";
/// In an answer: the server found another request's bytes in the body of this one.
pub(super) const FOREIGN_BODY_FIELD: &str = "x-load-foreign-body";
/// Digits of an id.
pub(super) const ID_BYTES: usize = 16;

/// The id of a request: of this run, this client, and this request. Runs at the same time differ
/// by `run`.
pub(super) fn id(run: u16, client: usize, number: u32) -> [u8; ID_BYTES] {
    let whole = u64::from(run) << 48 | (client as u64 & 0xffff) << 32 | u64::from(number);
    let mut digits = [b'0'; ID_BYTES];
    for (at, digit) in digits.iter_mut().enumerate() {
        let value = (whole >> (4 * (ID_BYTES - 1 - at))) & 0xf;
        *digit = b"0123456789abcdef".get(value as usize).copied().unwrap_or(b'0');
    }
    digits
}

/// Fills a body with an id and a line break, again and again, so that no two requests have a
/// stretch of it in common.
pub(super) fn fill(body: &mut [u8], id: &[u8; ID_BYTES]) {
    for (at, byte) in body.iter_mut().enumerate() {
        *byte = id.get(at % (ID_BYTES + 1)).copied().unwrap_or(b'\n');
    }
}

/// Compares a body with what [`fill`] makes, piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyCheck {
    id: [u8; ID_BYTES],
    at: usize,
    wrong_at: Option<usize>,
}

impl BodyCheck {
    /// Before the first byte.
    pub(super) fn new(id: [u8; ID_BYTES]) -> Self {
        Self { id, at: 0, wrong_at: None }
    }

    /// The next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            let want = self.id.get(self.at % (ID_BYTES + 1)).unwrap_or(&b'\n');
            if byte != want && self.wrong_at.is_none() {
                self.wrong_at = Some(self.at);
            }
            self.at += 1;
        }
    }
}

/// What of an answer is judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// [`SERVER_FIELD`].
    pub(super) server: Option<String>,
    /// [`ID_FIELD`].
    pub(super) id: Option<Vec<u8>>,
    /// [`FOREIGN_BODY_FIELD`] is there.
    pub(super) is_foreign_body: bool,
    /// The client's cookies differ after this answer.
    pub(super) is_new_cookie: bool,
    /// The client holds a cookie.
    pub(super) has_cookie: bool,
}

/// A right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// From a server; the pin, if there is one, holds.
    Held,
    /// From another server, which the same answer pins the client to.
    Repinned,
    /// An error that the proxy answered itself.
    Proxy,
}

/// A wrong answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Not from the pinned server.
    Mispinned(String),
    /// Not this request's answer, or not wholly.
    Crossed(String),
}

/// What one client knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    pin: Option<String>,
    allow_repin: bool,
}

impl Oracle {
    /// A client without a pin. `allow_repin`: a new cookie may move it.
    pub(super) fn new(allow_repin: bool) -> Self {
        Self { pin: None, allow_repin }
    }

    /// The server that the client is pinned to.
    pub(super) fn pin(&self) -> Option<&str> {
        self.pin.as_deref()
    }

    /// Judges one whole answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn judge(&mut self, answer: &Answer, body: &BodyCheck) -> Result<Right, Wrong> {
        let crossed = |why: String| Err(Wrong::Crossed(why));
        if answer.status >= 400 && answer.server.is_none() && answer.id.is_none() {
            return Ok(Right::Proxy);
        }
        let Some(id) = &answer.id else {
            return crossed(format!("the answer carries no {ID_FIELD}: whose is it?"));
        };
        if *id != body.id {
            return crossed(format!("answer to request {}", String::from_utf8_lossy(id)));
        }
        if answer.is_foreign_body {
            return crossed("the server received another body than was sent".to_owned());
        }
        if let Some(at) = body.wrong_at {
            return crossed(format!("the body is another's from byte {at} on"));
        }
        let Some(server) = &answer.server else {
            return crossed(format!("the answer carries no {SERVER_FIELD}: from whom is it?"));
        };
        self.judge_pin(answer, server)
    }

    fn judge_pin(&mut self, answer: &Answer, server: &str) -> Result<Right, Wrong> {
        let Some(pin) = &self.pin else {
            self.pin = answer.has_cookie.then(|| server.to_owned());
            return Ok(Right::Held);
        };
        if pin == server {
            return Ok(Right::Held);
        }
        if !answer.is_new_cookie {
            return Err(Wrong::Mispinned(format!("from {server}, and no new cookie says so")));
        }
        self.pin = Some(server.to_owned());
        if self.allow_repin {
            return Ok(Right::Repinned);
        }
        Err(Wrong::Mispinned(format!("moved to {server} by a new cookie; --allow-repin?")))
    }
}

#[cfg(test)]
#[path = "oracle/tests.rs"]
mod tests;
