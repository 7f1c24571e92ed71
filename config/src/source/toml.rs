//! TOML text → the same values and places as YAML gives.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_yaml::{Mapping, Value};
use toml_edit::{Document, Item, Key, TableLike};

use super::{Broken, Mark, NODE_COST, Node, NodeKind};

/// Values and places of `text`. Depth is bounded by the parser (80), size by the file's.
pub(super) fn parse(text: &str) -> Result<(Value, Node), Broken> {
    let lines = Lines::new(text);
    let document = Document::parse(text).map_err(|error| {
        let first = error.message().lines().next().unwrap_or_default();
        Broken::new(lines.mark(error.span().as_ref()), format!("not valid TOML: {first}"), "")
    })?;
    Ok(table(document.as_table(), Mark::default(), &lines))
}

/// Byte offsets → lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn mark(&self, span: Option<&Range<usize>>) -> Mark {
        let Some(&Range { start, .. }) = span else { return Mark::default() };
        let line = self.starts.partition_point(|it| *it <= start);
        let line_start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(line_start..start).unwrap_or_default().chars().count();
        let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Mark { line: number(line), column: number(before + 1) }
    }
}

fn table(table: &dyn TableLike, mark: Mark, lines: &Lines<'_>) -> (Value, Node) {
    let mut mapping = Mapping::new();
    let mut entries = HashMap::new();
    for (name, item) in table.iter() {
        let key_span = table.get_key_value(name).and_then(|(key, _)| Key::span(key));
        let (value, node) = item_of(item, lines);
        mapping.insert(Value::String(name.to_owned()), value);
        entries.insert(name.to_owned(), (lines.mark(key_span.as_ref()), Arc::new(node)));
    }
    let kind = NodeKind::Map { entries, merged: Vec::new() };
    (Value::Mapping(mapping), Node { mark, kind, cost: NODE_COST, depth: 0 })
}

fn item_of(item: &Item, lines: &Lines<'_>) -> (Value, Node) {
    let mark = lines.mark(item.span().as_ref());
    match item {
        Item::None => leaf(Value::Null, mark),
        Item::Table(it) => table(it, mark, lines),
        Item::ArrayOfTables(tables) => {
            list(tables.iter().map(|it| table(it, lines.mark(it.span().as_ref()), lines)), mark)
        }
        Item::Value(value) => value_of(value, lines),
    }
}

fn value_of(value: &toml_edit::Value, lines: &Lines<'_>) -> (Value, Node) {
    use toml_edit::Value as Toml;
    let mark = lines.mark(value.span().as_ref());
    match value {
        Toml::String(text) => leaf(Value::String(text.value().clone()), mark),
        Toml::Integer(number) => leaf((*number.value()).into(), mark),
        Toml::Float(number) => leaf((*number.value()).into(), mark),
        Toml::Boolean(flag) => leaf((*flag.value()).into(), mark),
        Toml::Datetime(time) => leaf(Value::String(time.value().to_string()), mark),
        Toml::Array(items) => list(items.iter().map(|it| value_of(it, lines)), mark),
        Toml::InlineTable(it) => table(it, mark, lines),
    }
}

fn leaf(value: Value, mark: Mark) -> (Value, Node) {
    (value, Node { mark, kind: NodeKind::Scalar, cost: NODE_COST, depth: 0 })
}

fn list(items: impl Iterator<Item = (Value, Node)>, mark: Mark) -> (Value, Node) {
    let (values, nodes): (Vec<_>, Vec<_>) =
        items.map(|(value, node)| (value, Arc::new(node))).unzip();
    (Value::Sequence(values), Node { mark, kind: NodeKind::List(nodes), cost: NODE_COST, depth: 0 })
}
