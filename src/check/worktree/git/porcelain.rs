//! `git status --porcelain=v2 --branch -z`, read into what is counted (git-status(1), "Porcelain Format Version 2").

use crate::check::worktree::declared::FILE_NAME;

/// Notes to lab-probe: no change of the worktree.
pub(super) const DECLARATION: &[u8] = FILE_NAME.as_bytes();

/// A tracked path that differs from HEAD, in the index or in the worktree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Relative to the worktree; of a rename, where it went to.
    pub(crate) path: Vec<u8>,
    pub(crate) staged: bool,
    pub(crate) modified: bool,
    pub(crate) deleted: bool,
    pub(crate) submodule: bool,
    /// Mode in the worktree, as git writes it (`100644`).
    pub(crate) mode: Vec<u8>,
    pub(crate) index_mode: Vec<u8>,
    /// Object id in the index, in hexadecimal.
    pub(crate) index_oid: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Porcelain {
    /// `None` on a branch without commits.
    pub(crate) head: Option<String>,
    /// `None` with a detached HEAD.
    pub(crate) branch: Option<String>,
    /// The upstream's short name, whether it exists or not.
    pub(crate) upstream: Option<String>,
    /// Commits ahead of the upstream and behind it; `None` if it does not exist.
    pub(crate) ahead_behind: Option<(u64, u64)>,
    /// Tracked paths that differ from HEAD, submodules included; a rename is one.
    pub(crate) changes: Vec<Change>,
    /// Untracked paths; a directory ends in `/`.
    pub(crate) untracked: Vec<Vec<u8>>,
    pub(crate) conflicted: u64,
}

impl Porcelain {
    /// Reads git's answer; `None` if it is in no known format.
    pub(super) fn parse(answer: &[u8]) -> Option<Porcelain> {
        let mut porcelain = Porcelain::default();
        let mut lines = answer.split(|&b| b == 0);
        while let Some(line) = lines.next() {
            match line {
                b"" => {}
                [b'#', b' ', header @ ..] => porcelain.take_header(header),
                [b'1', b' ', rest @ ..] => {
                    let [xy, submodule, _, index_mode, mode, _, oid, path] = fields::<8>(rest)?;
                    porcelain.changes.push(Change::new(xy, submodule, [index_mode, mode], oid, path)?);
                }
                [b'2', b' ', rest @ ..] => {
                    let [xy, submodule, _, index_mode, mode, _, oid, _, path] = fields::<9>(rest)?;
                    let mut change = Change::new(xy, submodule, [index_mode, mode], oid, path)?;
                    // The path it came from stands in a field of its own.
                    let from = lines.next()?.to_owned();
                    // What became the declaration is gone from where it was.
                    if change.path == DECLARATION {
                        change = Change { path: from, staged: true, ..Change::default() };
                    }
                    porcelain.changes.push(change);
                }
                [b'u', b' ', ..] => porcelain.conflicted += 1,
                [b'?', b' ', path @ ..] => porcelain.untracked.push(path.to_owned()),
                [b'!', b' ', ..] => {}
                _ => return None,
            }
        }
        porcelain.changes.retain(|change| change.path != DECLARATION);
        porcelain.untracked.retain(|path| path != DECLARATION);
        Some(porcelain)
    }

    fn take_header(&mut self, header: &[u8]) {
        let text = String::from_utf8_lossy(header);
        match text.split_once(' ') {
            Some(("branch.oid", oid)) if oid != "(initial)" => self.head = Some(oid.to_owned()),
            Some(("branch.head", name)) if name != "(detached)" => self.branch = Some(name.to_owned()),
            Some(("branch.upstream", name)) => self.upstream = Some(name.to_owned()),
            Some(("branch.ab", numbers)) => {
                self.ahead_behind = numbers.split_once(' ').and_then(|(ahead, behind)| {
                    Some((ahead.strip_prefix('+')?.parse().ok()?, behind.strip_prefix('-')?.parse().ok()?))
                });
            }
            _ => {}
        }
    }

    /// Takes back that these differ from the index.
    pub(super) fn unmodified(&mut self, same: impl Fn(&Change) -> bool) {
        self.changes.retain_mut(|change| {
            change.modified &= !same(change);
            change.modified || change.staged
        });
    }

    /// Tracked paths whose content in the worktree differs from the index.
    pub(crate) fn modified(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.modified)
    }

    /// Paths that differ from HEAD or are untracked.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.changes.iter().map(|change| &change.path).chain(&self.untracked).map(Vec::as_slice)
    }

    pub(crate) fn changed(&self) -> u64 {
        (self.changes.len() + self.untracked.len()) as u64
    }
}

impl Change {
    fn new(xy: &[u8], submodule: &[u8], [index_mode, mode]: [&[u8]; 2], oid: &[u8], path: &[u8]) -> Option<Change> {
        let [x, y] = xy.try_into().ok()?;
        Some(Change {
            path: path.to_owned(),
            staged: x != b'.',
            modified: y != b'.',
            deleted: y == b'D',
            submodule: submodule.starts_with(b"S"),
            mode: mode.to_owned(),
            index_mode: index_mode.to_owned(),
            index_oid: oid.to_owned(),
        })
    }
}

/// Splits at the first `N - 1` blanks; the last field keeps its own.
fn fields<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    line.splitn(N, |&b| b == b' ').collect::<Vec<_>>().try_into().ok()
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
        let porcelain = parsed(&[
            format!("# branch.oid {OLD}"),
            "# branch.head topic".into(),
            "# branch.upstream origin/topic".into(),
            "# branch.ab +3 -14".into(),
            "# stash 2".into(),
            format!("1 .M N... 100644 100644 100755 {OLD} {OLD} with blanks"),
            format!("1 .D N... 100644 100644 000000 {OLD} {OLD} gone"),
            format!("1 A. N... 000000 100644 100644 0 {OLD} new name"),
            format!("1 MM SC.. 160000 160000 160000 {OLD} {NEW} sub"),
            format!("2 R. N... 100644 100644 100644 {OLD} {NEW} R90 to"),
            "from".into(),
            format!("u UU N... 100644 100644 100644 100644 {OLD} {OLD} {NEW} both"),
            "? new/".into(),
            "? .worktree".into(),
        ]);
        assert_eq!(porcelain.head.as_deref(), Some(OLD));
        assert_eq!(porcelain.branch.as_deref(), Some("topic"));
        assert_eq!((porcelain.upstream.as_deref(), porcelain.ahead_behind), (Some("origin/topic"), Some((3, 14))));
        assert_eq!(porcelain.untracked, [b"new/".to_vec()]);
        assert_eq!((porcelain.changed(), porcelain.conflicted), (6, 1));
        let of = |chosen: fn(&Change) -> bool| {
            let paths = porcelain.changes.iter().filter(|change| chosen(change)).map(|c| c.path.escape_ascii());
            paths.map(|path| path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(|change| change.staged), ["new name", "sub", "to"]);
        assert_eq!(of(|change| change.modified), ["with blanks", "gone", "sub"]);
        assert_eq!(of(|change| change.deleted), ["gone"]);
        assert_eq!(of(|change| change.submodule), ["sub"]);
    }

    #[test]
    fn what_became_the_declaration_or_came_from_it_is_a_change_and_the_declaration_is_none() {
        let rename = |to: &str, from: &str| {
            let porcelain = parsed(&[format!("2 R. N... 100644 100644 100644 {OLD} {OLD} R100 {to}"), from.into()]);
            porcelain
                .changes
                .into_iter()
                .map(|change| String::from_utf8(change.path).expect("text"))
                .collect::<Vec<_>>()
        };
        assert_eq!(rename("notes", ".worktree"), ["notes"]);
        assert_eq!(rename(".worktree", "notes"), ["notes"]);
        let edited = parsed(&[format!("1 .M N... 100644 100644 100644 {OLD} {OLD} .worktree")]);
        assert_eq!(edited.changed(), 0);
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
