//! A label for each worktree: short where that is unique, `<repository>/<name>` where it is not, always distinct.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::worktree::WorktreeTarget;

/// The names of `found`, in its order. `given` are the config's own, by the worktree's place, and win.
pub(super) fn choose(found: &[WorktreeTarget], given: &BTreeMap<PathBuf, &str>) -> Vec<String> {
    let short = |one: &WorktreeTarget| given.get(&one.path).map_or_else(|| short_name(one), |name| (*name).to_owned());
    let short: Vec<String> = found.iter().map(short).collect();
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &short {
        *holders.entry(name).or_default() += 1;
    }
    let long = found.iter().zip(&short).map(|(one, name)| {
        let is_free = given.contains_key(&one.path) || holders[name.as_str()] == 1;
        if is_free { name.clone() } else { format!("{}/{name}", repository_name(one)) }
    });
    make_distinct(&long.collect::<Vec<_>>())
}

/// What is left equal (two repositories of one name, a linked worktree called `main`) gets a number. The earlier one keeps
/// its name, so that it does not wander.
fn make_distinct(names: &[String]) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut holders: HashMap<&String, usize> = HashMap::new();
    let distinct = names.iter().map(|name| {
        let holder = holders.entry(name).or_default();
        *holder += 1;
        let mut numbered = (*holder..).map(|number| format!("{name}~{number}"));
        let mut free = || numbered.find(|numbered| taken.insert(numbered.clone())).unwrap_or_default();
        if *holder == 1 { name.clone() } else { free() }
    });
    distinct.collect()
}

fn short_name(one: &WorktreeTarget) -> String {
    if one.id.is_none() {
        return "main".to_owned();
    }
    label(one.path.file_name().or(one.id.as_deref()).unwrap_or_default().as_bytes())
}

/// The directory a person calls the repository: `LAB` for `LAB/.git`, `LAB/.bare` and `LAB.git`.
fn repository_name(one: &WorktreeTarget) -> String {
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
    bytes.utf8_chunks().map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(repository: &str, path: &[u8], main: bool) -> WorktreeTarget {
        let path = PathBuf::from(OsStr::from_bytes(path));
        WorktreeTarget {
            id: path.file_name().filter(|_| !main).map(OsStr::to_owned),
            path,
            repository: PathBuf::from(repository),
            ..WorktreeTarget::default()
        }
    }

    #[test]
    fn names_are_short_until_two_would_collide() {
        let all = [
            found("/home/u/LAB/.git", b"/home/u/LAB", true),
            found("/home/u/LAB/.git", b"/home/u/LAB/worktrees/thunes", false),
            found("/home/u/other.git", b"/home/u/other/x", false),
        ];
        assert_eq!(choose(&all, &BTreeMap::new()), ["main", "thunes", "x"]);
        let all = [found("/a/LAB/.git", b"/a/LAB", true), found("/a/tool/.git", b"/a/tool", true)];
        assert_eq!(choose(&all, &BTreeMap::new()), ["LAB/main", "tool/main"]);
    }

    #[test]
    fn a_given_name_wins_and_the_other_one_makes_way() {
        let all = [found("/a/LAB/.git", b"/a/LAB", true), found("/a/tool/.git", b"/a/tool", true)];
        assert_eq!(choose(&all, &BTreeMap::from([(PathBuf::from("/a/tool"), "main")])), ["LAB/main", "main"]);
    }

    #[test]
    fn thousands_of_one_name_are_told_apart_at_once() {
        let names = make_distinct(&vec!["LAB/x".to_owned(); 5_000]);
        assert_eq!((names[0].as_str(), names[4_999].as_str()), ("LAB/x", "LAB/x~5000"));
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
        let names = choose(&all, &BTreeMap::new());
        assert_eq!(
            names,
            ["LAB/x\\xff", "x\\xfe", "LAB/x\\xff~2", "two\nlines \"quoted\"", "LAB/main", "LAB/main~2", "LAB/main~3"]
        );
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
