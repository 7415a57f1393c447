//! Stamps: what the file system says of a file without reading it. Two equal stamps mean an unchanged file, provided
//! the older one was taken well after the file's last change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub ino: u64,
    pub size: u64,
    /// Modification time, nanoseconds since 1970. Anybody can set it back.
    pub mtime_ns: i128,
    /// Change time of the inode, nanoseconds since 1970. Nobody can set it back.
    pub ctime_ns: i128,
}

impl Stamp {
    /// Follows symbolic links, as reading would; `None` if there is nothing.
    pub fn of(path: &Path) -> Option<Stamp> {
        path.metadata().ok().map(Stamp::from)
    }

    /// The text of what is there now; empty for nothing.
    pub fn text_of(path: &Path) -> String {
        Stamp::of(path).map_or_else(String::new, |stamp| stamp.text())
    }

    pub fn changed_ns(&self) -> i128 {
        self.ctime_ns.max(self.mtime_ns)
    }

    /// When it was written at the latest: a file that was copied with its times, or made under a clock that is ahead, has
    /// two of them.
    pub fn written_ns(&self) -> i128 {
        self.ctime_ns.min(self.mtime_ns)
    }

    pub fn text(&self) -> String {
        format!("{}:{}:{}:{}", self.ino, self.size, self.mtime_ns, self.ctime_ns)
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        let ns = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Stamp {
            ino: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
