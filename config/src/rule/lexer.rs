//! Text of a rule → tokens with their columns.

use super::RuleError;

/// A token and the column (in characters, from 1) of its first character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Open,
    Close,
    Comma,
    And,
    Or,
    Not,
}

/// Characters still to be read, and where they are.
struct Cursor<'r> {
    rest: std::iter::Peekable<std::str::Chars<'r>>,
    column: usize,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.column += usize::from(next.is_some());
        next
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_there = self.rest.peek() == Some(&wanted);
        if is_there {
            self.next();
        }
        is_there
    }
}

/// Every token of `rule`.
pub(super) fn tokens(rule: &str) -> Result<Vec<Spanned>, RuleError> {
    let mut cursor = Cursor { rest: rule.chars().peekable(), column: 0 };
    let mut tokens = Vec::new();
    while let Some(first) = cursor.next() {
        let column = cursor.column;
        let token = match first {
            ' ' | '\t' | '\r' | '\n' => continue,
            '/' => {
                comment(&mut cursor, column)?;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '!' => Token::Not,
            '&' if cursor.takes('&') => Token::And,
            '|' if cursor.takes('|') => Token::Or,
            '&' | '|' => {
                let message = format!("a single `{first}`");
                return Err(RuleError::new(column, message, format!("write `{first}{first}`")));
            }
            '`' => Token::Text(raw_text(&mut cursor, column)?),
            '"' => Token::Text(quoted_text(&mut cursor, column)?),
            '\'' => {
                return Err(RuleError::new(
                    column,
                    "single quotes",
                    "put the text in backquotes or double quotes",
                ));
            }
            _ if first.is_alphabetic() || first == '_' => Token::Name(name(first, &mut cursor)),
            _ => {
                let message = format!("unexpected character `{}`", first.escape_debug());
                return Err(RuleError::new(column, message, ""));
            }
        };
        tokens.push(Spanned { token, column });
    }
    Ok(tokens)
}

fn name(first: char, cursor: &mut Cursor<'_>) -> String {
    let mut name = String::from(first);
    while let Some(next) = cursor.rest.peek().copied() {
        if !next.is_alphanumeric() && next != '_' {
            break;
        }
        name.push(next);
        cursor.next();
    }
    name
}

fn raw_text(cursor: &mut Cursor<'_>, start: usize) -> Result<String, RuleError> {
    let mut text = String::new();
    loop {
        match cursor.next() {
            Some('`') => return Ok(text),
            // As in Go's raw strings.
            Some('\r') => {}
            Some(other) => text.push(other),
            None => return Err(RuleError::new(start, "a backquote that is never closed", "")),
        }
    }
}

/// Go's interpreted string literal.
fn quoted_text(cursor: &mut Cursor<'_>, start: usize) -> Result<String, RuleError> {
    let mut text = String::new();
    loop {
        match cursor.next() {
            Some('"') => return Ok(text),
            Some('\\') => text.push(escape(cursor)?),
            None | Some('\n') => {
                return Err(RuleError::new(start, "a double quote that is never closed", ""));
            }
            Some(other) => text.push(other),
        }
    }
}

fn escape(cursor: &mut Cursor<'_>) -> Result<char, RuleError> {
    let column = cursor.column;
    let (radix, digits, mut code) = match cursor.next() {
        Some('a') => return Ok('\u{7}'),
        Some('b') => return Ok('\u{8}'),
        Some('f') => return Ok('\u{c}'),
        Some('n') => return Ok('\n'),
        Some('r') => return Ok('\r'),
        Some('t') => return Ok('\t'),
        Some('v') => return Ok('\u{b}'),
        Some(same @ ('\\' | '"')) => return Ok(same),
        Some('x') => (16, 2, 0),
        Some('u') => (16, 4, 0),
        Some('U') => (16, 8, 0),
        Some(first @ '0'..='7') => (8, 2, first.to_digit(8).unwrap_or_default()),
        _ => {
            let help = "write `\\\\` for a backslash, or use backquotes";
            return Err(RuleError::new(column, "unknown escape in a double-quoted text", help));
        }
    };
    for _ in 0..digits {
        let Some(digit) = cursor.next().and_then(|it| it.to_digit(radix)) else {
            return Err(RuleError::new(column, "an escape with too few digits", ""));
        };
        code = code.wrapping_mul(radix).wrapping_add(digit);
    }
    // In Go these stand for a byte, which alone is not text.
    if digits == 2 && code > 0x7f {
        let help = "write the character itself";
        return Err(RuleError::new(column, "an escape beyond ASCII", help));
    }
    char::from_u32(code)
        .ok_or_else(|| RuleError::new(column, "an escape that is not a character", ""))
}

/// Go's comments; the first slash is read.
fn comment(cursor: &mut Cursor<'_>, start: usize) -> Result<(), RuleError> {
    match cursor.next() {
        Some('/') => {
            while cursor.next().is_some_and(|it| it != '\n') {}
            return Ok(());
        }
        Some('*') => {}
        _ => return Err(RuleError::new(start, "unexpected character `/`", "")),
    }
    let mut is_star = false;
    while let Some(next) = cursor.next() {
        if is_star && next == '/' {
            return Ok(());
        }
        is_star = next == '*';
    }
    Err(RuleError::new(start, "a comment that is never closed", ""))
}
