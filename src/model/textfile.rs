//! A file as node_exporter's textfile collector meets it.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Textfile {
    pub path: PathBuf,
    pub contents: Contents,
    pub access: Access,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    Bytes(Vec<u8>),
    /// Nothing: it cannot be opened or read; the operating system's sentence.
    Unreadable(String),
    Directory,
    /// It is a FIFO, socket or device: reading it may wait for ever.
    Special,
    /// More than is looked at.
    TooLarge,
}

/// Who may read an entry by its mode, the owner and root apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Everybody,
    Group,
    Owner,
}

impl Access {
    /// From the permission bits of a directory, which must be listed and passed through.
    pub fn of_directory_mode(mode: u32) -> Self {
        Self::of(mode & 0o005 == 0o005, mode & 0o050 == 0o050)
    }

    /// From the permission bits of a file.
    pub fn of_mode(mode: u32) -> Self {
        Self::of(mode & 0o004 != 0, mode & 0o040 != 0)
    }

    fn of(others: bool, group: bool) -> Self {
        match (others, group) {
            (true, _) => Access::Everybody,
            (false, true) => Access::Group,
            (false, false) => Access::Owner,
        }
    }
}
