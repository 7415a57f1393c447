//! Digests of what a target's configuration resolves to.
//!
//! A fingerprint says "this is still the target that was checked" and is kept in the state. Tokens are part of what it
//! is made from (a renewed token must be tried at once), and some are short enough to be guessed from a plain hash by
//! whoever reads the state. So it is keyed: with 32 random bytes in a file of the state directory that only its owner
//! reads. A lost key costs one round of checks.

use std::hash::{Hash, Hasher};
use std::io::ErrorKind::{FileTooLarge, InvalidInput, NotADirectory, NotFound};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::digest::hex;

const KEY_LENGTH: usize = 32;

pub(super) struct Key([u8; KEY_LENGTH]);

impl Key {
    /// The state directory's key, made if the directory is there and has none. Where it cannot be kept, it lasts for
    /// this process: nothing can be remembered there either. One that cannot be read stays, with a warning: what is
    /// remembered under it counts again as soon as it can.
    pub(super) fn of(state_dir: &Path, warnings: &mut Vec<String>) -> Self {
        let path = state_dir.join("fingerprint.key");
        let key = match read(&path) {
            Ok(Some(key)) => return key,
            Ok(None) => random(),
            Err(error) => {
                let (path, why) = (path.display(), crate::fs::explained(&error));
                warnings.push(format!("{path}: {why}; what is remembered is not used until it can be read"));
                return random();
            }
        };
        if state_dir.is_dir() && crate::fs::replace(&path, &key.0, 0o600).is_ok() {
            // Another process may have written one in the same moment: the one on disk counts for both.
            return read(&path).ok().flatten().unwrap_or(key);
        }
        key
    }

    pub(super) fn fingerprint(&self, configuration: &impl Hash, timeout: Duration) -> String {
        let mut inner = Sha256Hasher(Sha256::new().chain_update(self.0));
        (configuration, timeout).hash(&mut inner);
        // The key is hashed in twice, inside and outside, so that nothing can be appended to a known digest.
        hex(&Sha256::new().chain_update(self.0).chain_update(inner.0.finalize()).finalize())
    }
}

/// SHA-256 over what `#[derive(Hash)]` feeds it: every part with its length or end.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken instead")
    }
}

/// The key in a file; none where there is no file, or one that is none of ours.
fn read(path: &Path) -> io::Result<Option<Key>> {
    match crate::fs::read_capped(path, KEY_LENGTH as u64) {
        Ok(bytes) => Ok(bytes.try_into().ok().map(Key)),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory | InvalidInput | FileTooLarge) => Ok(None),
        Err(e) => Err(e),
    }
}

/// From the kernel. Without /dev/urandom there is no secret to keep a key from: the fingerprint then only tells changes.
fn random() -> Key {
    let mut key = [0; KEY_LENGTH];
    let filled = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut key));
    if filled.is_err() {
        fastrand::fill(&mut key);
    }
    Key(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{McpTarget, Reach, StdioServer};
    use crate::redact::Secret;

    fn stdio(command: &str, args: &[&str]) -> McpTarget {
        let args = args.iter().map(|arg| Secret::new(*arg)).collect();
        let server = StdioServer { command: command.into(), args, ..StdioServer::default() };
        McpTarget { reach: Reach::Stdio(server), list_tools: true }
    }

    #[test]
    fn a_fingerprint_changes_with_every_part_and_with_the_key_and_with_nothing_else() {
        let timeout = Duration::from_secs(1);
        let key = Key([1; KEY_LENGTH]);
        let base = key.fingerprint(&stdio("a", &["b", "c"]), timeout);
        assert_eq!(key.fingerprint(&stdio("a", &["b", "c"]), timeout), base);
        for other in [stdio("a", &["bc"]), stdio("a", &["b", "d"]), stdio("ab", &["c"]), stdio("a", &["b", "c", ""])] {
            assert_ne!(key.fingerprint(&other, timeout), base);
        }
        assert_ne!(key.fingerprint(&stdio("a", &["b", "c"]), Duration::from_secs(2)), base);
        assert_ne!(Key([2; KEY_LENGTH]).fingerprint(&stdio("a", &["b", "c"]), timeout), base);
    }

    #[test]
    fn the_key_is_made_once_kept_private_and_not_made_where_there_is_no_state() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let first = Key::of(directory.path(), &mut Vec::new());
        assert_eq!(Key::of(directory.path(), &mut Vec::new()).0, first.0);
        let mode = directory.path().join("fingerprint.key").metadata().expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let missing = directory.path().join("missing");
        assert_ne!(Key::of(&missing, &mut Vec::new()).0, Key::of(&missing, &mut Vec::new()).0);
        assert!(!missing.exists());
    }

    #[test]
    fn a_key_that_cannot_be_read_now_is_told_and_stays() {
        let state = tempfile::tempdir().expect("a directory");
        let path = state.path().join("fingerprint.key");
        std::os::unix::fs::symlink(&path, &path).expect("a link to itself, which nobody can read");
        let mut warnings = Vec::new();
        Key::of(state.path(), &mut warnings);
        assert!(warnings.len() == 1 && warnings[0].contains("fingerprint.key: "), "{warnings:?}");
        assert!(path.is_symlink());
    }
}
