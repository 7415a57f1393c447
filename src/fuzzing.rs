//! What the fuzz targets below `fuzz/` run, one function a target: any bytes, and the properties that hold for them.
//!
//! Each room tests its own readers; here the bytes are only taken apart. A target that wants parameters takes them from
//! the first bytes, so that the rest is a file as it stands. The tests replay what the fuzzer has kept.

use jiff::Timestamp;

use crate::{check, config, daily, metrics, plan, state};

/// What a target runs.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also that of its directory in `fuzz/corpus`.
pub const TARGETS: &[(&str, Run)] = &[
    ("bridge", bridge),
    ("client_config", client_config),
    ("config", config),
    ("exposition", exposition),
    ("history", history),
    ("journal", journal),
    ("json_rpc", json_rpc),
    ("junit", junit),
    ("log", log),
    ("positions", positions),
    ("pytest", pytest),
    ("sse", sse),
    ("state", state),
    ("worktree", worktree),
];

/// The first bytes as a number, and the rest.
fn parameter(bytes: &[u8]) -> Option<(usize, &[u8])> {
    bytes.split_first_chunk::<2>().map(|(number, rest)| (usize::from(u16::from_le_bytes(*number)), rest))
}

/// The answer of an application's metrics endpoint.
pub fn bridge(bytes: &[u8]) {
    check::thunes::fuzzing::bridge(bytes);
}

/// A client's list of servers; the first byte says whose.
pub fn client_config(bytes: &[u8]) {
    if let Some((client, file)) = bytes.split_first() {
        plan::mcp::fuzzing::client_config(usize::from(*client), file);
    }
}

/// lab-probe's own configuration.
pub fn config(bytes: &[u8]) {
    config::fuzzing::config(bytes);
}

/// An exposition, as it is read, judged and written.
pub fn exposition(bytes: &[u8]) {
    metrics::fuzzing::exposition(bytes);
}

/// A day of the history, and the report of it.
pub fn history(bytes: &[u8]) {
    daily::fuzzing::day(&state::fuzzing::history(bytes));
}

/// A journal of the trading system, read in two pieces.
pub fn journal(bytes: &[u8]) {
    if let Some((cut, file)) = parameter(bytes) {
        check::thunes::fuzzing::journal(cut, file);
    }
}

/// What an MCP server writes to its standard output, in two pieces.
pub fn json_rpc(bytes: &[u8]) {
    if let Some((cut, stream)) = parameter(bytes) {
        check::mcp::fuzzing::json_rpc(cut, stream);
    }
}

/// A JUnit report.
pub fn junit(bytes: &[u8]) {
    check::worktree::fuzzing::junit(bytes);
}

/// A log of the trading system, read in two pieces.
pub fn log(bytes: &[u8]) {
    if let Some((cut, file)) = parameter(bytes) {
        check::thunes::fuzzing::log(cut, file);
    }
}

/// The pages of a positions database's table, its root first.
pub fn positions(bytes: &[u8]) {
    check::thunes::fuzzing::positions(bytes);
}

/// pytest's cache: both files, parted by a NUL byte.
pub fn pytest(bytes: &[u8]) {
    let mut files = bytes.splitn(2, |byte| *byte == 0);
    check::worktree::fuzzing::pytest(files.next().unwrap_or_default(), files.next());
}

/// An event stream, in two pieces.
pub fn sse(bytes: &[u8]) {
    if let Some((cut, stream)) = parameter(bytes) {
        check::mcp::fuzzing::sse(cut, stream);
    }
}

/// The state file: read, saved, exposed, and gone on with.
pub fn state(bytes: &[u8]) {
    let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_800_000_000);
    let Some(state) = state::fuzzing::state(bytes, now) else { return };
    metrics::fuzzing::remembered(&state.targets, now);
    check::thunes::fuzzing::remembered(&state.targets);
}

/// A `.worktree` file and an edit of it, which follows the first NUL byte.
pub fn worktree(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, value) = text.split_once('\0').unwrap_or((&text, "blocked"));
    check::worktree::fuzzing::declared(file, value);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    fn inputs(directory: &Path) -> Vec<PathBuf> {
        let entries = directory.read_dir().unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The corpus, and below `fuzz/findings` every input that once broke something.
    #[test]
    #[expect(clippy::print_stderr, reason = "names the input where one fails")]
    fn what_the_fuzzer_has_kept_breaks_nothing() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for (name, run) in TARGETS {
            let mut files = inputs(&fuzz.join("corpus").join(name));
            assert!(!files.is_empty(), "{name} has no corpus");
            let findings = fuzz.join("findings").join(name);
            if findings.is_dir() {
                files.extend(inputs(&findings));
            }
            for file in files {
                let bytes = std::fs::read(&file).expect("readable");
                eprintln!("{}", file.display());
                run(&bytes);
            }
        }
    }

    #[test]
    fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        for (part, extension) in [("corpus", ""), ("fuzz_targets", ".rs")] {
            let mut found: Vec<String> = inputs(&fuzz.join(part))
                .iter()
                .map(|p| p.file_name().expect("a name").to_string_lossy().into())
                .collect();
            found.sort();
            let expected: Vec<String> = TARGETS.iter().map(|(name, _)| format!("{name}{extension}")).collect();
            assert_eq!(found, expected, "{part}");
        }
    }
}
