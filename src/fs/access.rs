//! Who besides this user could change a file. A configuration is only believed if nobody could.
//!
//! Looked at: the owner, mode and access control list of the open file, and whether the directory it lies in lets
//! others put another file in its place. A file of root's or of this user's cannot be forged in a directory further
//! up, since the owner is asked of the file that was opened, not of its name.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Why a file is not to be believed, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{finding}; mend it with `{remedy}`")]
pub struct Exposure {
    /// What was found, as in "/home/joe/config.toml is writable by everyone (mode 0666)".
    pub finding: String,
    /// The command that mends it, ready to paste.
    pub remedy: String,
}

/// How users other than this one and root could change what `path` says; `None` if they could not. `file` is the
/// file that was opened at `path`.
pub fn exposure(path: &Path, file: &File) -> io::Result<Option<Exposure>> {
    let path = std::path::absolute(path)?;
    // A symbolic link can be replaced where it lies, its target where that lies.
    let link_directory = path.parent().map(Path::canonicalize).transpose()?;
    of_path(&path.canonicalize()?, &file.metadata()?, link_directory.as_deref())
}

/// How users other than this one and root could change what lies in a directory; `None` if they could not, or if it is
/// not there yet. Unlike a directory on the way to a file, it may not be sticky and open: anybody could add a file.
pub fn directory_exposure(path: &Path) -> io::Result<Option<Exposure>> {
    let Some(real) = super::if_there(std::path::absolute(path)?.canonicalize())? else { return Ok(None) };
    of_path(&real, &real.metadata()?, None)
}

fn of_path(real: &Path, metadata: &Metadata, link_directory: Option<&Path>) -> io::Result<Option<Exposure>> {
    let mut found = of_file(real, metadata, rustix::process::geteuid().as_raw());
    for directory in link_directory.into_iter().chain(real.parent()) {
        if found.is_some() {
            break;
        }
        let metadata = directory.metadata()?;
        // In a sticky directory such as /tmp others can add names, but not take or replace ours.
        if metadata.mode() & STICKY == 0 {
            found = of_mode(directory, &metadata);
        }
    }
    Ok(found)
}

fn of_file(path: &Path, metadata: &Metadata, ours: u32) -> Option<Exposure> {
    let owner = metadata.uid();
    if owner != ours && owner != 0 && !may_be_roots(owner) {
        return Some(Exposure {
            finding: format!("{} belongs to {}", path.display(), user(owner)),
            remedy: format!("sudo chown {} {}", user(ours), quoted(path)),
        });
    }
    of_mode(path, metadata)
}

/// In a user namespace that has no root, as a user unit with `PrivateUsers=` gets, root's files belong to the same
/// placeholder as those of all other users. Refusing them would refuse every file of the machine's.
fn may_be_roots(owner: u32) -> bool {
    let placeholder = text("/proc/sys/kernel/overflowuid").trim().parse() == Ok(owner);
    placeholder && !has_root(&text("/proc/self/uid_map"))
}

/// Whether a user namespace has a root, by its `uid_map` (user_namespaces(7)): first id inside, first outside, count.
fn has_root(uid_map: &str) -> bool {
    uid_map.is_empty() || uid_map.lines().any(|line| line.split_whitespace().next() == Some("0"))
}

fn of_mode(path: &Path, metadata: &Metadata) -> Option<Exposure> {
    let mode = metadata.mode() & 0o7777;
    let (who, bits) = match (mode & OTHERS_WRITE != 0, group_can_write(path, metadata)) {
        (true, true) => ("everyone", "go-w"),
        (true, false) => ("everyone", "o-w"),
        (false, true) => ("its group", "g-w"),
        (false, false) => return None,
    };
    Some(Exposure {
        finding: format!("{} is writable by {who} (mode {mode:04o})", path.display()),
        remedy: format!("chmod {bits} {}", quoted(path)),
    })
}

/// Whether the group's write bit lets anybody else in. It does not where the group is this user's alone, which is how
/// several distributions set users up, with a umask that gives the group everything.
fn group_can_write(path: &Path, metadata: &Metadata) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let is_private = || is_private_group(&text("/etc/passwd"), &text("/etc/group"), uid, metadata.gid());
    metadata.mode() & GROUP_WRITE != 0 && (has_acl(path) || !is_private())
}

/// With an access control list the group bits are only its mask: anybody could be named in it.
fn has_acl(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0][..]).is_ok()
}

fn text(path: &str) -> String {
    let bytes = super::read_capped(Path::new(path), 4 << 20).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// The fields of a user in passwd(5), or of a group in group(5): name, password and number come first in both.
fn fields(text: &str, number: u32) -> Option<Vec<&str>> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(number)))
}

/// Whether a group has this user's name and no other member, by passwd(5) and group(5) alone: what another user database
/// would add cannot be ruled out, so a group it knows is no private one. Nor is root's: it is the group of much that is not
/// root's alone.
fn is_private_group(users: &str, groups: &str, uid: u32, gid: u32) -> bool {
    let (Some(user), Some(group)) = (fields(users, uid), fields(groups, gid)) else { return false };
    let shared = users.lines().any(|line| {
        let mut fields = line.split(':');
        fields.next() != Some(user[0]) && fields.nth(2).is_some_and(|field| field.parse() == Ok(gid))
    });
    let members = group.get(3).copied().unwrap_or_default();
    let alone = members.split(',').all(|member| member.is_empty() || member == user[0]);
    uid != 0 && gid != 0 && user[0] == group[0] && alone && !shared
}

/// A user by name, else by number.
pub fn user(uid: u32) -> String {
    fields(&text("/etc/passwd"), uid).map_or_else(|| uid.to_string(), |fields| fields[0].to_owned())
}

/// A path as a shell reads it back, for commands in messages.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use super::*;

    fn exposed(path: &Path) -> Option<String> {
        let file = File::open(path).expect("opened");
        exposure(path, &file).expect("asked").map(|e| e.to_string())
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    }

    /// A directory and a file in it that nobody else may write.
    fn private() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        set_mode(directory.path(), 0o755);
        let file = directory.path().canonicalize().expect("real").join("it's.toml");
        std::fs::write(&file, "").expect("a file");
        set_mode(&file, 0o644);
        (directory, file)
    }

    #[test]
    fn a_file_that_others_may_write_comes_with_the_chmod_that_mends_it() {
        let (directory, file) = private();
        let shown = file.display();
        assert_eq!(exposed(&file), None);
        let expected = |bits: &str, who: &str, mode: &str| {
            let quoted = shown.to_string().replace('\'', r"'\''");
            format!("{shown} is writable by {who} (mode {mode}); mend it with `chmod {bits} '{quoted}'`")
        };
        set_mode(&file, 0o646);
        assert_eq!(exposed(&file), Some(expected("o-w", "everyone", "0646")));
        if rustix::process::geteuid().is_root() {
            // Root's own group is nobody's private one; whose the test user's is, the machine decides.
            set_mode(&file, 0o666);
            assert_eq!(exposed(&file), Some(expected("go-w", "everyone", "0666")));
            set_mode(&file, 0o664);
            assert_eq!(exposed(&file), Some(expected("g-w", "its group", "0664")));
        }
        set_mode(&file, 0o644);
        let directory = directory.path();
        set_mode(directory, 0o757);
        let shown = directory.canonicalize().expect("real").display().to_string();
        assert_eq!(
            exposed(&file).expect("exposed"),
            format!("{shown} is writable by everyone (mode 0757); mend it with `chmod o-w {shown}`")
        );
        set_mode(directory, 0o1777);
        assert_eq!(exposed(&file), None, "others cannot replace a file in a sticky directory");
    }

    #[test]
    fn a_link_is_as_safe_as_the_place_it_lies_in_and_the_file_it_leads_to() {
        let (_kept, file) = private();
        let open = tempfile::tempdir().expect("a temporary directory");
        let link = open.path().join("link.toml");
        symlink(&file, &link).expect("a link");
        set_mode(open.path(), 0o700);
        assert_eq!(exposed(&link), None);
        set_mode(open.path(), 0o777);
        assert!(exposed(&link).expect("exposed").contains("is writable by everyone (mode 0777)"));
        set_mode(open.path(), 0o700);
        set_mode(&file, 0o602);
        assert!(exposed(&link).expect("exposed").contains("it's.toml is writable by everyone"));
    }

    #[test]
    fn a_file_of_another_user_is_not_believed() {
        let (_kept, file) = private();
        let ours = rustix::process::geteuid();
        // Only root can give a file away; anybody else asks as the user next door.
        let asking = if ours.is_root() {
            chown(&file, Some(12_345), None).expect("given away");
            0
        } else {
            ours.as_raw() + 1
        };
        let metadata = file.metadata().expect("metadata");
        let sentence = of_file(&file, &metadata, asking).expect("exposed").to_string();
        assert!(sentence.contains(" belongs to ") && sentence.contains("; mend it with `sudo chown "), "{sentence}");
    }

    #[test]
    fn a_namespace_without_root_is_known_by_its_map() {
        assert!(has_root("         0          0 4294967295\n"));
        assert!(has_root("1000 1000 1\n0 0 1\n"));
        assert!(!has_root("      1000       1000          1\n"));
        assert!(has_root(""), "what cannot be read is no leave");
    }

    #[test]
    fn only_a_group_that_is_the_users_alone_is_private() {
        let users =
            "root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\nann:x:1001:100::/home/ann:/bin/sh\n";
        let private = |groups: &str, uid, gid| is_private_group(users, groups, uid, gid);
        assert!(private("joe:x:1000:\n", 1000, 1000));
        assert!(private("joe:x:1000:joe\n", 1000, 1000));
        assert!(!private("joe:x:1000:ann\n", 1000, 1000), "another member");
        assert!(!private("users:x:100:\n", 1001, 100), "another name");
        assert!(!private("root:x:0:\n", 0, 0), "root's");
        assert!(!private("", 1000, 1000), "unknown to the local files");
        assert!(!is_private_group(&format!("{users}eve:x:1002:1000::/:/\n"), "joe:x:1000:\n", 1000, 1000), "shared");
        assert!(!is_private_group("", "", 1000, 1000));
    }
}
