//! Answers by which a client tells its own response from another's. A request that carries
//! [`ID_FIELD`] gets it back in the head, and a body made of it; a request body made of another id
//! is reported. Written apart from the load generator's oracle, which judges these answers. Called
//! by `origin`.

/// The field of a request with its id, and of the answer.
pub(super) const ID_FIELD: &str = "x-load-id";
/// In an answer: the request's body was not made of its id.
const FOREIGN_BODY_FIELD: &str = "x-load-foreign-body";
/// Longest id; a longer one is none.
const ID_BYTES_MAX: usize = 64;

/// An id, and whether the request's body was made of it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identified {
    id: Vec<u8>,
    seen: usize,
    is_foreign: bool,
}

impl Identified {
    /// A request of this id, before its body.
    pub(super) fn new(id: &str) -> Option<Self> {
        let is_id = !id.is_empty() && id.len() <= ID_BYTES_MAX;
        is_id.then(|| Self { id: id.as_bytes().to_vec(), seen: 0, is_foreign: false })
    }

    fn byte(&self, at: usize) -> u8 {
        self.id.get(at % (self.id.len() + 1)).copied().unwrap_or(b'\n')
    }

    /// The next piece of the request's body.
    pub(super) fn see(&mut self, piece: &[u8]) {
        for byte in piece {
            self.is_foreign |= *byte != self.byte(self.seen);
            self.seen += 1;
        }
    }

    /// The answer: its bytes, and how many of them are the head.
    pub(super) fn answer(&self, name: &str, body_bytes: usize) -> (Vec<u8>, usize) {
        let foreign =
            if self.is_foreign { format!("{FOREIGN_BODY_FIELD}: 1\r\n") } else { String::new() };
        let mut whole = format!(
            "HTTP/1.1 200 OK\r\nX-Server: {name}\r\n{ID_FIELD}: {}\r\n{foreign}\
             Content-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n",
            String::from_utf8_lossy(&self.id)
        )
        .into_bytes();
        let head_bytes = whole.len();
        whole.extend((0..body_bytes).map(|at| self.byte(at)));
        (whole, head_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_made_of_the_id() {
        let (whole, head_bytes) = Identified::new("ab").expect("an id").answer("9001", 5);
        let head = String::from_utf8_lossy(&whole[..head_bytes]);
        assert!(head.contains("X-Server: 9001\r\nx-load-id: ab\r\n"), "{head}");
        assert!(!head.contains(FOREIGN_BODY_FIELD), "{head}");
        assert_eq!(&whole[head_bytes..], b"ab\nab");
    }

    #[test]
    fn a_body_of_another_id_is_reported() {
        for (body, is_foreign) in [("", false), ("ab\nab\na", false), ("ab\nac", true), ("b", true)]
        {
            let mut request = Identified::new("ab").expect("an id");
            body.as_bytes().chunks(2).for_each(|it| request.see(it));
            let (whole, _) = request.answer("x", 0);
            let got = String::from_utf8_lossy(&whole).contains(FOREIGN_BODY_FIELD);
            assert_eq!(got, is_foreign, "{body:?}");
        }
    }

    #[test]
    fn an_id_has_a_length() {
        assert_eq!(Identified::new(""), None);
        assert_eq!(Identified::new(&"a".repeat(ID_BYTES_MAX + 1)), None);
    }
}
