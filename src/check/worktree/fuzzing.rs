//! Any bytes as what lies in a worktree.

use std::cell::Cell;

use super::declared;
use super::reports::{junit, pytest};

pub(crate) use declared::fuzzing::declared;

/// A report counts no more than it holds, and a comment behind it changes nothing.
pub(crate) fn junit(bytes: &[u8]) {
    let Some(report) = junit::parse(bytes) else { return };
    let cases = bytes.windows(8).filter(|window| window == b"testcase").count() as u64;
    assert!(
        cases == 0 || report.counts.unwrap_or_default().total() <= bytes.len() as u64 || claimed(bytes),
        "{report:?}"
    );
    let longer = [bytes, b"<!-- a comment -->"].concat();
    assert_eq!(junit::parse(&longer).as_ref(), Some(&report));
    let spaced = [bytes, b"\n"].concat();
    assert_eq!(junit::parse(&spaced), Some(report));
}

/// Whether totals are claimed, which may be any number.
fn claimed(bytes: &[u8]) -> bool {
    ["tests", "fail", "err", "skip", "disabled", "cancelled"]
        .iter()
        .any(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
}

/// No more failed tests than are named, and a bounded number looked up.
pub(crate) fn pytest(nodeids: &[u8], lastfailed: Option<&[u8]>) {
    let asked = Cell::new(0);
    let exists = |id: &str| {
        asked.set(asked.get() + 1);
        id.len().is_multiple_of(2)
    };
    if let Some(failed) = pytest::failed(nodeids, lastfailed, exists) {
        assert!(failed <= lastfailed.map_or(0, <[u8]>::len) as u64);
    }
    assert!(asked.get() <= 200, "{} looked up", asked.get());
}
