//! A request in its parts, so that each can be bent alone, and the well-formed ones that every
//! case begins with. Never judges what it writes: that is the model's part.

use super::random::Random;

/// A field line or a trailer line.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: Vec<u8>,
    pub(crate) colon: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Line {
    pub(crate) fn new(name: &[u8], value: &[u8]) -> Self {
        let [colon, end] = [&b": "[..], b"\r\n"].map(<[u8]>::to_vec);
        Self { name: name.to_vec(), colon, value: value.to_vec(), end }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for part in [&self.name, &self.colon, &self.value, &self.end] {
            out.extend_from_slice(part);
        }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// A chunk; the last one has no content and no end.
#[derive(Clone)]
pub(crate) struct Chunk {
    pub(crate) size: Vec<u8>,
    pub(crate) extension: Vec<u8>,
    pub(crate) size_end: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Chunk {
    pub(crate) fn new(content: &[u8]) -> Self {
        Self {
            size: format!("{:x}", content.len()).into_bytes(),
            extension: Vec::new(),
            size_end: b"\r\n".to_vec(),
            content: content.to_vec(),
            end: if content.is_empty() { Vec::new() } else { b"\r\n".to_vec() },
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for part in [&self.size, &self.extension, &self.size_end, &self.content, &self.end] {
            out.extend_from_slice(part);
        }
    }
}

/// What follows the head.
pub(crate) enum Body {
    Nothing,
    Plain(Vec<u8>),
    /// The last chunk is the last of them.
    Chunked {
        chunks: Vec<Chunk>,
        trailers: Vec<Line>,
        end: Vec<u8>,
    },
}

/// A request in its parts.
pub(crate) struct Draft {
    pub(crate) before: Vec<u8>,
    pub(crate) method: Vec<u8>,
    pub(crate) blank_before_target: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) blank_behind_target: Vec<u8>,
    pub(crate) version: Vec<u8>,
    pub(crate) line_end: Vec<u8>,
    pub(crate) lines: Vec<Line>,
    pub(crate) head_end: Vec<u8>,
    pub(crate) body: Body,
}

const METHODS: &[&str] =
    &["GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];

const FIELDS: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Cookie", "a=b; sid=0123456789abcdef"),
    ("Cache-Control", "no-cache"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("X-Empty", ""),
    ("Connection", "keep-alive"),
];

impl Draft {
    /// A well-formed request that carries `marker` in its target and in a field.
    pub(crate) fn new(random: &mut Random, marker: &str) -> Self {
        let mut draft = Self {
            before: Vec::new(),
            method: random.pick(METHODS).as_bytes().to_vec(),
            blank_before_target: b" ".to_vec(),
            target: format!("/m/{marker}").into_bytes(),
            blank_behind_target: b" ".to_vec(),
            version: b"HTTP/1.1".to_vec(),
            line_end: b"\r\n".to_vec(),
            lines: vec![
                Line::new(b"Host", b"app.example"),
                Line::new(b"X-Marker", marker.as_bytes()),
            ],
            head_end: b"\r\n".to_vec(),
            body: Body::Nothing,
        };
        for (name, value) in FIELDS {
            if random.chance(15) {
                draft.lines.push(Line::new(name.as_bytes(), value.as_bytes()));
            }
        }
        let has_body = random.chance(if draft.method.starts_with(b"P") { 90 } else { 15 });
        if has_body {
            draft.give_body(random, marker);
        }
        draft
    }

    fn give_body(&mut self, random: &mut Random, marker: &str) {
        let content = content(random, marker);
        if random.chance(50) {
            let length = content.len().to_string();
            self.lines.push(Line::new(b"Content-Length", length.as_bytes()));
            self.body = Body::Plain(content);
            return;
        }
        self.lines.push(Line::new(b"Transfer-Encoding", b"chunked"));
        let mut chunks = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(1 + random.below(rest.len()));
            chunks.push(Chunk::new(chunk));
            rest = behind;
        }
        chunks.push(Chunk::new(b""));
        self.body = Body::Chunked { chunks, trailers: Vec::new(), end: b"\r\n".to_vec() };
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let start = [
            &self.before,
            &self.method,
            &self.blank_before_target,
            &self.target,
            &self.blank_behind_target,
            &self.version,
            &self.line_end,
        ];
        for part in start {
            out.extend_from_slice(part);
        }
        self.lines.iter().for_each(|line| line.write(&mut out));
        out.extend_from_slice(&self.head_end);
        match &self.body {
            Body::Nothing => {}
            Body::Plain(content) => out.extend_from_slice(content),
            Body::Chunked { chunks, trailers, end } => {
                chunks.iter().for_each(|chunk| chunk.write(&mut out));
                trailers.iter().for_each(|line| line.write(&mut out));
                out.extend_from_slice(end);
            }
        }
        out
    }
}

/// A request that no client sent unless somebody takes a body for one.
pub(crate) fn hidden(marker: &str) -> Vec<u8> {
    format!("GET /m/{marker}h HTTP/1.1\r\nHost: app.example\r\nX-Marker: {marker}h\r\n\r\n")
        .into_bytes()
}

/// Content of a body: text, loose bytes, a whole request, or something that looks like chunks.
fn content(random: &mut Random, marker: &str) -> Vec<u8> {
    let hidden = hidden(marker);
    match random.below(6) {
        0 => hidden,
        1 => [b"0\r\n\r\n", &hidden[..]].concat(),
        2 => [b"5\r\nhello\r\n0\r\n\r\n", &hidden[..]].concat(),
        3 => (0..1 + random.below(64)).map(|_| random.number().to_le_bytes()[0]).collect(),
        4 if random.chance(10) => vec![b'x'; 1 + random.below(100_000)],
        _ => {
            let length = 1 + random.below(200);
            random.word(length)
        }
    }
}
