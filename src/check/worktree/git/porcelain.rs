//! `git status --porcelain=v2 --branch -z`, read into what is counted (git-status(1), "Porcelain Format Version 2").

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Notes to lab-probe: no change of the worktree.
pub(super) const DECLARATION: &[u8] = b".worktree";

/// A changed tracked path whose worktree content is not what the index holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edited {
    /// Relative to the worktree.
    pub(super) path: Vec<u8>,
    /// Gone from the worktree.
    pub(super) deleted: bool,
    /// Mode in the worktree, as git writes it (`100644`).
    pub(super) mode: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Porcelain {
    /// `None` on a branch without commits.
    pub(super) head: Option<String>,
    /// `None` with a detached HEAD.
    pub(super) branch: Option<String>,
    /// The upstream's short name.
    pub(super) upstream: Option<String>,
    /// Tracked paths that differ from HEAD, submodules included.
    pub(super) changed: BTreeSet<Vec<u8>>,
    /// Those of them that are submodules.
    pub(super) submodules: Vec<Vec<u8>>,
    /// Untracked paths; a directory ends in `/`.
    pub(super) untracked: Vec<Vec<u8>>,
    /// Paths in conflict.
    pub(super) conflicted: u64,
    /// Tracked paths whose content in the worktree differs from the index.
    pub(super) edited: Vec<Edited>,
    /// Tracked paths in which HEAD and the index differ.
    pub(super) staged: Vec<Vec<u8>>,
    /// Staged additions and deletions with their object ids, for finding renames.
    added: Vec<(Vec<u8>, Vec<u8>)>,
    deleted: Vec<(Vec<u8>, Vec<u8>)>,
    /// Renames that git itself reported.
    renamed: u64,
}

impl Porcelain {
    /// The answer of a worktree in which nothing has changed.
    pub(super) fn clean(head: Option<String>, branch: Option<String>, upstream: Option<String>) -> Porcelain {
        Porcelain { head, branch, upstream, ..Porcelain::default() }
    }

    /// Reads git's answer; `None` if it is in no known format.
    pub(super) fn parse(answer: &[u8]) -> Option<Porcelain> {
        let mut porcelain = Porcelain::default();
        let mut lines = answer.split(|&b| b == 0);
        while let Some(line) = lines.next() {
            match line {
                b"" => {}
                [b'#', b' ', header @ ..] => porcelain.take_header(header),
                [b'1', b' ', rest @ ..] => porcelain.take_ordinary(rest)?,
                [b'2', b' ', rest @ ..] => {
                    let fields = fields::<9>(rest)?;
                    porcelain.changed.insert(fields[8].to_owned());
                    porcelain.staged.push(fields[8].to_owned());
                    porcelain.renamed += 1;
                    porcelain.take_edit(fields[0], fields[4], fields[8]);
                    // The path it came from stands in a field of its own.
                    lines.next()?;
                }
                [b'u', b' ', ..] => porcelain.conflicted += 1,
                [b'?', b' ', path @ ..] => porcelain.untracked.push(path.to_owned()),
                [b'!', b' ', ..] => {}
                _ => return None,
            }
        }
        Some(porcelain)
    }

    fn take_header(&mut self, header: &[u8]) {
        let text = String::from_utf8_lossy(header);
        match text.split_once(' ') {
            Some(("branch.oid", oid)) if oid != "(initial)" => self.head = Some(oid.to_owned()),
            Some(("branch.head", name)) if name != "(detached)" => self.branch = Some(name.to_owned()),
            Some(("branch.upstream", name)) => self.upstream = Some(name.to_owned()),
            _ => {}
        }
    }

    /// `<XY> <sub> <mH> <mI> <mW> <hH> <hI> <path>`.
    fn take_ordinary(&mut self, rest: &[u8]) -> Option<()> {
        let [xy, submodule, _, _, worktree_mode, head_oid, index_oid, path] = fields::<8>(rest)?;
        self.changed.insert(path.to_owned());
        if submodule.starts_with(b"S") {
            self.submodules.push(path.to_owned());
        }
        if xy.first()? != &b'.' {
            self.staged.push(path.to_owned());
        }
        match xy.first()? {
            b'A' => self.added.push((path.to_owned(), index_oid.to_owned())),
            b'D' => self.deleted.push((path.to_owned(), head_oid.to_owned())),
            _ => {}
        }
        self.take_edit(xy, worktree_mode, path);
        Some(())
    }

    fn take_edit(&mut self, xy: &[u8], worktree_mode: &[u8], path: &[u8]) {
        if matches!(xy.get(1), Some(b'M' | b'D' | b'T' | b'A')) {
            let deleted = xy.get(1) == Some(&b'D');
            self.edited.push(Edited { path: path.to_owned(), deleted, mode: worktree_mode.to_owned() });
        }
    }

    /// Adds a tracked file that is known to have changed in the worktree, and only there: nothing of it is staged.
    pub(super) fn add(&mut self, path: Vec<u8>, deleted: bool, mode: u32) {
        if path != DECLARATION {
            self.changed.insert(path.clone());
        }
        let mode = if deleted { 0 } else { mode };
        self.edited.push(Edited { path, deleted, mode: format!("{mode:06o}").into_bytes() });
    }

    /// Takes out what is no change of this worktree: its `.worktree` file and worktrees nested in it (relative paths).
    pub(super) fn forget(&mut self, nested: &[&Path]) {
        use std::os::unix::ffi::OsStrExt;
        self.changed.remove(DECLARATION);
        // A file that became `.worktree`, or came from it, is a change by itself and no half of a rename.
        self.added.retain(|(path, _)| path != DECLARATION);
        self.deleted.retain(|(path, _)| path != DECLARATION);
        self.untracked.retain(|path| {
            let bare = path.strip_suffix(b"/").unwrap_or(path);
            path != DECLARATION && !nested.iter().any(|nested| nested.as_os_str().as_bytes() == bare)
        });
    }

    /// Tracked paths that count as changed; a rename is one. Renames without an edit show as a deletion and an addition
    /// of one object id, which costs nothing to see.
    pub(super) fn changed_count(&self) -> u64 {
        self.changed.len() as u64 - self.exact_renames()
    }

    /// Whether there are additions and deletions left over that git's own rename detection might pair.
    pub(super) fn may_hold_further_renames(&self) -> bool {
        let exact = self.exact_renames();
        self.renamed == 0 && self.added.len() as u64 > exact && self.deleted.len() as u64 > exact
    }

    fn exact_renames(&self) -> u64 {
        let mut gone: HashMap<&[u8], u64> = HashMap::new();
        for (_, oid) in &self.deleted {
            *gone.entry(oid).or_default() += 1;
        }
        let mut renames = 0;
        for (_, oid) in &self.added {
            if let Some(left) = gone.get_mut(oid.as_slice()).filter(|left| **left > 0) {
                *left -= 1;
                renames += 1;
            }
        }
        renames
    }
}

/// Splits at the first `N - 1` blanks; the last field keeps its own.
fn fields<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut parts = line.splitn(N, |&b| b == b' ');
    let mut out = [b"".as_slice(); N];
    for field in &mut out {
        *field = parts.next()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn parsed(lines: &[String]) -> Porcelain {
        Porcelain::parse((lines.join("\0") + "\0").as_bytes()).expect("parsed")
    }

    #[test]
    fn every_kind_of_line_is_counted_once() {
        let mut porcelain = parsed(&[
            format!("# branch.oid {OLD}"),
            "# branch.head topic".into(),
            "# branch.upstream origin/topic".into(),
            "# branch.ab +? -?".into(),
            format!("1 .M N... 100644 100644 100755 {OLD} {OLD} with blanks"),
            format!("1 .D N... 100644 100644 000000 {OLD} {OLD} gone"),
            format!("1 D. N... 100644 000000 000000 {OLD} 0 old name"),
            format!("1 A. N... 000000 100644 100644 0 {OLD} new name"),
            format!("u UU N... 100644 100644 100644 100644 {OLD} {OLD} {NEW} both"),
            "? new/".into(),
            "? .worktree".into(),
            "? trees/a/".into(),
        ]);
        porcelain.forget(&[Path::new("trees/a")]);
        assert_eq!(porcelain.head.as_deref(), Some(OLD));
        assert_eq!(porcelain.branch.as_deref(), Some("topic"));
        assert_eq!(porcelain.upstream.as_deref(), Some("origin/topic"));
        assert_eq!(porcelain.changed_count(), 3, "edited, deleted, renamed");
        assert_eq!(porcelain.untracked, [b"new/".to_vec()]);
        assert_eq!(porcelain.staged, [b"old name".to_vec(), b"new name".to_vec()]);
        assert_eq!(porcelain.conflicted, 1);
        assert!(!porcelain.may_hold_further_renames());
        let edited: Vec<_> = porcelain.edited.iter().map(|e| (e.path.as_slice(), e.deleted)).collect();
        assert_eq!(edited, [(b"with blanks".as_slice(), false), (b"gone".as_slice(), true)]);
    }

    #[test]
    fn a_renamed_and_edited_file_is_left_to_git() {
        let porcelain = parsed(&[
            format!("1 D. N... 100644 000000 000000 {OLD} 0 a"),
            format!("1 A. N... 000000 100644 100644 0 {NEW} b"),
        ]);
        assert!(porcelain.may_hold_further_renames());
        let porcelain = parsed(&[format!("2 R. N... 100644 100644 100644 {OLD} {NEW} R90 b"), "a".into()]);
        assert_eq!(porcelain.changed_count(), 1);
    }

    #[test]
    fn a_file_renamed_from_the_declaration_is_a_change() {
        let mut porcelain = parsed(&[
            format!("1 D. N... 100644 000000 000000 {OLD} 0 .worktree"),
            format!("1 A. N... 000000 100644 100644 0 {OLD} notes"),
        ]);
        porcelain.forget(&[]);
        assert_eq!(porcelain.changed_count(), 1);
        assert!(!porcelain.may_hold_further_renames());
    }

    #[test]
    fn an_unknown_line_is_no_answer() {
        assert_eq!(Porcelain::parse(b"3 what\0"), None);
        assert_eq!(Porcelain::parse(b"1 .M too few\0"), None);
    }

    #[test]
    fn a_branch_without_commits_has_no_head() {
        let porcelain = parsed(&["# branch.oid (initial)".into(), "# branch.head main".into()]);
        assert_eq!((porcelain.head, porcelain.branch.as_deref()), (None, Some("main")));
    }
}
