//! What the fuzz targets below `fuzz/` run, one function a target: any bytes, and the properties that hold for them.
//!
//! Each room tests its own readers; here the bytes are only taken apart. A target that wants parameters takes them from
//! the first bytes, so that the rest is a file as it stands. The tests replay every input that once broke something
//! (`fuzz/findings`).

use jiff::Timestamp;

use crate::{check, config, metrics, plan, show, state};

/// What a target runs.
pub type Run = fn(&[u8]);

/// Every target by its name, which is also that of its directory in `fuzz/findings`.
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
    show::fuzzing::day(&state::fuzzing::history(bytes));
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
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    fn inputs(directory: &Path) -> Vec<PathBuf> {
        let entries = directory.read_dir().unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// A finding whose target is gone would be replayed by nobody: its directory must name a target.
    #[test]
    #[expect(clippy::print_stderr, reason = "names the input where one fails")]
    fn no_finding_breaks_anything_again() {
        let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/findings");
        let mut replayed = 0;
        for directory in inputs(&findings) {
            let name = directory.file_name().expect("a name").to_string_lossy().into_owned();
            let (_, run) =
                TARGETS.iter().find(|(target, _)| *target == name).unwrap_or_else(|| panic!("target {name}"));
            for file in inputs(&directory) {
                let bytes = std::fs::read(&file).expect("readable");
                eprintln!("{}", file.display());
                run(&bytes);
                replayed += 1;
            }
        }
        assert!(replayed > 0, "no findings in {}", findings.display());
    }

    #[test]
    fn every_target_has_a_program_and_nothing_else_has() {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
        let mut found: Vec<OsString> =
            inputs(&programs).iter().map(|p| p.file_name().expect("a name").to_owned()).collect();
        found.sort();
        let expected: Vec<OsString> = TARGETS.iter().map(|(name, _)| format!("{name}.rs").into()).collect();
        assert_eq!(found, expected);
    }
}
