//! Where branches point: the upstream's commit, the base's commit, and how far HEAD is from each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Git, GitError};
use crate::fs::read_capped;

/// Distances that are remembered; more only gather when branches move all the time.
const MAX_DISTANCES: usize = 8;

/// A commit under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    /// As people write it: `origin/main`.
    pub(super) name: String,
    /// Object id.
    pub(super) oid: String,
}

/// The commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Object id.
    pub(super) oid: String,
    /// Object id of its tree.
    pub(super) tree: Option<String>,
    /// Committer time, seconds since 1970.
    pub(super) committed_at: Option<i64>,
}

/// HEAD, and what it is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tips {
    /// HEAD's commit, if it was asked for and is there.
    pub(super) head: Option<Head>,
    /// The upstream, if it exists.
    pub(super) upstream: Option<Tip>,
    /// The base, if there is one.
    pub(super) base: Option<Tip>,
    /// Files in which the refs that were asked for stand, or would stand.
    pub(super) files: Vec<PathBuf>,
}

/// What [`read`] wants to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// HEAD's commit, or `HEAD` itself; `None` on a branch without commits.
    pub(super) head: Option<&'a str>,
    /// Whether upstream and base matter.
    pub(super) compare: bool,
    /// The upstream's short name.
    pub(super) upstream: Option<&'a str>,
    /// The configured base.
    pub(super) base: Option<&'a str>,
    /// Remotes by name.
    pub(super) remotes: &'a [String],
}

/// Asks for all of them in one call.
///
/// # Errors
/// What git said.
pub(super) fn read(git: &Git, wanted: Wanted<'_>) -> Result<Tips, GitError> {
    let upstream: Vec<String> = wanted
        .upstream
        .filter(|_| wanted.compare)
        .map(|name| ["refs/remotes/", "refs/heads/", "refs/"].map(|prefix| format!("{prefix}{name}")).to_vec())
        .unwrap_or_default();
    let bases = match wanted.compare {
        true => base_candidates(wanted.base, wanted.remotes, wanted.upstream),
        false => Vec::new(),
    };
    let names: Vec<&String> = upstream.iter().chain(&bases).collect();
    let mut input = wanted.head.map_or_else(String::new, |head| format!("{head}\n"));
    input.extend(names.iter().map(|name| format!("{name}^{{commit}}\n")));
    if input.is_empty() {
        return Ok(Tips::default());
    }
    let output = git.run(&["cat-file", "--batch", "--buffer"], input.as_bytes())?;
    let asked = names.len() + usize::from(wanted.head.is_some());
    let mut commits =
        parse_batch(&output, asked).ok_or_else(|| GitError::Malformed { command: "cat-file".to_owned() })?.into_iter();
    let head = if wanted.head.is_some() { commits.next().flatten() } else { None };
    let found: Vec<Option<String>> = commits.map(|commit| commit.map(|(oid, _)| oid)).collect();
    let first = |candidates: &[String], from: usize| {
        candidates
            .iter()
            .enumerate()
            .find_map(|(at, name)| Some(Tip { name: short(name), oid: found.get(from + at)?.clone()? }))
    };
    Ok(Tips {
        head: head.map(|(oid, content)| Head { oid, tree: tree(&content), committed_at: committer_time(&content) }),
        upstream: first(&upstream, 0),
        base: first(&bases, upstream.len()),
        files: names.iter().flat_map(|name| ref_files(git, name)).collect(),
    })
}

/// Where the base may be, the best first. Without configuration it is the remote's HEAD, then `main`, then `master`.
fn base_candidates(configured: Option<&str>, remotes: &[String], upstream: Option<&str>) -> Vec<String> {
    let mut remotes: Vec<&String> = remotes.iter().collect();
    // `origin` is what a remote is called by default; else the one this branch follows speaks for the repository.
    remotes.sort_by_key(|remote| {
        let followed =
            upstream.and_then(|name| name.strip_prefix(remote.as_str())).is_some_and(|rest| rest.starts_with('/'));
        (*remote != "origin", !followed)
    });
    let Some(base) = configured else {
        let mut names: Vec<String> = remotes.iter().map(|remote| format!("refs/remotes/{remote}/HEAD")).collect();
        for branch in ["main", "master"] {
            names.push(format!("refs/heads/{branch}"));
            names.extend(remotes.iter().map(|remote| format!("refs/remotes/{remote}/{branch}")));
        }
        return names;
    };
    let mut names = Vec::new();
    if base.starts_with("refs/") {
        names.push(base.to_owned());
    }
    names.extend([format!("refs/heads/{base}"), format!("refs/remotes/{base}")]);
    names.extend(remotes.iter().map(|remote| format!("refs/remotes/{remote}/{base}")));
    names.push(format!("refs/tags/{base}"));
    if base.len() >= 7 && base.bytes().all(|b| b.is_ascii_hexdigit()) {
        names.push(base.to_owned());
    }
    // Git reads one name a line.
    names.retain(|name| !name.contains('\n'));
    names
}

fn short(name: &str) -> String {
    let prefixes = ["refs/heads/", "refs/remotes/", "refs/tags/"];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name).to_owned()
}

/// The loose file of a ref, and of what it points at if it is a symbolic one.
fn ref_files(git: &Git, name: &str) -> Vec<PathBuf> {
    let mut files = vec![git.common_dir.join(name)];
    if name.ends_with("/HEAD")
        && let Ok(bytes) = read_capped(&files[0], 4096)
        && let Some(target) = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix("ref: "))
    {
        files.push(git.common_dir.join(target.trim_end()));
    }
    files
}

/// Object id and content.
type Commit = (String, Vec<u8>);

/// Reads `cat-file --batch`: for each name asked for, `<oid> <type> <size>` and the content, or a line that ends in
/// `missing` or `ambiguous`.
fn parse_batch(output: &[u8], asked: usize) -> Option<Vec<Option<Commit>>> {
    let mut objects = Vec::with_capacity(asked);
    let mut rest = output;
    while objects.len() < asked {
        let end = rest.iter().position(|&b| b == b'\n')?;
        let header = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut words = header.split(' ');
        match (words.next(), words.next(), words.next().and_then(|size| size.parse::<usize>().ok())) {
            (Some(oid), Some("commit"), Some(size)) => {
                objects.push(Some((oid.to_owned(), rest.get(..size)?.to_owned())));
                rest = rest.get(size + 1..)?;
            }
            _ => objects.push(None),
        }
    }
    Some(objects)
}

/// The tree in a commit object, its first line.
fn tree(commit: &[u8]) -> Option<String> {
    let line = commit.split(|&b| b == b'\n').next()?.strip_prefix(b"tree ")?;
    String::from_utf8(line.to_vec()).ok()
}

/// The committer's time in a commit object: `committer NAME <MAIL> SECONDS ZONE`.
fn committer_time(commit: &[u8]) -> Option<i64> {
    let line = commit
        .split(|&b| b == b'\n')
        .take_while(|line| !line.is_empty())
        .find(|line| line.starts_with(b"committer "))?;
    let text = String::from_utf8_lossy(line);
    text.rsplit(' ').nth(1)?.parse().ok()
}

/// Commits that only `head` has and commits that only `other` has, remembered by the two object ids.
///
/// # Errors
/// What git said.
pub(in crate::check::worktree) fn distance(
    git: &Git,
    head: &str,
    other: &str,
    known: &mut BTreeMap<String, (u64, u64)>,
) -> Result<(u64, u64), GitError> {
    if head == other {
        return Ok((0, 0));
    }
    let key = format!("{head}...{other}");
    if let Some(&distance) = known.get(&key) {
        return Ok(distance);
    }
    let output = git.run(&["rev-list", "--count", "--left-right", &key, "--"], b"")?;
    let text = String::from_utf8_lossy(&output);
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(ahead)), Some(Ok(behind))) => {
            if known.len() >= MAX_DISTANCES {
                known.clear();
            }
            known.insert(key, (ahead, behind));
            Ok((ahead, behind))
        }
        _ => Err(GitError::Malformed { command: "rev-list".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_remotes_head_then_main_then_master() {
        let remotes = ["fork".to_owned(), "upstream".to_owned()];
        let names = base_candidates(None, &remotes, Some("upstream/topic"));
        assert_eq!(
            names[..4],
            ["refs/remotes/upstream/HEAD", "refs/remotes/fork/HEAD", "refs/heads/main", "refs/remotes/upstream/main"]
        );
        let remotes = ["fork".to_owned(), "origin".to_owned()];
        assert_eq!(base_candidates(None, &remotes, Some("fork/x"))[0], "refs/remotes/origin/HEAD");
        assert_eq!(
            base_candidates(Some("dev"), &remotes, None)[..3],
            ["refs/heads/dev", "refs/remotes/dev", "refs/remotes/origin/dev"]
        );
    }

    #[test]
    fn a_batch_holds_missing_names_and_contents_with_line_breaks() {
        let output = b"abc commit 26\ntree x\ncommitter a\n\nhello\n\nx^{commit} missing\ndef commit 0\n\n";
        let objects = parse_batch(output, 3).expect("parsed");
        assert_eq!(objects[0].as_ref().map(|(oid, content)| (oid.as_str(), content.len())), Some(("abc", 26)));
        assert_eq!(objects[1], None);
        assert_eq!(objects[2].as_ref().map(|(oid, _)| oid.as_str()), Some("def"));
        assert_eq!(parse_batch(b"abc commit 26\ntree", 1), None);
    }

    #[test]
    fn the_committers_time_is_found_whatever_the_name() {
        let commit = b"tree x\nauthor A <a> 1 +0000\ncommitter B 7 <b> 1700000000 +0100\n\ncommitter no 3 x\n";
        assert_eq!(committer_time(commit), Some(1_700_000_000));
        assert_eq!(tree(commit).as_deref(), Some("x"));
    }
}
