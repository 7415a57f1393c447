//! Whose repository is it? Git refuses one of another user, because its configuration names commands; so does this.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Git;

/// The sentence for people if the worktree, its `.git` or its git directory belongs to somebody else and no declaration of
/// this user or the system makes it readable (git-config(1), `safe.directory`).
pub(super) fn refusal(git: &Git, safe_directories: &[Vec<u8>]) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    let dot_git = git.work_tree.join(".git");
    let (path, owner) = [&dot_git, &git.work_tree, &git.git_dir].into_iter().find_map(|path| {
        let owner = path.symlink_metadata().ok()?.uid();
        (!is_mine(owner, me, std::env::var("SUDO_UID").ok())).then_some((path, owner))
    })?;
    (!is_safe(&git.work_tree, safe_directories)).then(|| {
        format!(
            "detected dubious ownership in repository at '{}': {} belongs to user {owner}, this runs as user {me}; run lab-probe as its owner",
            git.work_tree.display(),
            path.display(),
        )
    })
}

/// Root that came by sudo may look at what belongs to the user it came from.
fn is_mine(owner: u32, me: u32, sudo_uid: Option<String>) -> bool {
    owner == me || (me == 0 && sudo_uid.and_then(|uid| uid.parse().ok()) == Some(owner))
}

/// Whether the repository is declared safe. An empty value forgets those before it, `*` means every repository, `/*` at the end everything below.
fn is_safe(work_tree: &Path, safe_directories: &[Vec<u8>]) -> bool {
    let real = work_tree.canonicalize().unwrap_or_else(|_| work_tree.to_owned());
    let real = real.as_os_str().as_bytes();
    let home = std::env::var_os("HOME");
    let mut safe = false;
    for directory in safe_directories {
        let directory = match (directory.strip_prefix(b"~/"), &home) {
            (Some(rest), Some(home)) => [home.as_bytes(), b"/", rest].concat(),
            _ => directory.clone(),
        };
        safe = match directory.as_slice() {
            b"" => false,
            b"*" => true,
            all if all.ends_with(b"/*") => safe || real.starts_with(&all[..all.len() - 1]),
            one => safe || one.strip_suffix(b"/").unwrap_or(one) == real,
        };
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_by_sudo_for_its_user_may_look() {
        assert!(is_mine(1000, 1000, None));
        assert!(!is_mine(1000, 0, None));
        assert!(is_mine(1000, 0, Some("1000".into())));
        assert!(!is_mine(1000, 1001, Some("1000".into())));
    }

    #[test]
    fn safe_directories_are_read_in_order() {
        let safe = |values: &[&str]| {
            let values: Vec<Vec<u8>> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
            is_safe(Path::new("/nowhere/a/b"), &values)
        };
        assert!(safe(&["/nowhere/a/b"]));
        assert!(safe(&["/nowhere/*"]));
        assert!(safe(&["*"]));
        assert!(!safe(&["*", ""]));
        assert!(!safe(&["/nowhere/a"]));
        assert!(!safe(&[]));
    }
}
