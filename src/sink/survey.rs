//! Textfiles as node_exporter finds them: what it would open, in its order.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fs;
use crate::model::textfile::{Access, Contents, Textfile};

/// Largest file that is read. Ten thousand times the size of a normal one.
const MAX_BYTES: u64 = 64 << 20;

/// What node_exporter opens for a path given as directory, or that file alone: sorted by name, hidden ones included,
/// everything that ends in `.prom` whatever it is.
/// Errors: What the operating system says about the path itself.
pub fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut names = Vec::new();
    for entry in fs::uninterrupted(|| std::fs::read_dir(path))? {
        let name = entry?.file_name();
        if name.as_bytes().ends_with(b".prom") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

/// Opens one entry as node_exporter would, but never waits for a FIFO and never takes in more than is sensible.
pub fn open(path: PathBuf) -> Textfile {
    let (contents, access) = match std::fs::metadata(&path) {
        Err(error) => (Contents::Unreadable(error.to_string()), Access::Everybody),
        Ok(metadata) if metadata.is_dir() => (Contents::Directory, Access::Everybody),
        Ok(metadata) if !metadata.is_file() => (Contents::Special, Access::Everybody),
        Ok(metadata) => (read(&path), Access::of_mode(metadata.permissions().mode())),
    };
    Textfile { path, contents, access }
}

fn read(path: &Path) -> Contents {
    match fs::read_capped(path, MAX_BYTES) {
        Ok(bytes) => Contents::Bytes(bytes),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Contents::TooLarge,
        Err(error) => Contents::Unreadable(error.to_string()),
    }
}

/// The first directory on the way to `path`, itself included, that other users cannot pass, or, for `path` itself,
/// list; `None` if all are open.
pub fn closed_directory(path: &Path) -> Option<(PathBuf, Access)> {
    let path = std::fs::canonicalize(path).ok()?;
    let mut ways: Vec<&Path> = path.ancestors().collect();
    ways.reverse();
    ways.into_iter().find_map(|way| {
        let metadata = std::fs::metadata(way).ok().filter(std::fs::Metadata::is_dir)?;
        // Only the last one must be listed; for the others passing through is enough.
        let listing = if way == path { 0 } else { 0o444 };
        let access = Access::of_directory_mode(metadata.permissions().mode() | listing);
        (access != Access::Everybody).then(|| (way.to_owned(), access))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_directory_is_read_in_the_order_of_names_whatever_the_entries_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for name in ["b.prom", "a.prom", ".hidden.prom", "c.prom.tmp", "prom", "d.PROM"] {
            std::fs::write(at(name), "a 1\n").expect("written");
        }
        std::fs::create_dir(at("dir.prom")).expect("a directory");
        std::os::unix::fs::symlink("nowhere", at("link.prom")).expect("a link");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo.prom"), mode).expect("a fifo");
        std::fs::set_permissions(at("b.prom"), Permissions::from_mode(0o640)).expect("a mode");

        let found: Vec<Textfile> = entries(directory.path()).expect("listed").into_iter().map(open).collect();
        let names: Vec<_> = found.iter().map(|t| t.path.file_name().expect("a name").to_string_lossy()).collect();
        assert_eq!(names, [".hidden.prom", "a.prom", "b.prom", "dir.prom", "fifo.prom", "link.prom"]);
        assert_eq!(found[1].contents, Contents::Bytes(b"a 1\n".to_vec()));
        assert_eq!((found[1].access, found[2].access), (Access::Everybody, Access::Group));
        assert_eq!((&found[3].contents, &found[4].contents), (&Contents::Directory, &Contents::Special));
        assert!(matches!(&found[5].contents, Contents::Unreadable(why) if why.contains("No such file")), "{found:?}");
        assert!(entries(&at("none")).is_err());
    }

    #[test]
    fn a_directory_that_others_cannot_enter_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("inner");
        std::fs::create_dir(&inner).expect("a directory");
        let closed = |mode: u32| {
            std::fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("a mode");
            closed_directory(&inner).map(|(path, access)| (path.ends_with("inner"), access))
        };
        assert_eq!(closed(0o755), None);
        assert_eq!(closed(0o711), None);
        assert_eq!(closed(0o710), Some((false, Access::Group)));
        assert_eq!(closed(0o700), Some((false, Access::Owner)));
        std::fs::set_permissions(&inner, Permissions::from_mode(0o711)).expect("a mode");
        assert_eq!(closed(0o755), Some((true, Access::Owner)));
    }
}
