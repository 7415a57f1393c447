//! Textfiles as node_exporter finds them: what it would open, in its order.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fs;
use crate::metrics::check::Textfile;

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
    let metadata = std::fs::metadata(&path);
    let contents = match &metadata {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => fs::read_capped(&path, MAX_BYTES),
    };
    let mode = metadata.ok().filter(Metadata::is_file).map(|file| file.permissions().mode());
    Textfile { path, mode, contents }
}

/// The first directory on the way to `path`, itself included, that other users cannot pass, or, for `path` itself,
/// list, with its permission bits, those that do not matter set; `None` if all are open.
pub fn closed_directory(path: &Path) -> Option<(PathBuf, u32)> {
    let path = std::fs::canonicalize(path).ok()?;
    let mut ways: Vec<&Path> = path.ancestors().collect();
    ways.reverse();
    ways.into_iter().find_map(|way| {
        let metadata = std::fs::metadata(way).ok().filter(Metadata::is_dir)?;
        // Only the last one must be listed; for the others passing through is enough.
        let mode = metadata.permissions().mode() & 0o777 | if way == path { 0 } else { 0o444 };
        (mode & 0o005 != 0o005).then(|| (way.to_owned(), mode))
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
            std::fs::set_permissions(at(name), Permissions::from_mode(0o644)).expect("a mode");
        }
        std::fs::create_dir(at("dir.prom")).expect("a directory");
        std::os::unix::fs::symlink("nowhere", at("link.prom")).expect("a link");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo.prom"), mode).expect("a fifo");
        std::fs::set_permissions(at("b.prom"), Permissions::from_mode(0o640)).expect("a mode");

        let found: Vec<Textfile> = entries(directory.path()).expect("listed").into_iter().map(open).collect();
        let names: Vec<_> = found.iter().map(|t| t.path.file_name().expect("a name").to_string_lossy()).collect();
        assert_eq!(names, [".hidden.prom", "a.prom", "b.prom", "dir.prom", "fifo.prom", "link.prom"]);
        assert_eq!(found[1].contents.as_deref().expect("read"), b"a 1\n");
        let modes: Vec<_> = found.iter().map(|file| file.mode.map(|mode| mode & 0o777)).collect();
        assert_eq!(modes[1..], [Some(0o644), Some(0o640), None, None, None]);
        let kinds = found[3..].iter().map(|file| file.contents.as_ref().expect_err("no file").kind());
        let expected = [io::ErrorKind::IsADirectory, io::ErrorKind::InvalidInput, io::ErrorKind::NotFound];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        assert!(entries(&at("none")).is_err());
    }

    #[test]
    fn a_directory_that_others_cannot_enter_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("inner");
        std::fs::create_dir(&inner).expect("a directory");
        let closed = |mode: u32| {
            std::fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("a mode");
            closed_directory(&inner).map(|(path, mode)| (path.ends_with("inner"), mode))
        };
        assert_eq!(closed(0o755), None);
        assert_eq!(closed(0o711), None);
        assert_eq!(closed(0o710), Some((false, 0o754)));
        assert_eq!(closed(0o700), Some((false, 0o744)));
        std::fs::set_permissions(&inner, Permissions::from_mode(0o711)).expect("a mode");
        assert_eq!(closed(0o755), Some((true, 0o711)));
    }
}
