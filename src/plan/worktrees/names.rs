//! A label for each worktree: short where that is unique, `<repository>/<name>` where it is not, always distinct.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::layout::Found;
use crate::proc::hung;

/// The names of `found`, in its order. `named` are the config's own and win.
pub(super) fn choose(found: &[Found], named: &[(PathBuf, String)]) -> Vec<String> {
    let given = |one: &Found| named.iter().find(|(path, _)| same_place(path, &one.path)).map(|(_, name)| name.clone());
    // Each with whether it is the config's own.
    let short = found.iter().map(|one| given(one).map_or_else(|| (short_name(one), false), |name| (name, true)));
    let short: Vec<(String, bool)> = short.collect();
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in &short {
        *holders.entry(name).or_default() += 1;
    }
    let long = found.iter().zip(&short).map(|(one, (name, is_given))| {
        let is_free = *is_given || holders[name.as_str()] == 1;
        if is_free { name.clone() } else { format!("{}/{name}", repository_name(one)) }
    });
    make_distinct(long.collect(), found)
}

/// What is left equal (two repositories of one name, a linked worktree called `main`) gets git's own name for the
/// worktree, then a number. Fixed names and the earlier entry keep theirs, so that a name does not wander.
fn make_distinct(names: Vec<String>, found: &[Found]) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut out = Vec::with_capacity(names.len());
    let all: HashSet<String> = names.iter().cloned().collect();
    for (name, one) in names.into_iter().zip(found) {
        let mut candidate = name.clone();
        if taken.contains(&candidate) && !one.main {
            candidate = format!("{}/{}", repository_name(one), label(&one.id));
        }
        let mut number = 2;
        while taken.contains(&candidate) || (candidate != name && all.contains(&candidate)) {
            candidate = format!("{name}~{number}");
            number += 1;
        }
        taken.insert(candidate.clone());
        out.push(candidate);
    }
    out
}

pub(super) fn same_place(configured: &Path, path: &Path) -> bool {
    configured == path
        || !hung::is_noted(configured) && configured.canonicalize().is_ok_and(|canonical| canonical == path)
}

fn short_name(one: &Found) -> String {
    if one.main {
        return "main".to_owned();
    }
    label(one.path.file_name().map_or(one.id.as_slice(), OsStr::as_bytes))
}

/// The directory a person calls the repository: `LAB` for `LAB/.git`, `LAB/.bare` and `LAB.git`.
fn repository_name(one: &Found) -> String {
    let name = one.repository.file_name().map_or(b"/".as_slice(), OsStr::as_bytes);
    if name.starts_with(b".")
        && let Some(parent) = one.repository.parent().and_then(Path::file_name)
    {
        return label(parent.as_bytes());
    }
    label(name.strip_suffix(b".git").unwrap_or(name))
}

/// Any bytes as valid UTF-8: what is not UTF-8 becomes `\xNN`, everything else stays as it is.
fn label(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::worktree::Standing;

    fn found(repository: &str, path: &[u8], main: bool) -> Found {
        let path = PathBuf::from(OsStr::from_bytes(path));
        Found {
            id: path.file_name().map_or(Vec::new(), |name| name.as_bytes().to_owned()),
            path,
            repository: PathBuf::from(repository),
            main,
            standing: Standing::Unreadable { reason: String::new() },
        }
    }

    #[test]
    fn names_are_short_until_two_would_collide() {
        let all = [
            found("/home/u/LAB/.git", b"/home/u/LAB", true),
            found("/home/u/LAB/.git", b"/home/u/LAB/worktrees/thunes", false),
            found("/home/u/other.git", b"/home/u/other/x", false),
        ];
        assert_eq!(choose(&all, &[]), ["main", "thunes", "x"]);
        let all = [found("/a/LAB/.git", b"/a/LAB", true), found("/a/tool/.git", b"/a/tool", true)];
        assert_eq!(choose(&all, &[]), ["LAB/main", "tool/main"]);
    }

    #[test]
    fn a_given_name_wins_and_the_other_one_makes_way() {
        let all = [found("/a/LAB/.git", b"/a/LAB", true), found("/a/tool/.git", b"/a/tool", true)];
        assert_eq!(choose(&all, &[(PathBuf::from("/a/tool"), "main".to_owned())]), ["LAB/main", "main"]);
    }

    #[test]
    fn any_bytes_give_valid_and_distinct_names() {
        let all = [
            found("/a/LAB/.git", b"/w/x\xff", false),
            found("/a/LAB/.git", b"/w/x\xfe", false),
            found("/a/LAB/.git", b"/v/x\\xff", false),
            found("/a/LAB/.git", b"/w/two\nlines \"quoted\"", false),
            found("/b/LAB/.git", b"/b/LAB", true),
            found("/a/LAB/.git", b"/a/LAB", true),
            found("/a/LAB/.git", b"/w/main", false),
        ];
        let names = choose(&all, &[]);
        assert_eq!(
            names,
            ["LAB/x\\xff", "x\\xfe", "LAB/x\\xff~2", "two\nlines \"quoted\"", "LAB/main", "LAB/main~2", "LAB/main~3"]
        );
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
