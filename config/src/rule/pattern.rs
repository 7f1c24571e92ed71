//! Regular expressions as Go reads them (RE2 syntax), run by the `regex` crate, which shares their
//! semantics: leftmost-first, unanchored, linear time. Owns the translation between the two
//! syntaxes and the limits of one expression; called by the parser, and by `route` to match.
//!
//! Go's `\w`, `\d`, `\s` and `\b` are ASCII; a `{` that begins no repetition stands for itself; in a
//! class `[`, `&&`, `--` and `~~` stand for themselves; `\Q…\E` quotes and `\101` is octal. What
//! `regex` reads beyond Go's (the flags `x`, `u` and `R`, `\<`, nested classes) is refused.

#[cfg(test)]
mod tests;
mod translate;

use regex::bytes::{Regex, RegexBuilder};

/// Longest text of one expression: a bound on what its classes can grow to while it is parsed.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// Largest program of one expression, and as much again for what matching it may cache. Go's
/// repetitions of at most 1,000 fit unless they are nested or of large classes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    // A clone has caches of its own: workers that hold one each share no lock.
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiles `text`, in Go's syntax.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence's end.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let translated = translate::from_go(text)?;
        let built = RegexBuilder::new(&translated)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(PROGRAM_BYTES_MAX)
            .build();
        match built {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err("its repetitions multiply to a program that is too large".to_owned())
            }
            Err(other) => {
                // The last line says why; those above it show the translated text.
                let why = other.to_string();
                let why = why.lines().last().unwrap_or_default();
                Err(why.strip_prefix("error: ").unwrap_or(why).to_owned())
            }
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it matches anywhere in `subject`. As in Go, a byte that belongs to no UTF-8 sequence
    /// is one U+FFFD; only then this allocates.
    #[must_use]
    pub fn is_match(&self, subject: &[u8]) -> bool {
        if std::str::from_utf8(subject).is_ok() {
            return self.regex.is_match(subject);
        }
        let mut text = String::with_capacity(subject.len() * 3);
        for chunk in subject.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        self.regex.is_match(text.as_bytes())
    }
}
