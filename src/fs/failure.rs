//! What the operating system refused, said so that a person knows which step it was and what to do.

use std::io;

/// What the operating system said, where that is in the chain of an error.
pub fn io_error(error: &anyhow::Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// Its kind.
pub fn kind(error: &anyhow::Error) -> Option<io::ErrorKind> {
    io_error(error).map(io::Error::kind)
}

/// Whether the process or the machine has no descriptor or memory left: that tells nothing of what was asked for.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS))
}

/// What would mend a failure; `None` where its cause says nothing about that.
pub(super) fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::ENOSPC | libc::EDQUOT => "free some space there",
        libc::EIO => "the disk, or the way to it, is failing: `journalctl -k` says more",
        libc::EMFILE => "raise the limit on open files (LimitNOFILE= of the unit, ulimit -n)",
        libc::ENFILE => "the machine has no open file left: raise fs.file-max or end what holds them",
        libc::EFBIG => "raise the limit on the size of files (LimitFSIZE= of the unit, ulimit -f)",
        libc::EACCES | libc::EPERM => "give this user access: see owner and mode (ls -ld)",
        libc::EROFS => "have it mounted for writing (for the timer: ReadWritePaths= of the unit)",
        _ => return None,
    })
}

/// The error in words, with what would mend it.
pub fn explained(error: &io::Error) -> String {
    advice(error).map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}"))
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
}
