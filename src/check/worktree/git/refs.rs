//! Where branches point: HEAD's commit, the base's commit, and how far they are from each other.

use super::inspect::Inspection;
use super::{Git, GitError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tip {
    /// As people write it: `origin/main`.
    pub(crate) name: String,
    pub(crate) oid: String,
}

/// HEAD's committer time, seconds since 1970, and what "complete" is merged into, if it exists. `base` is what is
/// configured.
pub(crate) fn read(
    Inspection { git, porcelain, remotes, .. }: &Inspection,
    base: Option<&str>,
) -> Result<(Option<i64>, Option<Tip>), GitError> {
    let head = porcelain.head.as_deref();
    let bases = base_candidates(base, remotes, porcelain.upstream.as_deref());
    let mut input = head.map_or_else(String::new, |head| format!("{head}\n"));
    input.extend(bases.iter().map(|name| format!("{name}^{{commit}}\n")));
    let asked = bases.len() + usize::from(head.is_some());
    let mut commits = objects(git, input.as_bytes(), asked, "commit")?.into_iter();
    let head = if head.is_some() { commits.next().flatten() } else { None };
    let base = bases.iter().zip(commits).find_map(|(name, commit)| {
        let (oid, _) = commit?;
        Some(Tip { name: short(name), oid })
    });
    Ok((head.and_then(|(_, content)| committer_time(&content)), base))
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
    let of_remotes = |branch: &str| -> Vec<String> {
        remotes.iter().map(|remote| format!("refs/remotes/{remote}/{branch}")).collect()
    };
    let Some(base) = configured else {
        let branches = ["main", "master"].map(|branch| [vec![format!("refs/heads/{branch}")], of_remotes(branch)]);
        return of_remotes("HEAD").into_iter().chain(branches.into_iter().flatten().flatten()).collect();
    };
    let mut names = vec![format!("refs/heads/{base}"), format!("refs/remotes/{base}")];
    names.extend(of_remotes(base));
    names.push(format!("refs/tags/{base}"));
    if base.starts_with("refs/") {
        names.insert(0, base.to_owned());
    } else if base.len() >= 7 && base.bytes().all(|b| b.is_ascii_hexdigit()) {
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

type Object = (String, Vec<u8>);

/// The objects of these names, one a line; `None` for one that is missing or of another kind.
pub(super) fn objects(git: &Git, names: &[u8], count: usize, kind: &str) -> Result<Vec<Option<Object>>, GitError> {
    let output = git.run(&["cat-file", "--batch", "--buffer"], names)?;
    parse_batch(&output, count, kind).ok_or_else(|| GitError::malformed("cat-file"))
}

/// Reads `cat-file --batch`: for each name asked for, `<oid> <type> <size>` and the content, or a line that ends in
/// `missing` or `ambiguous`.
fn parse_batch(output: &[u8], asked: usize, kind: &str) -> Option<Vec<Option<Object>>> {
    let mut objects = Vec::with_capacity(asked);
    let mut rest = output;
    while objects.len() < asked {
        let end = rest.iter().position(|&b| b == b'\n')?;
        let header = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut words = header.split(' ');
        match (words.next(), words.next(), words.next().and_then(|size| size.parse::<usize>().ok())) {
            (Some(oid), Some(found), Some(size)) => {
                let content = rest.get(..size)?;
                objects.push((found == kind).then(|| (oid.to_owned(), content.to_owned())));
                rest = rest.get(size + 1..)?;
            }
            _ => objects.push(None),
        }
    }
    Some(objects)
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

/// Commits that only `head` has and commits that only `other` has.
pub(crate) fn distance(git: &Git, head: &str, other: &str) -> Result<(u64, u64), GitError> {
    if head == other {
        return Ok((0, 0));
    }
    let range = format!("{head}...{other}");
    let output = git.run(&["rev-list", "--count", "--left-right", &range, "--"], b"")?;
    let text = String::from_utf8_lossy(&output);
    let counts = text.trim().split_once('\t').map(|(ahead, behind)| (ahead.parse(), behind.parse()));
    let Some((Ok(ahead), Ok(behind))) = counts else { return Err(GitError::malformed("rev-list")) };
    Ok((ahead, behind))
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
        let objects = parse_batch(output, 3, "commit").expect("parsed");
        assert_eq!(objects[0].as_ref().map(|(oid, content)| (oid.as_str(), content.len())), Some(("abc", 26)));
        assert_eq!(objects[1], None);
        assert_eq!(objects[2].as_ref().map(|(oid, _)| oid.as_str()), Some("def"));
        assert_eq!(parse_batch(b"abc commit 26\ntree", 1, "commit"), None);
        assert_eq!(parse_batch(b"abc blob 2\nhi\n", 1, "commit"), Some(vec![None]));
    }

    #[test]
    fn the_committers_time_is_found_whatever_the_name() {
        let commit = b"tree x\nauthor A <a> 1 +0000\ncommitter B 7 <b> 1700000000 +0100\n\ncommitter no 3 x\n";
        assert_eq!(committer_time(commit), Some(1_700_000_000));
    }
}
