//! Header fields in log lines: which are kept, under which name, in which order. Values are
//! written by the caller's escaping.

use std::cmp::Ordering;

use sundew_config::model::{AccessLogFields, FieldMode};

use super::FieldLines;

/// `fields.headers`.
#[derive(Debug)]
pub(super) struct HeaderModes {
    default: FieldMode,
    names: Vec<(Vec<u8>, FieldMode)>,
    /// Most logs keep none: then no head is looked at.
    keeps_any: bool,
}

impl HeaderModes {
    pub(super) fn new(options: &AccessLogFields) -> Self {
        let names = options.headers.iter().map(|(name, mode)| (name.as_bytes().to_vec(), *mode));
        let modes = options.headers.iter().map(|(_, mode)| *mode);
        let keeps_any =
            modes.chain([options.header_default_mode]).any(|mode| mode != FieldMode::Drop);
        Self { default: options.header_default_mode, names: names.collect(), keeps_any }
    }

    fn mode(&self, name: &[u8]) -> FieldMode {
        let named = self.names.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        named.map_or(self.default, |&(_, mode)| mode)
    }

    /// Calls `write` with each part of the value of `name`; false if the head has no such field
    /// or it is dropped.
    pub(super) fn write_one(
        &self,
        lines: FieldLines<'_>,
        name: &[u8],
        write: impl FnMut(&[u8]),
    ) -> bool {
        if !self.keeps_any {
            return false;
        }
        let mode = self.mode(name);
        let values =
            lines.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        write_values(mode, values, write)
    }

    /// Collects the kept fields of a head into `order`: positions, by canonical name.
    pub(super) fn sort(&self, lines: FieldLines<'_>, order: &mut Vec<u16>) {
        order.clear();
        if !self.keeps_any {
            return;
        }
        let kept = (0..=u16::MAX).zip(lines.iter()).filter(|(_, (name, _))| {
            // Go takes these two out of the head.
            !name.eq_ignore_ascii_case(b"Host")
                && !name.eq_ignore_ascii_case(b"Transfer-Encoding")
                && self.mode(name) != FieldMode::Drop
        });
        order.extend(kept.map(|(position, _)| position));
        let name = |position: u16| name_at(lines, position);
        order.sort_unstable_by(|&one, &other| {
            compare_canonical(name(one), name(other)).then(one.cmp(&other))
        });
    }

    /// Splits the next name off `order`, as sorted by [`Self::sort`]: the name as received, and
    /// the positions of its lines.
    pub(super) fn next_group<'a, 'o>(
        lines: FieldLines<'a>,
        order: &'o [u16],
    ) -> Option<(&'a [u8], &'o [u16], &'o [u16])> {
        let name = name_at(lines, *order.first()?);
        let same = |&&position: &&u16| name_at(lines, position).eq_ignore_ascii_case(name);
        let count = order.iter().take_while(same).count();
        let (group, rest) = order.split_at_checked(count)?;
        Some((name, group, rest))
    }

    /// Calls `write` with each part of the value of a group of lines.
    pub(super) fn write_group(
        &self,
        lines: FieldLines<'_>,
        name: &[u8],
        group: &[u16],
        write: impl FnMut(&[u8]),
    ) {
        let values = group.iter().filter_map(|&position| nth(lines, position));
        write_values(self.mode(name), values.map(|(_, value)| value), write);
    }
}

/// Joins the lines of one name with `,`, as Traefik does; false without any.
fn write_values<'a>(
    mode: FieldMode,
    values: impl Iterator<Item = &'a [u8]>,
    mut write: impl FnMut(&[u8]),
) -> bool {
    if mode == FieldMode::Drop {
        return false;
    }
    let mut is_first = true;
    for value in values {
        if mode == FieldMode::Redact {
            write(b"REDACTED");
            return true;
        }
        if !is_first {
            write(b",");
        }
        write(value);
        is_first = false;
    }
    !is_first
}

fn nth<'a>(lines: FieldLines<'a>, position: u16) -> Option<(&'a [u8], &'a [u8])> {
    let span = lines.spans.get(usize::from(position))?;
    FieldLines { bytes: lines.bytes, spans: std::slice::from_ref(span) }.iter().next()
}

fn name_at(lines: FieldLines<'_>, position: u16) -> &[u8] {
    nth(lines, position).map_or(b"", |(name, _)| name)
}

/// A name as Go's `textproto.CanonicalMIMEHeaderKey`: `user-agent` → `User-Agent`.
pub(super) fn canonical(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut at_start = true;
    name.iter().map(move |&byte| {
        let canonical =
            if at_start { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        at_start = byte == b'-';
        canonical
    })
}

fn compare_canonical(one: &[u8], other: &[u8]) -> Ordering {
    canonical(one).cmp(canonical(other))
}
