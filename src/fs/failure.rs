//! What the operating system refused, said so that a person knows which step it was and what to do.

use std::fmt;
use std::io;

/// A failure with words in front; the operating system's number stays readable for [`advice`].
#[derive(Debug)]
struct Told {
    what: String,
    source: io::Error,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

// Its text holds that of its source, which a chain of errors would otherwise show twice.
impl std::error::Error for Told {}

/// The error with these words in front.
pub fn told(what: impl Into<String>, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Told { what: what.into(), source })
}

/// The error with the step that failed in front.
pub(super) fn step(what: &str, source: io::Error) -> io::Error {
    told(format!("cannot {what}"), source)
}

/// What would mend a failure; `None` where its cause says nothing about that.
pub(super) fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match number(error)? {
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

fn number(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| number(&error.get_ref()?.downcast_ref::<Told>()?.source))
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
    fn advice_reaches_through_the_step() {
        let full = told("the state", step("write", io::Error::from_raw_os_error(libc::ENOSPC)));
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        let said = explained(&full);
        assert_eq!(said, "the state: cannot write: No space left on device (os error 28); free some space there");
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
