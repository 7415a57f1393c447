//! Holds the picture at the top of `src/lib.rs`: which room may use which, where the dangerous calls live.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What every room may use.
const LEAVES: &[&str] = &["model", "clock", "log", "redact", "mcp"];

/// What a room may use besides itself and the leaves.
fn allowed(room: &str) -> Option<&'static [&'static str]> {
    Some(match room {
        "model" => &[],
        "clock" | "log" | "redact" | "mcp" => &[],
        "exit" => &["fs"],
        "fs" | "yaml" => &[],
        "proc" | "http" | "exposition" => &["fs"],
        "trust" => &["fs"],
        "config" => &["fs", "exit", "trust"],
        "plan" => &["config", "fs", "proc", "trust", "yaml"],
        "run" => &[],
        "serve" | "unusual" => &[],
        "show" => &["unusual"],
        "check" => &["proc", "http", "fs", "exposition"],
        "doctor" => &["proc", "http", "fs", "exposition", "yaml"],
        "metrics" => &["exposition"],
        "sink" => &["exit", "config", "metrics", "http", "fs", "exposition"],
        "state" => &["fs"],
        "cli" => &["config", "unusual"],
        // Strings the rooms together.
        "commands" | "pass" | "main" | "lib" | "fuzzing" => return None,
        other => panic!("src/{other} is in no room of the picture; give it a place in tests/suite/architecture.rs"),
    })
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every source file as (room, path below `src`, text without its unit tests).
fn all_sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .filter(|path| !path.iter().any(|part| part == "tests"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("text");
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            let below = path.strip_prefix(&root).expect("below src").to_owned();
            let room = below.iter().next().expect("a room").to_string_lossy().trim_end_matches(".rs").to_owned();
            (room, below, text)
        })
        .collect()
}

/// The rooms that a text names with `crate::…`.
fn rooms_used(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .filter(|room: &String| !room.is_empty())
        .collect()
}

#[test]
fn rooms_use_only_what_the_picture_allows() {
    let mut broken = Vec::new();
    for (room, path, text) in all_sources() {
        let Some(allowed) = allowed(&room) else { continue };
        for used in rooms_used(&text) {
            if used != room && !LEAVES.contains(&used.as_str()) && !allowed.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stands_in_one_file() {
    let with_unsafe: Vec<String> = all_sources()
        .into_iter()
        .filter(|(_, _, text)| {
            text.lines().map(str::trim_start).any(|line| {
                !line.starts_with("//")
                    && (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"))
            })
        })
        .map(|(_, path, _)| path.display().to_string())
        .collect();
    assert!(with_unsafe.iter().all(|path| path == "proc/sys.rs"), "unsafe code in {with_unsafe:?}");
}

#[test]
fn processes_are_started_in_proc_and_files_replaced_in_fs() {
    let mut broken = Vec::new();
    for (room, path, text) in all_sources() {
        for (line, call) in text.lines().enumerate().flat_map(|(number, line)| {
            ["Command::new(", "fs::write(", "File::create(", "OpenOptions::new("]
                .into_iter()
                .filter(move |call| line.contains(call) && !line.trim_start().starts_with("//"))
                .map(move |call| (number + 1, call))
        }) {
            let home = if call == "Command::new(" { "proc" } else { "fs" };
            let excused = call == "OpenOptions::new(" && room == "proc";
            if room != home && !excused {
                broken.push(format!("{}:{line} calls {call}…)", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
