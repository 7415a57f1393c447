//! What the operating system refused, said so that a person knows which step it was and what to do.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::access::quoted;

/// What the operating system said, where that is in the chain of an error.
pub fn io_error(error: &anyhow::Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

pub fn kind(error: &anyhow::Error) -> Option<io::ErrorKind> {
    io_error(error).map(io::Error::kind)
}

/// Whether the process or the machine has no descriptor or memory left: that tells nothing of what was asked for.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

/// What would mend a failure; `None` where its cause says nothing about that.
fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::ENOSPC | libc::EDQUOT => "free some space there",
        libc::EIO => "the disk, or the way to it, is failing: `journalctl -k` says more",
        libc::EMFILE => "raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)",
        libc::ENFILE => "the machine has no open file left: raise fs.file-max or end what holds them",
        libc::EFBIG => "raise the limit on the size of files (LimitFSIZE= of the unit, ulimit -f)",
        libc::EACCES | libc::EPERM => "give this user access: see owner and mode (ls -ld)",
        libc::EROFS => {
            "name another place, or have it mounted for writing (for the timer: ReadWritePaths= of the unit)"
        }
        _ => return None,
    })
}

/// The error in words, with what would mend it.
pub fn explained(error: &io::Error) -> String {
    advice(error).map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}"))
}

/// What a person does about a file or directory that the operating system refuses.
pub fn remedy(path: &Path, error: &io::Error) -> String {
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

/// Calls again what a signal has interrupted: on network file systems even a rename can be.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_is_found_behind_the_step() {
        let full = anyhow::Error::from(io::Error::from_raw_os_error(libc::ENOSPC))
            .context("cannot write")
            .context("the state");
        assert_eq!(kind(&full), Some(io::ErrorKind::StorageFull));
        let said = io_error(&full).map(explained);
        assert_eq!(said.as_deref(), Some("No space left on device (os error 28); free some space there"));
        assert_eq!(explained(&io::Error::other("what we say ourselves")), "what we say ourselves");
    }

    #[test]
    fn an_interrupted_call_is_made_again_and_another_failure_is_not() {
        let mut answers = vec![libc::EIO, libc::EINTR, libc::EINTR];
        let ended = uninterrupted(|| match answers.pop() {
            Some(number) => Err::<(), _>(io::Error::from_raw_os_error(number)),
            None => Ok(()),
        });
        assert_eq!(ended.expect_err("the third answer").raw_os_error(), Some(libc::EIO));
        assert!(answers.is_empty());
    }

    #[test]
    fn what_is_refused_comes_with_the_command_that_shows_or_mends_it() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        assert!(remedy(Path::new("/etc/a b"), &denied).contains("ls -ld /etc '/etc/a b'"));
        assert!(remedy(Path::new("/nowhere/at/all"), &denied).contains("(ls -ld /)"));
        let missing = io::Error::from(ErrorKind::NotFound);
        assert!(remedy(Path::new("/nowhere/at/all"), &missing).contains("mkdir -p /nowhere/at"));
        assert_eq!(remedy(Path::new("none"), &missing), "correct the path");
        assert!(remedy(Path::new("x"), &io::Error::other("odd")).contains("ls -ld x"));
    }
}
