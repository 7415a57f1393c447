//! Whether tracked files may have come or gone in directories, where the index of before is not known any more.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Git;
use super::content::Tracked;
use crate::fs::stamp::Stamp;

/// The clock that file times are taken from goes in steps of up to 10 ms, and a file gets its own before its directory.
const STEP_NS: i128 = 20_000_000;

/// Whether a directory with tracked files has got other names since, and nothing untracked in it explains that.
pub(crate) fn changed_since(git: &Git, tracked: &Tracked, since_ns: i128) -> bool {
    let mut directories: HashSet<&[u8]> = HashSet::from([b"".as_slice()]);
    for entry in tracked.entries() {
        let mut path = entry.path;
        while let Some(at) = path.iter().rposition(|&b| b == b'/') {
            path = &path[..at];
            if !directories.insert(path) {
                break;
            }
        }
    }
    directories.iter().any(|directory| {
        let path = git.file(directory);
        let changed = Stamp::of(&path).map_or(0, |stamp| stamp.mtime_ns);
        changed > since_ns && !has_newcomer(&git.work_tree, &path, (since_ns, changed), &directories)
    })
}

/// Whether something has come into the directory after the first time and not before the second: tracked files are known
/// to be older, and tracked directories and git's own change with what is in them.
fn has_newcomer(work_tree: &Path, directory: &Path, times_ns: (i128, i128), tracked: &HashSet<&[u8]>) -> bool {
    let (after, until) = times_ns;
    let is_new = |changed: i128| changed > after && changed + STEP_NS >= until;
    directory.read_dir().into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        let below = path.strip_prefix(work_tree).unwrap_or(&path).as_os_str().as_bytes();
        entry.file_name() != ".git"
            && !tracked.contains(below)
            && entry.metadata().is_ok_and(|metadata| is_new(Stamp::from(metadata).ctime_ns))
    })
}
