//! Files: reads that cannot grow without bound and replacements that happen whole or not at all.

pub mod access;
mod failure;
pub mod stamp;

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

pub use self::failure::{explained, io_error, is_shortage, kind, remedy, uninterrupted};

use anyhow::Context;
use parking_lot::{RwLock, RwLockWriteGuard};

/// Held for reading while a file is being replaced, so that a signal never ends the process between temporary file and
/// rename. One that hangs does not keep another file from being replaced.
static REPLACING: RwLock<()> = RwLock::new(());

/// Waits up to `limit` for a replacement under way and keeps further ones from starting; for use right before exit.
pub fn settle(limit: Duration) -> Option<RwLockWriteGuard<'static, ()>> {
    REPLACING.try_write_for(limit)
}

/// Reads a regular file of at most `limit` bytes.
/// Errors: [`io::ErrorKind::FileTooLarge`] past the limit, [`io::ErrorKind::InvalidInput`] for anything that is no regular
/// file (a FIFO is never waited for), else what the operating system said.
pub fn read_capped(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(&open_regular(path)?, limit)
}

/// `None` for what is not there.
pub fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Reads the rest of an open file, at most `limit` bytes: for a file that is also asked something else.
/// Errors: [`io::ErrorKind::FileTooLarge`] past the limit, else what the operating system said.
pub fn read_open(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Opens a regular file for reading without ever waiting for a writer of a FIFO or touching a device.
/// Errors: [`io::ErrorKind::InvalidInput`] for anything that is no regular file, else what the operating system said.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Looked at before it is opened, because opening a device can already have an effect; and again afterwards,
    // because the name may mean another file by then.
    if !std::fs::metadata(path)?.is_file() {
        return Err(not_regular());
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// Replaces `path` with `bytes` in one rename: temporary file beside it, mode, sync, rename. A power failure may bring the
/// old file back, as whole as the new one: the directory is not synced, which would cost a pass in which all is remembered
/// as much as all the rest of it.
///
/// The temporary file starts with a dot and does not end in the target's extension, so no reader that selects by
/// extension (node_exporter) ever opens it. It has one fixed name for each target, so that what a killed process left is
/// overwritten by the next one instead of piling up. It is removed on every failure.
/// Errors: What the operating system said, with the step that failed in front.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let _guard = REPLACING.read();
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let temporary = path.with_file_name([OsStr::new("."), name, OsStr::new(".tmp")].join(OsStr::new("")));
    let written = write_new(&temporary, bytes, mode)
        .and_then(|()| uninterrupted(|| std::fs::rename(&temporary, path)).context("cannot rename into place"));
    if written.is_err() {
        let _ = uninterrupted(|| std::fs::remove_file(&temporary));
    }
    written
}

fn write_new(temporary: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let cleared = if_there(uninterrupted(|| std::fs::remove_file(temporary)));
    // O_EXCL: never follows a symbolic link that somebody put there.
    let created = cleared.and_then(|_| OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary));
    let mut file = created.context("cannot create a temporary file")?;
    file.write_all(bytes).context("cannot write")?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode)).context("cannot set the mode")?;
    file.sync_all().context("cannot sync to disk")
}

/// Writes a file that must not be there yet, directories above it included; what others wrote is never touched.
/// Errors: [`io::ErrorKind::AlreadyExists`] if anything has that name, a dangling symbolic link too; else what the operating
/// system said, with the step that failed in front. A file that could not be written whole is removed.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        uninterrupted(|| std::fs::create_dir_all(directory)).map_err(|e| match e.kind() {
            // A file stands where a directory belongs; it is not the file to be written that is there already.
            io::ErrorKind::AlreadyExists => anyhow::Error::from(io::Error::from(io::ErrorKind::NotADirectory)),
            _ => anyhow::Error::from(e).context("cannot create the directory"),
        })?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| {
        let _ = uninterrupted(|| std::fs::remove_file(path));
        anyhow::Error::from(e).context("cannot write")
    })
}

/// Makes a directory of this user alone (mode 0700) and those above it, unless it is there.
pub fn ensure_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    match uninterrupted(|| builder.create(directory)) {
        // Some file systems refuse before they look whether it is there.
        Err(_) if directory.is_dir() => Ok(()),
        made => made,
    }
}

/// Appends to a file of this user alone, in one write. Where `create` is set it is made if need be (mode 0600, its
/// directory 0700).
/// Errors: [`io::ErrorKind::FileTooLarge`] where the file would grow past `limit` bytes, else what the operating system said.
pub fn append_capped(path: &Path, bytes: &[u8], create: bool, limit: u64) -> io::Result<()> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let open = || OpenOptions::new().append(true).create(create).mode(0o600).custom_flags(flags).open(path);
    let mut file = match (open(), path.parent()) {
        (Err(e), Some(directory)) if create && e.kind() == io::ErrorKind::NotFound => {
            ensure_private_directory(directory)?;
            open()?
        }
        (opened, _) => opened?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(not_regular());
    }
    if metadata.len() + bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it would be larger than {limit} bytes")));
    }
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_whole_has_its_mode_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("x.prom");
        std::fs::write(directory.path().join(".x.prom.tmp"), "left by a killed process").expect("written");
        replace(&path, b"one\n", 0o644).expect("replaced");
        replace(&path, b"two\n", 0o644).expect("replaced again");
        assert_eq!(std::fs::read(&path).expect("read"), b"two\n");
        assert_eq!(path.metadata().expect("metadata").permissions().mode() & 0o7777, 0o644);
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_new_file_gets_its_directories_and_an_old_one_stays() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a/b/c.toml");
        create(&path, b"one", 0o644).expect("created");
        assert_eq!(kind(&create(&path, b"two", 0o644).expect_err("refused")), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).expect("a link");
        assert_eq!(kind(&create(&link, b"two", 0o644).expect_err("refused")), Some(io::ErrorKind::AlreadyExists));
        assert!(!directory.path().join("nowhere").exists());
    }

    #[test]
    fn a_fifo_and_a_directory_are_refused_and_a_large_file_too() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fifo = directory.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a fifo");
        assert_eq!(read_capped(&fifo, 10).expect_err("refused").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(read_capped(directory.path(), 10).expect_err("refused").kind(), io::ErrorKind::InvalidInput);
        let file = directory.path().join("file");
        std::fs::write(&file, [0; 11]).expect("written");
        assert_eq!(read_capped(&file, 10).expect_err("refused").kind(), io::ErrorKind::FileTooLarge);
    }
}
