//! Which project files a person has allowed: `trust.json` in the state directory.
//!
//! A project's file can come with a cloned repository, and starting what it names is running whatever its author
//! wrote. So a file is allowed as it stands: by its canonical path and the SHA-256 of its bytes. When either differs,
//! the person is asked again. A damaged store allows nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fs::access::quoted;
use crate::fs::uninterrupted;
use crate::model::digest::hex;

/// The version of the store this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// Far more than anybody trusts.
const STORE_LIMIT: u64 = 4 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStore {
    version: u32,
    files: BTreeMap<String, Allowed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Allowed {
    sha256: String,
    at: Timestamp,
}

pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("trust.json")
}

pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl TrustStore {
    /// Reads the store; anything wrong with it is a warning, and then nothing is allowed.
    pub fn load(state_dir: &Path) -> (Self, Option<String>) {
        let path = path(state_dir);
        match read(&path) {
            Ok(store) => (store, None),
            Err(why) => (TrustStore::default(), Some(format!("{}: {why}; no project file is trusted", path.display()))),
        }
    }

    /// Reads the store to change it; a damaged one is set aside first, so that it is neither believed nor lost.
    /// Errors: What kept the store from being read, or a damaged one from being set aside.
    pub fn load_for_update(state_dir: &Path) -> anyhow::Result<(Self, Option<String>)> {
        use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput};
        let path = path(state_dir);
        let why = match read(&path) {
            Err(why) if matches!(why.kind(), InvalidData | InvalidInput | FileTooLarge) => why,
            // What a store that cannot be read says is not known: it may be as good as ever.
            store => return Ok((store.context("it cannot be read")?, None)),
        };
        let aside = path.with_extension("json.damaged");
        uninterrupted(|| std::fs::rename(&path, &aside))?;
        let (path, aside) = (path.display(), aside.display());
        let warning = format!("{path}: {why}; no project file is trusted; the old store is now {aside}");
        Ok((TrustStore::default(), Some(warning)))
    }

    /// Why this file, by canonical path and [`digest`], is not used, and what to do; `None` if it is allowed as it stands.
    /// `unknown` says of one that was never allowed what it is.
    pub fn refusal(&self, canonical: &Path, digest: &str, unknown: &str) -> Option<(String, String)> {
        let why = match canonical.to_str().and_then(|path| self.files.get(path)) {
            Some(allowed) if allowed.sha256 == digest => return None,
            Some(_) => "has changed since it was trusted",
            None => unknown,
        };
        let hint = format!("read the file, then run `lab-probe trust {}`", quoted(canonical));
        Some((format!("{} {why}", canonical.display()), hint))
    }

    /// Allows a file as it stands. Files that are gone are forgotten on the way.
    /// Errors: A path that is not UTF-8 cannot be kept in the store.
    pub fn allow(&mut self, canonical: &Path, digest: String, at: Timestamp) -> anyhow::Result<()> {
        let path = canonical.to_str().context("the path is not UTF-8; name it in `mcp.config_files` instead")?;
        self.files.retain(|path, _| Path::new(path).exists());
        self.files.insert(path.to_owned(), Allowed { sha256: digest, at });
        Ok(())
    }

    /// Writes the store, readable for its owner alone.
    pub fn save(&self, state_dir: &Path) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(&TrustStore { version: VERSION, files: self.files.clone() })?;
        bytes.push(b'\n');
        crate::fs::replace(&path(state_dir), &bytes, 0o600)
    }
}

fn read(path: &Path) -> io::Result<TrustStore> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let Some(file) = crate::fs::if_there(crate::fs::open_regular(path))? else { return Ok(TrustStore::default()) };
    // Whoever may write the store may have any project's commands run.
    if let Some(exposure) = crate::fs::access::exposure(path, &file)? {
        return Err(bad(exposure.to_string()));
    }
    let bytes = crate::fs::read_open(&file, STORE_LIMIT)?;
    let stored: TrustStore = serde_json::from_slice(&bytes).map_err(|e| bad(format!("damaged ({e})")))?;
    if stored.version > VERSION {
        return Err(bad(format!("written by a newer lab-probe (version {})", stored.version)));
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_allowed_as_it_stands_and_no_longer_once_it_changes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join(".mcp.json");
        std::fs::write(&file, "{}").expect("written");
        let (mut store, _) = TrustStore::load(directory.path());
        let why = |store: &TrustStore, file: &Path, bytes: &[u8]| {
            let (why, hint) = store.refusal(file, &digest(bytes), "is new")?;
            assert_eq!(hint, format!("read the file, then run `lab-probe trust {}`", file.display()));
            Some(why.trim_start_matches(&format!("{} ", file.display())).to_owned())
        };
        assert_eq!(why(&store, &file, b"{}").as_deref(), Some("is new"));
        store.allow(&file, digest(b"{}"), Timestamp::UNIX_EPOCH).expect("allowed");
        store.save(directory.path()).expect("saved");

        let (store, warning) = TrustStore::load(directory.path());
        assert_eq!(warning, None);
        assert_eq!(why(&store, &file, b"{}"), None);
        assert_eq!(why(&store, &file, b"{} ").as_deref(), Some("has changed since it was trusted"));
        assert_eq!(why(&store, &directory.path().join("other"), b"{}").as_deref(), Some("is new"));
        let mode = path(directory.path()).metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_newer_or_exposed_store_allows_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("f");
        std::fs::write(&file, "").expect("written");
        let mut store = TrustStore::default();
        store.allow(&file, digest(b""), Timestamp::UNIX_EPOCH).expect("allowed");
        store.save(directory.path()).expect("saved");
        let whole = std::fs::read_to_string(path(directory.path())).expect("read");
        let newer = whole.replace("\"version\": 1", "\"version\": 2");
        for text in [&whole[..whole.len() / 2], "\0\0\0", "[]", newer.as_str()] {
            std::fs::write(path(directory.path()), text).expect("written");
            let (store, warning) = TrustStore::load(directory.path());
            assert_eq!(store, TrustStore::default(), "{text:?}");
            assert!(warning.expect("a warning").contains("no project file is trusted"), "{text:?}");
        }
        std::fs::write(path(directory.path()), &whole).expect("written");
        assert_eq!(TrustStore::load(directory.path()).1, None);
        std::fs::set_permissions(path(directory.path()), std::fs::Permissions::from_mode(0o646)).expect("chmod");
        let (store, warning) = TrustStore::load(directory.path());
        assert_eq!(store, TrustStore::default());
        assert!(warning.expect("a warning").contains("chmod o-w"));
    }

    #[test]
    fn a_damaged_store_is_set_aside_before_it_is_written_anew() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(path(directory.path()), "half").expect("written");
        let (store, warning) = TrustStore::load_for_update(directory.path()).expect("set aside");
        assert!(warning.expect("a warning").contains("trust.json.damaged"));
        store.save(directory.path()).expect("saved");
        assert_eq!(std::fs::read(directory.path().join("trust.json.damaged")).expect("kept"), b"half");
    }

    #[test]
    fn a_store_that_cannot_be_read_now_is_neither_believed_nor_set_aside() {
        let state = tempfile::tempdir().expect("a directory");
        let path = path(state.path());
        std::os::unix::fs::symlink(&path, &path).expect("a link to itself, which nobody can read");
        assert_eq!(TrustStore::load(state.path()).0, TrustStore::default());
        let refused = TrustStore::load_for_update(state.path()).expect_err("refused");
        assert!(format!("{refused:#}").starts_with("it cannot be read: "), "{refused:#}");
        assert!(path.is_symlink() && std::fs::read_dir(state.path()).expect("listed").count() == 1);
    }
}
