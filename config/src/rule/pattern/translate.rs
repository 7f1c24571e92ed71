//! Go's regular expression syntax → that of the `regex` crate. Checks what only the translation can
//! see (repetitions, escapes, flags, classes); the rest is left to `regex`. Called by `pattern`.

use std::iter::Peekable;
use std::str::Chars;

/// Go's bound on a repetition's counts.
const REPEAT_MAX: u32 = 1000;

/// Names that Go knows between `[:` and `:]`.
const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The same expression in the syntax of `regex`.
pub(super) fn from_go(pattern: &str) -> Result<String, String> {
    let mut reader = Translation {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() * 2),
        last: Last::Nothing,
    };
    while let Some(next) = reader.rest.next() {
        reader.piece(next)?;
    }
    Ok(reader.out)
}

/// What a repetition would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Piece,
    Repetition,
}

struct Translation<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    last: Last,
}

impl Translation<'_> {
    fn piece(&mut self, next: char) -> Result<(), String> {
        match next {
            '*' | '+' | '?' => {
                self.repeats(&String::from(next))?;
                self.out.push(next);
                return self.lazy();
            }
            '{' => {
                if let Some(counts) = self.counts()? {
                    self.repeats(&counts)?;
                    self.out.push_str(&counts);
                    return self.lazy();
                }
                self.out.push_str("\\{");
            }
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => return self.open(),
            '|' => {
                self.out.push('|');
                self.last = Last::Nothing;
                return Ok(());
            }
            ')' | '^' | '$' | '.' => self.out.push(next),
            literal => self.literal(literal),
        }
        self.last = Last::Piece;
        Ok(())
    }

    fn literal(&mut self, literal: char) {
        self.out.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn repeats(&self, operator: &str) -> Result<(), String> {
        match self.last {
            Last::Piece => Ok(()),
            Last::Nothing => Err(format!("`{operator}` has nothing to repeat")),
            Last::Repetition => Err(format!("`{operator}` repeats a repetition")),
        }
    }

    fn lazy(&mut self) -> Result<(), String> {
        if self.takes('?') {
            self.out.push('?');
        }
        self.last = Last::Repetition;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`, its `{` read; anything else is left where it is.
    fn counts(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        let Some(least) = number(&mut ahead) else { return Ok(None) };
        let mut most = Some(least);
        if ahead.next_if_eq(&',').is_some() {
            most = if ahead.peek() == Some(&'}') {
                None
            } else {
                let Some(most) = number(&mut ahead) else { return Ok(None) };
                Some(most)
            };
        }
        if ahead.next() != Some('}') {
            return Ok(None);
        }
        self.rest = ahead;
        if least > REPEAT_MAX || most.is_some_and(|it| it > REPEAT_MAX) {
            return Err(format!("it repeats more than {REPEAT_MAX} times"));
        }
        Ok(Some(match most {
            Some(most) if most == least => format!("{{{least}}}"),
            Some(most) if most < least => {
                return Err("a repetition's counts are swapped".to_owned());
            }
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        }))
    }

    /// `(`, read, with what says which kind of group it is.
    fn open(&mut self) -> Result<(), String> {
        self.out.push('(');
        self.last = Last::Nothing;
        if !self.takes('?') {
            return Ok(());
        }
        let is_named = self.takes('P') || self.rest.peek() == Some(&'<');
        if is_named {
            let name: String = if self.takes('<') {
                self.rest.by_ref().take_while(|it| *it != '>').collect()
            } else {
                String::new()
            };
            if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_') {
                return Err("Go has no such group: `(?<` needs a name and `>`".to_owned());
            }
            self.out.push_str("?P<");
            self.out.push_str(&name);
            self.out.push('>');
            return Ok(());
        }
        self.out.push('?');
        for flag in self.rest.by_ref() {
            match flag {
                'i' | 'm' | 's' | 'U' | '-' => self.out.push(flag),
                ':' | ')' => {
                    self.out.push(flag);
                    return Ok(());
                }
                other => return Err(format!("Go has no group `(?{}`", other.escape_debug())),
            }
        }
        Err("a group is never closed".to_owned())
    }

    /// An escape outside a class, its backslash read.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek().copied() {
            Some('Q') => {
                self.rest.next();
                while let Some(next) = self.rest.next() {
                    if next == '\\' && self.takes('E') {
                        break;
                    }
                    self.literal(next);
                }
            }
            Some(edge @ ('A' | 'z')) => {
                self.out.push('\\');
                self.out.push(edge);
                self.rest.next();
            }
            Some('b') => {
                self.rest.next();
                self.out.push_str("(?-u:\\b)");
            }
            Some('B') => {
                self.rest.next();
                self.out.push_str("(?-u:\\B)");
            }
            _ if self.class_escape()? => {}
            _ => self.character_escape()?,
        }
        Ok(())
    }

    /// `\d` and its kind, the backslash read; false when it is none.
    fn class_escape(&mut self) -> Result<bool, String> {
        let class = match self.rest.peek() {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('s') => "[\\t\\n\\f\\r ]",
            Some('S') => "[^\\t\\n\\f\\r ]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some(kind @ ('p' | 'P')) => {
                let is_negated = *kind == 'P';
                self.rest.next();
                self.unicode_class(is_negated)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.rest.next();
        self.out.push_str(class);
        Ok(true)
    }

    fn unicode_class(&mut self, mut is_negated: bool) -> Result<(), String> {
        let name = if self.takes('{') {
            is_negated ^= self.takes('^');
            self.rest.by_ref().take_while(|it| *it != '}').collect()
        } else {
            self.rest.next().map(String::from).unwrap_or_default()
        };
        if name.is_empty() || !name.chars().all(|it| it.is_ascii_alphabetic() || it == '_') {
            return Err(format!("`\\p` needs the name of a class, not `{name}`"));
        }
        self.out.push_str(if is_negated { "\\P{" } else { "\\p{" });
        self.out.push_str(&name);
        self.out.push('}');
        Ok(())
    }

    /// An escape that stands for one character, the backslash read.
    fn character_escape(&mut self) -> Result<(), String> {
        let character = match self.rest.next() {
            Some('a') => '\u{7}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some('x') => self.hexadecimal()?,
            Some(first @ '0'..='7') => self.octal(first)?,
            Some(mark) if mark.is_ascii_punctuation() || mark == ' ' => mark,
            Some(other) => return Err(format!("unknown escape `\\{}`", other.escape_debug())),
            None => return Err("it ends in a backslash".to_owned()),
        };
        self.literal(character);
        Ok(())
    }

    /// One to three digits; a single one other than 0 would refer back, which RE2 cannot.
    fn octal(&mut self, first: char) -> Result<char, String> {
        let mut code = first.to_digit(8).unwrap_or_default();
        let mut digits = 1;
        while digits < 3
            && let Some(digit) = self.rest.peek().and_then(|it| it.to_digit(8))
        {
            self.rest.next();
            code = code * 8 + digit;
            digits += 1;
        }
        if digits == 1 && first != '0' {
            return Err(format!("`\\{first}` refers back to a group, which RE2 cannot"));
        }
        char::from_u32(code).ok_or_else(|| "an escape that is no character".to_owned())
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits: String = if self.takes('{') {
            self.rest.by_ref().take_while(|it| *it != '}').collect()
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let is_hex = !digits.is_empty() && digits.chars().all(|it| it.is_ascii_hexdigit());
        let code = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten();
        code.and_then(char::from_u32)
            .ok_or_else(|| "`\\x` needs the code of a character".to_owned())
    }

    /// A class, its `[` read.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.takes('^') {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(next) = self.rest.next() else {
                return Err("a class `[` is never closed".to_owned());
            };
            match next {
                ']' if !is_first => break,
                '[' if self.rest.peek() == Some(&':') && self.posix_class()? => {}
                '\\' if self.class_escape()? => {}
                _ => self.range(next)?,
            }
            is_first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// A character of a class, `first` read, and what follows its `-`.
    fn range(&mut self, first: char) -> Result<(), String> {
        self.class_character(first)?;
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-')
            && let Some(last) = ahead.next().filter(|it| *it != ']')
        {
            self.rest = ahead;
            self.out.push('-');
            self.class_character(last)?;
        }
        Ok(())
    }

    fn class_character(&mut self, first: char) -> Result<(), String> {
        if first == '\\' {
            return self.character_escape();
        }
        self.literal(first);
        Ok(())
    }

    /// `[:name:]`, its `[` read; false when no `:]` follows, and nothing is read.
    fn posix_class(&mut self) -> Result<bool, String> {
        let rest: String = self.rest.clone().skip(1).collect();
        let Some((name, _)) = rest.split_once(":]") else { return Ok(false) };
        let bare = name.strip_prefix('^').unwrap_or(name);
        if !POSIX_CLASSES.contains(&bare) {
            return Err(format!("there is no class `[:{bare}:]`"));
        }
        self.out.push_str("[:");
        self.out.push_str(name);
        self.out.push_str(":]");
        // The two colons, the name and the bracket.
        for _ in 0..name.chars().count() + 3 {
            self.rest.next();
        }
        Ok(true)
    }
}

/// Decimal digits without a leading zero, as Go wants them.
fn number(ahead: &mut Peekable<Chars<'_>>) -> Option<u32> {
    let mut digits = String::new();
    while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    // More digits than fit are too many repetitions either way.
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}
