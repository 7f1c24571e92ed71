//! YAML text → values and places.
//!
//! Two passes: a marked one finds places, duplicate keys and alias bombs; then `serde_yaml` makes
//! the values. Only the first document of a file counts, as under Traefik.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, Span, StrInput};
use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};

use super::{Broken, DEPTH_MAX, EXPANDED_BYTES_MAX, Mark, NODE_COST, Node, NodeKind};

const MERGE_KEY: &str = "<<";

/// Values and places of the first document of `text`.
pub(super) fn parse(text: &str) -> Result<(Value, Node), Broken> {
    let root = Places::default().read(text)?;
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok((Value::Null, root));
    };
    let mut value = Value::deserialize(document).or_else(|error| {
        // A file of comments only is valid, and empty.
        if matches!(root.kind, NodeKind::Scalar) && root.mark == Mark::default() {
            return Ok(Value::Null);
        }
        let mark = error.location().map_or(Mark::default(), |at| mark_of(at.line(), at.column()));
        Err(Broken::new(mark, format!("not valid YAML: {error}"), ""))
    })?;
    merge(&mut value);
    Ok((value, root))
}

/// What to do about the mistakes that are made most.
fn fix(what: &str) -> &'static str {
    match what {
        _ if what.contains("tab") => "indent with blanks instead of tabs",
        _ if what.contains("trailing content") => "quote the whole value, or escape the quote",
        _ if what.contains("mapping values") => "quote a value that holds `: `",
        _ => "",
    }
}

fn mark_of(line: usize, column: usize) -> Mark {
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    Mark { line: number(line), column: number(column) }
}

/// Puts in place what `<<` names; keys that are written win, then the first of several sources.
/// Bounded: the marked pass has counted merged mappings as copies.
fn merge(value: &mut Value) {
    match value {
        Value::Sequence(items) => items.iter_mut().for_each(merge),
        Value::Tagged(tagged) => merge(&mut tagged.value),
        Value::Mapping(mapping) => {
            mapping.values_mut().for_each(merge);
            let sources = match mapping.remove(MERGE_KEY) {
                Some(Value::Mapping(source)) => vec![source],
                Some(Value::Sequence(items)) => items.into_iter().filter_map(into_map).collect(),
                _ => return,
            };
            for (key, value) in sources.into_iter().flatten() {
                mapping.entry(key).or_insert(value);
            }
        }
        _ => {}
    }
}

fn into_map(value: Value) -> Option<Mapping> {
    match value {
        Value::Mapping(mapping) => Some(mapping),
        _ => None,
    }
}

fn too_deep(mark: Mark) -> Broken {
    Broken::new(mark, format!("nested deeper than {DEPTH_MAX} levels"), "flatten it")
}

/// A mapping or list that is still open.
struct Open {
    mark: Mark,
    anchor: usize,
    cost: u64,
    depth: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Arc<Node>>),
    Map {
        entries: HashMap<String, (Mark, Arc<Node>)>,
        merged: Vec<Arc<Node>>,
        key: Option<(String, Mark)>,
    },
}

/// The marked pass.
#[derive(Default)]
struct Places {
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
}

impl Places {
    fn read(mut self, text: &str) -> Result<Node, Broken> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = error.marker();
                let mark = mark_of(at.line(), at.col() + 1);
                Broken::new(mark, format!("not valid YAML: {}", error.info()), fix(error.info()))
            })?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            self.take(event, span)?;
        }
        let root = self.root.take();
        self.anchors.clear();
        Ok(root.and_then(Arc::into_inner).unwrap_or(Node {
            mark: Mark::default(),
            kind: NodeKind::Scalar,
            cost: 0,
            depth: 0,
        }))
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let mark = mark_of(span.start.line(), span.start.col() + 1);
        match event {
            Event::Scalar(text, _, anchor, _) => self.take_scalar(&text, anchor, mark, &span),
            Event::Alias(anchor) => self.take_alias(anchor, mark),
            Event::SequenceStart(anchor, _) => self.start(mark, anchor, OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (entries, merged) = (HashMap::new(), Vec::new());
                self.start(mark, anchor, OpenKind::Map { entries, merged, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn take_scalar(
        &mut self,
        text: &str,
        anchor: usize,
        mark: Mark,
        span: &Span,
    ) -> Result<(), Broken> {
        let cost = NODE_COST + text.len() as u64;
        if self.take_key(text, mark)? {
            if anchor > 0 {
                let node = Node { mark, kind: NodeKind::Scalar, cost, depth: 0 };
                self.anchors.insert(anchor, Arc::new(node));
            }
            return Ok(());
        }
        // A value that is not there has no place of its own: its key's is the useful one.
        let mark = if span.is_empty() { Mark::default() } else { mark };
        self.value(anchor, Node { mark, kind: NodeKind::Scalar, cost, depth: 0 })
    }

    /// Whether the scalar was the key of an entry.
    fn take_key(&mut self, text: &str, mark: Mark) -> Result<bool, Broken> {
        let Some(Open { cost, kind: OpenKind::Map { entries, key, .. }, .. }) =
            self.open.last_mut()
        else {
            return Ok(false);
        };
        if key.is_some() {
            return Ok(false);
        }
        if let Some((first, _)) = entries.get(text) {
            return Err(Broken::new(
                mark,
                format!("the key `{text}` is already written at line {}", first.line),
                "remove one of the two",
            ));
        }
        *cost = cost.saturating_add(NODE_COST + text.len() as u64);
        *key = Some((text.to_owned(), mark));
        Ok(true)
    }

    fn take_alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Broken> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Broken::new(
                mark,
                "the alias stands inside its own anchor",
                "move the anchor above the alias",
            ));
        };
        self.attach(node, mark)
    }

    fn start(&mut self, mark: Mark, anchor: usize, kind: OpenKind) -> Result<(), Broken> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(mark));
        }
        let in_key_place = |it: &Open| matches!(&it.kind, OpenKind::Map { key: None, .. });
        if self.open.last().is_some_and(in_key_place) {
            return Err(Broken::new(mark, "a key must be plain text", ""));
        }
        self.open.push(Open { mark, anchor, cost: NODE_COST, depth: 0, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(Open { mark, anchor, cost, depth, kind }) = self.open.pop() else { return Ok(()) };
        let kind = match kind {
            OpenKind::List(items) => NodeKind::List(items),
            OpenKind::Map { entries, merged, .. } => NodeKind::Map { entries, merged },
        };
        self.value(anchor, Node { mark, kind, cost, depth })
    }

    fn value(&mut self, anchor: usize, node: Node) -> Result<(), Broken> {
        let mark = node.mark;
        let node = Arc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        self.attach(node, mark)
    }

    /// Hangs a finished value below what is open.
    fn attach(&mut self, node: Arc<Node>, mark: Mark) -> Result<(), Broken> {
        let levels = self.open.len() + node.depth;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        // Also what aliases nest: a chain of them would be a stack overflow later.
        if levels > DEPTH_MAX {
            return Err(too_deep(mark));
        }
        parent.depth = parent.depth.max(node.depth + 1);
        parent.cost = parent.cost.saturating_add(node.cost);
        if parent.cost > EXPANDED_BYTES_MAX {
            return Err(Broken::new(
                mark,
                format!("more than {} MiB once aliases are followed", EXPANDED_BYTES_MAX >> 20),
                "use fewer values, or fewer aliases of aliases",
            ));
        }
        match &mut parent.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, merged, key } => match key.take() {
                Some((name, _)) if name == MERGE_KEY => {
                    let sources = match &node.kind {
                        NodeKind::List(items) => items.clone(),
                        _ => vec![node],
                    };
                    let is_map = |it: &Arc<Node>| matches!(it.kind, NodeKind::Map { .. });
                    if !sources.iter().all(is_map) {
                        return Err(Broken::new(mark, "`<<` needs a mapping to merge", ""));
                    }
                    merged.extend(sources);
                }
                Some((name, key_mark)) => {
                    entries.insert(name, (key_mark, node));
                }
                None => return Err(Broken::new(mark, "a key must be plain text", "")),
            },
        }
        Ok(())
    }
}
