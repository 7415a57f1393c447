//! Digests of what a target's configuration resolves to.
//!
//! A fingerprint says "this is still the target that was checked" and is kept in the state. Tokens are part of what it
//! is made from (a renewed token must be tried at once), and some are short enough to be guessed from a plain hash by
//! whoever reads the state. So it is keyed: with 32 random bytes in a file of the state directory that only its owner
//! reads. A lost key costs one round of checks.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::digest::hex;
use crate::model::mcp::{McpTarget, Reach};
use crate::model::reason::Failure;
use crate::model::service::{ServiceLook, ServiceTarget};
use crate::redact::Secret;

const KEY_LENGTH: usize = 32;

/// The key of all fingerprints of one state directory.
#[derive(Clone)]
pub(super) struct Key([u8; KEY_LENGTH]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// The state directory's key, made if the directory is there and has none. Where it cannot be kept, it lasts for
    /// this process: nothing can be remembered there either. One that cannot be read stays, with a warning: what is
    /// remembered under it counts again as soon as it can.
    pub(super) fn of(state_dir: &Path, warnings: &mut Vec<String>) -> Self {
        let path = state_dir.join("fingerprint.key");
        match read(&path) {
            Ok(Some(key)) => return key,
            Ok(None) => {}
            Err(error) => {
                let (path, why) = (path.display(), crate::fs::explained(&error));
                warnings.push(format!("{path}: {why}; what is remembered is not used until it can be read"));
                return random();
            }
        }
        let mut key = random();
        if state_dir.is_dir() && crate::fs::replace(&path, &key.0, 0o600).is_ok() {
            // Another process may have written one in the same moment: the one on disk counts for both.
            key = read(&path).ok().flatten().unwrap_or(key);
        }
        key
    }

    /// A fingerprint over a server's resolved configuration.
    pub(super) fn fingerprint(&self, target: &McpTarget, timeout: std::time::Duration) -> String {
        let mut sum = Sum::new();
        sum.number(target.list_tools.into());
        sum.number(timeout.as_millis() as u64);
        reach(&mut sum, &target.reach);
        self.seal(&sum)
    }

    /// A fingerprint over how a service is looked at. What stands beside it in the plan is no part of it.
    pub(super) fn of_service(&self, service: &ServiceTarget, timeout: std::time::Duration) -> String {
        let mut sum = Sum::new();
        sum.number(timeout.as_millis() as u64);
        look(&mut sum, &service.look);
        self.seal(&sum)
    }

    /// The key is hashed in twice, inside and outside, so that nothing can be appended to a known digest.
    fn seal(&self, sum: &Sum) -> String {
        let inner = Sha256::new().chain_update(self.0).chain_update(&sum.0).finalize();
        let outer = Sha256::new().chain_update(self.0).chain_update(inner).finalize();
        hex(&outer)
    }
}

/// The key in a file; `None` where there is no file, or none of ours.
fn read(path: &Path) -> io::Result<Option<Key>> {
    match crate::fs::read_capped(path, KEY_LENGTH as u64) {
        Ok(bytes) => Ok(bytes.try_into().ok().map(Key)),
        Err(e) => match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
                Ok(None)
            }
            _ => Err(e),
        },
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

/// Parts one after another, each with its length in front, so that no two lists of parts run together to the same bytes.
struct Sum(Vec<u8>);

impl Sum {
    fn new() -> Self {
        Sum(Vec::new())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn path(&mut self, path: Option<&PathBuf>) {
        self.number(path.is_some().into());
        self.part(path.map_or(b"", |path| path.as_os_str().as_encoded_bytes()));
    }

    fn secrets(&mut self, secrets: &[Secret]) {
        self.number(secrets.len() as u64);
        secrets.iter().for_each(|secret| self.part(secret.expose().as_bytes()));
    }

    fn failure(&mut self, failure: &Failure) {
        self.part(b"unreachable");
        self.part(failure.reason.as_str().as_bytes());
        self.part(failure.detail.as_bytes());
    }

    fn pairs<'a>(&mut self, pairs: impl ExactSizeIterator<Item = (&'a String, &'a Secret)>) {
        self.number(pairs.len() as u64);
        for (name, value) in pairs {
            self.part(name.as_bytes());
            self.part(value.expose().as_bytes());
        }
    }
}

fn reach(sum: &mut Sum, reach: &Reach) {
    match reach {
        Reach::Stdio(server) => {
            sum.part(b"stdio");
            sum.part(server.command.as_bytes());
            sum.secrets(&server.args);
            sum.pairs(server.env.iter());
            sum.path(server.cwd.as_ref());
        }
        Reach::Http(server) => {
            sum.part(b"http");
            sum.part(server.url.expose().as_bytes());
            sum.part(format!("{:?}", server.transport).as_bytes());
            sum.pairs(server.headers.iter().map(|(name, value)| (name, value)));
            sum.path(server.ca_file.as_ref());
        }
        Reach::Script(script) => {
            sum.part(b"script");
            sum.secrets(&script.command);
            sum.pairs(script.env.iter());
            sum.path(script.cwd.as_ref());
        }
        Reach::Unreachable(failure) => sum.failure(failure),
    }
}

fn look(sum: &mut Sum, look: &ServiceLook) {
    match look {
        ServiceLook::Http(look) => {
            sum.part(b"http");
            sum.part(look.url.expose().as_bytes());
            sum.pairs(look.headers.iter().map(|(name, value)| (name, value)));
            sum.part(format!("{:?}", (&look.expect_status, &look.body_contains, &look.body_matches)).as_bytes());
            sum.path(look.ca_file.as_ref());
        }
        ServiceLook::Tcp(address) => {
            sum.part(b"tcp");
            sum.part(address.as_bytes());
        }
        ServiceLook::Unit { name, user } => {
            sum.part(b"unit");
            sum.part(name.as_bytes());
            sum.number((*user).into());
        }
        ServiceLook::Process(pattern) => {
            sum.part(b"process");
            sum.part(pattern.as_bytes());
        }
        ServiceLook::Unreachable(failure) => sum.failure(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::mcp::StdioServer;

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
