//! Stamps: what the file system says of a file without reading it. Two equal stamps mean an unchanged file, provided
//! the older one was taken well after the file's last change.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use crate::clock;
use crate::model::digest::Digest;

/// A change this close before the look may share its time with a later change: file systems keep times in steps of
/// up to two seconds (FAT), the kernel's own clock for them in steps of up to 10 ms.
const STEP_NS: i128 = 2_000_000_000;

/// The moment before which everything must have been left alone for its stamp to be trusted.
#[derive(Debug, Clone, Copy)]
pub struct Horizon(i128);

impl Horizon {
    /// The horizon of a look that begins now.
    pub fn now() -> Horizon {
        Horizon::of(clock::now())
    }

    /// The horizon of a look that began then.
    pub fn of(begun: Timestamp) -> Horizon {
        Horizon(begun.as_nanosecond() - STEP_NS)
    }

    /// Whether a change at this time (nanoseconds since 1970) can be told from any later one.
    pub fn is_past(self, changed_ns: i128) -> bool {
        changed_ns < self.0
    }
}

/// Device, inode, size and times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The file system. It may have another number after a mount.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Modification time, nanoseconds since 1970. Anybody can set it back.
    pub mtime_ns: i128,
    /// Change time of the inode, nanoseconds since 1970. Nobody can set it back.
    pub ctime_ns: i128,
    /// Hard links; for a directory of most file systems, two more than it has subdirectories.
    pub links: u64,
}

impl Stamp {
    /// Follows symbolic links, as reading would; `None` if there is nothing.
    pub fn of(path: &Path) -> Option<Stamp> {
        path.metadata().ok().map(Stamp::from)
    }

    /// The later of the two times.
    pub fn changed_ns(&self) -> i128 {
        self.ctime_ns.max(self.mtime_ns)
    }

    /// When it was written at the latest: a file that was copied with its times, or made under a clock that is ahead, has
    /// two of them.
    pub fn written_ns(&self) -> i128 {
        self.ctime_ns.min(self.mtime_ns)
    }

    /// Adds it to a digest, but for the device: what is at hand is found anew after a mount.
    pub fn add_to(&self, digest: &mut Digest) {
        let mut bytes = [0; 52];
        bytes[..8].copy_from_slice(&self.ino.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.mode.to_le_bytes());
        bytes[20..36].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[36..52].copy_from_slice(&self.ctime_ns.to_le_bytes());
        digest.part(&bytes);
    }

    /// As text for the state, but for the device.
    pub fn text(&self) -> String {
        format!("{}:{}:{}:{}", self.ino, self.size, self.mtime_ns, self.ctime_ns)
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        Stamp {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            links: metadata.nlink(),
        }
    }
}

impl From<rustix::fs::Stat> for Stamp {
    fn from(stat: rustix::fs::Stat) -> Stamp {
        Stamp {
            dev: wide(stat.st_dev),
            ino: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            mode: stat.st_mode,
            mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec as i64),
            // 32 bits on some platforms.
            links: wide(stat.st_nlink),
        }
    }
}

fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

fn ns(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

/// The digest over the stamps of files by path, and whether all of them are past the horizon. A missing file is part
/// of the digest too: its appearance is a change.
pub fn digest<'a>(paths: impl IntoIterator<Item = &'a Path>, horizon: Horizon) -> (Digest, bool) {
    let mut digest = Digest::default();
    let mut settled = true;
    for path in paths {
        digest.part(path.as_os_str().as_bytes());
        match Stamp::of(path) {
            Some(stamp) => {
                settled &= horizon.is_past(stamp.changed_ns());
                stamp.add_to(&mut digest);
            }
            None => digest.part(b"none"),
        }
    }
    (digest, settled)
}
