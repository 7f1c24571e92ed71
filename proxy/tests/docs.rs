//! The documentation is true: every file that it shows is one that `sundew check` accepts, every
//! peer's file one that the peer accepts (where it is installed), and every link leads somewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, iter};

/// Blocks of nginx's and HAProxy's files that the pages hold: fewer, and the test looks at nothing.
const PEERS: [&str; 2] = ["nginx", "haproxy"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// README and every page, with their text.
fn pages() -> BTreeMap<PathBuf, String> {
    let folder = fs::read_dir(root().join("docs")).expect("a folder").flatten();
    let pages = folder.map(|it| it.path()).filter(|it| it.extension().is_some_and(|it| it == "md"));
    let pages = pages.chain(iter::once(root().join("README.md")));
    pages.map(|it| (it.clone(), fs::read_to_string(it).expect("a page"))).collect()
}

/// A fenced block: the words behind its fence, its line, its text.
struct Block {
    info: String,
    place: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    for (page, text) in pages() {
        let name = page.strip_prefix(root()).expect("below").display().to_string();
        let mut open: Option<Block> = None;
        for (line, number) in text.lines().zip(1..) {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => found.extend(open.take()),
                (Some(info), None) => {
                    let place = format!("{name}:{number}");
                    open = Some(Block { info: info.to_owned(), place, text: String::new() });
                }
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block does not end");
    }
    found
}

/// Whether the block is a whole file: its first key stands at the top of one.
fn is_whole(text: &str) -> bool {
    let schema = sundew_config::schema::static_file();
    let first = text.lines().find(|it| !it.starts_with('#') && !it.is_empty()).unwrap_or("");
    let key = first.split([':', '.']).next().unwrap_or("").trim_start_matches('[');
    schema["properties"].get(key).is_some()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn every_whole_file_of_the_pages_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = 0;
    for block in blocks() {
        let kind = block.info.as_str();
        if !matches!(kind, "yaml" | "toml") || !is_whole(&block.text) {
            continue;
        }
        let file = folder.path().join(format!("f.{kind}"));
        fs::write(&file, &block.text).expect("written");
        let check = ["check", "--fail-on", "warning"];
        let output = Command::new(env!("CARGO_BIN_EXE_sundew")).args(check).arg(&file).output();
        let output = output.expect("sundew runs");
        assert!(output.status.success(), "{}: {}", block.place, said(&output));
        seen += 1;
    }
    assert!(seen >= 5, "{seen} files");
}

#[test]
fn every_peer_s_file_is_accepted_by_the_peer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    for peer in PEERS {
        let mine: Vec<Block> = blocks().into_iter().filter(|it| it.info == peer).collect();
        assert!(!mine.is_empty(), "no file of {peer} is left in the pages");
        for block in mine {
            let file = folder.path().join("peer.conf");
            fs::write(&file, &block.text).expect("written");
            let mut command = Command::new(peer);
            command.env("PATH", &path).current_dir(folder.path());
            match peer {
                "nginx" => command
                    .args(["-t", "-p", ".", "-e", "stderr", "-c", "peer.conf"])
                    .args(["-g", "pid nginx.pid; daemon off;"]),
                _ => command.args(["-c", "-f", "peer.conf"]),
            };
            match command.output() {
                Ok(output) => {
                    assert!(output.status.success(), "{}: {}", block.place, said(&output));
                }
                Err(_) => println!("skipped: {peer} is not installed"),
            }
        }
    }
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let pages = pages();
    for (page, text) in &pages {
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or("");
            if target.contains("://") || target.is_empty() {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(file.exists(), "{}: {target}", page.display());
            let file = file.canonicalize().expect("it exists");
            let Some(text) = pages.get(&file).filter(|_| !anchor.is_empty()) else { continue };
            let heading = |line: &str| {
                let words = line.trim_start_matches('#').trim().to_lowercase();
                words.replace(' ', "-").replace(['`', '.', ',', '?', ':', '/'], "")
            };
            let mut headings = text.lines().filter(|it| it.starts_with('#')).map(heading);
            assert!(headings.any(|it| it == anchor), "{}: {target}", page.display());
        }
    }
}
