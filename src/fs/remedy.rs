//! What a person does about a file or directory that the operating system refuses.

use std::io::{Error, ErrorKind};
use std::path::Path;

use super::access::quoted;
use super::failure::advice;

pub fn remedy(path: &Path, error: &Error) -> String {
    let shown = quoted(path);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match error.kind() {
        ErrorKind::NotFound if !directory.exists() => {
            format!("make its directory (mkdir -p {}), or correct the path", quoted(directory))
        }
        ErrorKind::NotFound => "correct the path".to_owned(),
        // What is not there cannot be listed; what could be made in it if it were another's, can.
        ErrorKind::PermissionDenied if !directory.exists() => {
            let above = directory.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
            format!("see who may (ls -ld {}), and give this user access or name another place", quoted(above))
        }
        ErrorKind::PermissionDenied => {
            format!(
                "see who may (ls -ld {} {shown}), and give this user access or name another place",
                quoted(directory)
            )
        }
        ErrorKind::ReadOnlyFilesystem => {
            "name a place on a file system that may be written to (for the timer: ReadWritePaths= of the unit)"
                .to_owned()
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("free some space (df -h {})", quoted(directory)),
        ErrorKind::AlreadyExists => format!("move away what stands there (ls -ld {shown})"),
        ErrorKind::NotADirectory => {
            "a part of the path is no directory: correct the path, or move that file away".to_owned()
        }
        ErrorKind::IsADirectory => "name a file, or move the directory away".to_owned(),
        ErrorKind::FileTooLarge if advice(error).is_none() => {
            format!("see what has filled it (ls -l {shown}), and move it away if nothing needs it")
        }
        ErrorKind::InvalidInput => "name a regular file".to_owned(),
        _ => match advice(error) {
            Some(advice) => advice.to_owned(),
            None => format!("see what it is and whether its file system is well (ls -ld {shown}, dmesg)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_comes_with_the_command_that_shows_or_mends_it() {
        let denied = Error::from(ErrorKind::PermissionDenied);
        assert!(remedy(Path::new("/etc/a b"), &denied).contains("ls -ld /etc '/etc/a b'"));
        assert!(remedy(Path::new("/nowhere/at/all"), &denied).contains("(ls -ld /)"));
        let missing = Error::from(ErrorKind::NotFound);
        assert!(remedy(Path::new("/nowhere/at/all"), &missing).contains("mkdir -p /nowhere/at"));
        assert_eq!(remedy(Path::new("none"), &missing), "correct the path");
        assert!(remedy(Path::new("x"), &Error::other("odd")).contains("ls -ld x"));
    }
}
