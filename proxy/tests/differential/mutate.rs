//! How requests are bent: by their grammar, one part at a time, and blindly, byte by byte. Every
//! choice comes from the seed. Whether the outcome is still a request is the model's part.

mod tables;

use self::tables::{
    BLANKS, CHUNK_EXTENSIONS, CHUNK_SIZES, CODINGS, CONNECTION_OPTIONS, EXPECTATIONS,
    FRAMING_NAMES, HOSTS, LENGTHS, LINE_ENDS, LOOSE, TARGET_ENDS, TARGET_STARTS, TRAILERS,
    VERSIONS,
};
use super::draft::{Body, Chunk, Draft, Line, hidden};
use super::random::Random;

/// Mutations of one request at most.
const MUTATIONS_MAX: usize = 3;

/// A well-formed request with some mutations, as bytes.
pub(crate) fn case(random: &mut Random, marker: &str) -> Vec<u8> {
    let mut draft = Draft::new(random, marker);
    let mut blind = 0;
    for _ in 0..1 + random.below(MUTATIONS_MAX) {
        match random.chance(12) {
            true => blind += 1,
            false => by_grammar(&mut draft, random, marker),
        }
    }
    let mut bytes = draft.bytes();
    for _ in 0..blind {
        blindly(&mut bytes, random);
    }
    bytes
}

fn by_grammar(draft: &mut Draft, random: &mut Random, marker: &str) {
    match random.below(25) {
        0 => repeat_line(draft, random),
        1 => framing_line(draft, random),
        2 => framing_value(draft, random),
        3 => framing_name(draft, random),
        4 => line_end(draft, random),
        5 => blanks(draft, random),
        6 => control_byte(draft, random),
        7 => fold(draft, random),
        8 | 9 => letter_case(draft, random),
        10 => long(draft, random),
        11 => smuggle(draft, random, marker),
        12 => connection(draft, random),
        13 => expect(draft, random),
        14 => upgrade(draft, random),
        15 | 16 => trailers(draft, random),
        17 => absolute(draft, random),
        18 => version(draft, random),
        19 | 20 => target(draft, random),
        21 => host(draft, random),
        22 | 23 => chunk(draft, random),
        _ => harmless(draft, random),
    }
}

fn some_line<'d>(draft: &'d mut Draft, random: &mut Random) -> Option<&'d mut Line> {
    let at = random.position(draft.lines.len());
    draft.lines.get_mut(at)
}

fn insert_line(draft: &mut Draft, random: &mut Random, line: Line) {
    let at = random.below(draft.lines.len() + 1);
    draft.lines.insert(at, line);
}

fn framing_of<'d>(draft: &'d mut Draft, random: &mut Random) -> Option<&'d mut Line> {
    let is_framing = |line: &Line| line.is("content-length") || line.is("transfer-encoding");
    let at = draft.lines.iter().position(is_framing);
    match at {
        Some(at) => draft.lines.get_mut(at),
        None => some_line(draft, random),
    }
}

fn repeat_line(draft: &mut Draft, random: &mut Random) {
    if let Some(line) = some_line(draft, random).cloned() {
        insert_line(draft, random, line);
    }
}

fn framing_line(draft: &mut Draft, random: &mut Random) {
    let line = match random.chance(50) {
        true => Line::new(b"Content-Length", random.pick(LENGTHS).as_bytes()),
        false => Line::new(b"Transfer-Encoding", random.pick(CODINGS).as_bytes()),
    };
    insert_line(draft, random, line);
}

fn framing_value(draft: &mut Draft, random: &mut Random) {
    let step = random.below(5);
    let coding = random.pick(CODINGS);
    let length = random.pick(LENGTHS);
    let Some(line) = framing_of(draft, random) else { return };
    if line.is("transfer-encoding") {
        line.value = coding.as_bytes().to_vec();
        return;
    }
    let number = std::str::from_utf8(&line.value).ok().and_then(|it| it.parse::<u64>().ok());
    line.value = match (step, number) {
        (0, Some(number)) => (number + 1).to_string().into_bytes(),
        (1, Some(number)) => number.saturating_sub(1).to_string().into_bytes(),
        (2, Some(number)) => format!("{number:010}").into_bytes(),
        (3, Some(number)) => format!("{number}, {number}").into_bytes(),
        _ => length.as_bytes().to_vec(),
    };
}

fn framing_name(draft: &mut Draft, random: &mut Random) {
    let name = random.pick(FRAMING_NAMES).as_bytes().to_vec();
    if let Some(line) = framing_of(draft, random) {
        line.name = name;
    }
}

fn line_end(draft: &mut Draft, random: &mut Random) {
    let end = random.pick(LINE_ENDS).as_bytes().to_vec();
    match random.below(8) {
        0 => draft.line_end = end,
        1 => draft.head_end = end,
        2 => draft.before = end,
        3 => draft.before = b"\r\n".to_vec(),
        _ => {
            if let Some(line) = some_line(draft, random) {
                line.end = end;
            }
        }
    }
}

fn blanks(draft: &mut Draft, random: &mut Random) {
    let blank = random.pick(BLANKS).as_bytes().to_vec();
    match random.below(10) {
        0 => draft.blank_before_target = blank,
        1 => draft.blank_behind_target = blank,
        2 => draft.before = blank,
        kind => {
            let Some(line) = some_line(draft, random) else { return };
            match kind {
                3 => line.colon = [&blank[..], b":"].concat(),
                4 => line.name.splice(0..0, blank).for_each(drop),
                5 => line.end = [&blank[..], b"\r\n"].concat(),
                _ => line.colon = [b":", &blank[..]].concat(),
            }
        }
    }
}

fn loose(random: &mut Random) -> u8 {
    LOOSE[random.below(LOOSE.len())]
}

fn control_byte(draft: &mut Draft, random: &mut Random) {
    let byte = loose(random);
    let (kind, place) = (random.below(8), random.number());
    let insert = |part: &mut Vec<u8>| {
        let end = part.len() as u64 + 1;
        part.insert(usize::try_from(place % end).expect("a position"), byte);
    };
    match kind {
        0 => insert(&mut draft.method),
        1 => insert(&mut draft.version),
        2 => insert(&mut draft.target),
        kind => {
            let Some(line) = some_line(draft, random) else { return };
            insert(if kind == 3 { &mut line.name } else { &mut line.value });
        }
    }
}

fn fold(draft: &mut Draft, random: &mut Random) {
    let fold = random.pick(&["\r\n ", "\r\n\t", "\n ", "\r ", "\r\n\r\n ", "\r\n \r\n "]);
    let place = random.number();
    let Some(line) = some_line(draft, random) else { return };
    let at = usize::try_from(place % (line.value.len() as u64 + 1)).expect("a position");
    line.value.splice(at..at, fold.bytes()).for_each(drop);
}

fn letter_case(draft: &mut Draft, random: &mut Random) {
    let flips = random.number();
    let flip = |part: &mut [u8]| {
        for (at, byte) in part.iter_mut().enumerate() {
            if flips >> (at % 64) & 1 == 1 {
                *byte = if byte.is_ascii_lowercase() {
                    byte.to_ascii_uppercase()
                } else {
                    byte.to_ascii_lowercase()
                };
            }
        }
    };
    match random.below(12) {
        0 => flip(&mut draft.method),
        1 => flip(&mut draft.version),
        _ => {
            for line in &mut draft.lines {
                flip(&mut line.name);
                if line.is("transfer-encoding") || line.is("connection") || line.is("expect") {
                    flip(&mut line.value);
                }
            }
        }
    }
}

fn long(draft: &mut Draft, random: &mut Random) {
    let length = match random.below(10) {
        0 => 60_000 + random.below(10_000),
        1 => 8_000 + random.below(400),
        _ => 1 + random.below(5_000),
    };
    let filling = vec![b'l'; length];
    match random.below(8) {
        0 => draft.target.extend_from_slice(&filling),
        1 => draft.method = vec![b'M'; 1 + length % 40],
        2 => insert_line(draft, random, Line::new(&filling, b"v")),
        3 => {
            for _ in 0..80 + length % 30 {
                insert_line(draft, random, Line::new(b"X-Many", b"v"));
            }
        }
        _ => insert_line(draft, random, Line::new(b"X-Long", &filling)),
    }
}

fn smuggle(draft: &mut Draft, random: &mut Random, marker: &str) {
    let hidden = hidden(marker);
    match &mut draft.body {
        Body::Plain(content) => content.extend_from_slice(&hidden),
        Body::Chunked { chunks, end, .. } => match random.below(3) {
            0 => end.extend_from_slice(&hidden),
            1 => {
                if let Some(chunk) = chunks.first_mut() {
                    chunk.content.extend_from_slice(&hidden);
                }
            }
            _ => chunks.insert(0, Chunk::new(&hidden)),
        },
        body @ Body::Nothing => {
            let is_stated = random.chance(50);
            let length = hidden.len().to_string();
            *body = Body::Plain(hidden);
            if is_stated {
                draft.lines.push(Line::new(b"Content-Length", length.as_bytes()));
            }
        }
    }
}

fn connection(draft: &mut Draft, random: &mut Random) {
    let line = Line::new(b"Connection", random.pick(CONNECTION_OPTIONS).as_bytes());
    insert_line(draft, random, line);
    let name = random.pick(&["Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Foo"]);
    if random.chance(40) {
        let value = random.pick(&["trailers", "gzip", "close", "timeout=5", "X-Marker"]);
        insert_line(draft, random, Line::new(name.as_bytes(), value.as_bytes()));
    }
}

fn expect(draft: &mut Draft, random: &mut Random) {
    let line = Line::new(b"Expect", random.pick(EXPECTATIONS).as_bytes());
    insert_line(draft, random, line);
}

fn upgrade(draft: &mut Draft, random: &mut Random) {
    let protocol = random.pick(&["websocket", "h2c", "WebSocket", "foo/1, h2c", "TLS/1.0", ""]);
    insert_line(draft, random, Line::new(b"Upgrade", protocol.as_bytes()));
    if random.chance(80) {
        let options = random.pick(&["Upgrade", "upgrade, HTTP2-Settings", "keep-alive, Upgrade"]);
        insert_line(draft, random, Line::new(b"Connection", options.as_bytes()));
    }
    if random.chance(30) {
        insert_line(draft, random, Line::new(b"HTTP2-Settings", b"AAMAAABkAARAAAAAAAIAAAAA"));
    }
}

fn trailers(draft: &mut Draft, random: &mut Random) {
    let (name, value) = TRAILERS[random.below(TRAILERS.len())];
    let Body::Chunked { trailers, .. } = &mut draft.body else {
        return letter_case(draft, random);
    };
    trailers.push(Line::new(name.as_bytes(), value.as_bytes()));
    if random.chance(30) {
        draft.lines.push(Line::new(b"Trailer", name.as_bytes()));
    }
}

fn absolute(draft: &mut Draft, random: &mut Random) {
    let start = random.pick(TARGET_STARTS).as_bytes();
    draft.target.splice(0..0, start.iter().copied()).for_each(drop);
}

fn version(draft: &mut Draft, random: &mut Random) {
    draft.version = random.pick(VERSIONS).as_bytes().to_vec();
    if random.chance(40) {
        insert_line(draft, random, Line::new(b"Connection", b"keep-alive"));
    }
}

fn target(draft: &mut Draft, random: &mut Random) {
    match random.below(12) {
        0 => draft.target.insert(0, b'/'),
        1 => draft.target.splice(0..0, *b"/a/..").for_each(drop),
        2 => draft.target = b"*".to_vec(),
        3 => drop(draft.target.drain(..draft.target.len().min(1))),
        _ => draft.target.extend_from_slice(random.pick(TARGET_ENDS).as_bytes()),
    }
}

fn host(draft: &mut Draft, random: &mut Random) {
    let value = random.pick(HOSTS).as_bytes();
    match random.below(6) {
        0 => draft.lines.retain(|line| !line.is("host")),
        1 => insert_line(draft, random, Line::new(b"Host", value)),
        _ => {
            if let Some(line) = draft.lines.iter_mut().find(|line| line.is("host")) {
                line.value = value.to_vec();
            }
        }
    }
}

fn chunk(draft: &mut Draft, random: &mut Random) {
    let Body::Chunked { chunks, end, .. } = &mut draft.body else {
        return target(draft, random);
    };
    let at = random.position(chunks.len());
    let Some(chunk) = chunks.get_mut(at) else { return };
    match random.below(14) {
        0 => chunk.size = random.pick(CHUNK_SIZES).as_bytes().to_vec(),
        1 => chunk.size.splice(0..0, *b"000").for_each(drop),
        2 => chunk.size.make_ascii_uppercase(),
        3..=5 => chunk.extension = random.pick(CHUNK_EXTENSIONS).as_bytes().to_vec(),
        6 => chunk.size_end = random.pick(LINE_ENDS).as_bytes().to_vec(),
        7 => chunk.end = random.pick(LINE_ENDS).as_bytes().to_vec(),
        8 => chunk.content.push(b'+'),
        9 => chunk.content.truncate(chunk.content.len().saturating_sub(1)),
        10 => *end = random.pick(LINE_ENDS).as_bytes().to_vec(),
        11 => chunks.truncate(chunks.len() - 1),
        _ => {
            let content = random.word(1 + at);
            chunks.insert(at, Chunk::new(&content));
        }
    }
}

/// What every server must take.
fn harmless(draft: &mut Draft, random: &mut Random) {
    match random.below(3) {
        0 => {
            let from = random.position(draft.lines.len());
            draft.lines.rotate_left(from);
        }
        1 => insert_line(draft, random, Line::new(b"X-Latin", b"caf\xe9 \x80\xff")),
        _ => insert_line(draft, random, Line::new(b"x!#$%&'*+-.^_`|~9", b"a \t b")),
    }
}

fn blindly(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.position(bytes.len());
    let until = (at + 1 + random.below(12)).min(bytes.len());
    if bytes.is_empty() {
        return;
    }
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.number().to_le_bytes()[0],
        2 => bytes[at] = loose(random),
        3 => bytes.insert(at, loose(random)),
        4 => drop(bytes.drain(at..=at)),
        5 => drop(bytes.drain(at..until)),
        6 => {
            let range = bytes[at..until].to_vec();
            bytes.splice(at..at, range).for_each(drop);
        }
        7 => {
            let other = random.position(bytes.len());
            bytes.swap(at, other);
        }
        _ => {
            let range = bytes[at..until].to_vec();
            let other = random.position(bytes.len());
            bytes.splice(other..other, range).for_each(drop);
        }
    }
}
