//! Which project files a person has allowed: `trust.json` in the state directory.
//!
//! A project's file can come with a cloned repository, and starting what it names is running whatever its author
//! wrote. So a file is allowed as it stands: by its canonical path and the SHA-256 of its bytes. When either differs,
//! the person is asked again. A damaged store allows nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::digest::hex;

/// The version of the store this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// Far more than anybody trusts.
const STORE_LIMIT: u64 = 4 << 20;

/// What has been allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustStore {
    files: BTreeMap<String, Allowed>,
}

/// One allowed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Allowed {
    /// SHA-256 of the file's bytes, in hex.
    sha256: String,
    /// When it was allowed.
    at: Timestamp,
}

/// The store on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    files: BTreeMap<String, Allowed>,
}

/// How the store looks at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Allowed as it stands.
    Allowed,
    /// Allowed once, but it has changed since.
    Changed,
    /// Never allowed.
    Unknown,
}

/// Where the store is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("trust.json")
}

/// SHA-256 in hex.
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
    ///
    /// # Errors
    /// What kept a damaged store from being set aside.
    pub fn load_for_update(state_dir: &Path) -> io::Result<(Self, Option<String>)> {
        let (store, warning) = Self::load(state_dir);
        let Some(warning) = warning else { return Ok((store, None)) };
        let aside = path(state_dir).with_extension("json.damaged");
        std::fs::rename(path(state_dir), &aside)?;
        Ok((store, Some(format!("{warning}; the old store is now {}", aside.display()))))
    }

    /// How this file stands, by canonical path and [`digest`].
    pub fn standing(&self, canonical: &Path, digest: &str) -> Standing {
        match canonical.to_str().and_then(|path| self.files.get(path)) {
            Some(allowed) if allowed.sha256 == digest => Standing::Allowed,
            Some(_) => Standing::Changed,
            None => Standing::Unknown,
        }
    }

    /// Allows a file as it stands. Files that are gone are forgotten on the way.
    ///
    /// # Errors
    /// A path that is not UTF-8 cannot be kept in the store.
    pub fn allow(&mut self, canonical: &Path, digest: String, at: Timestamp) -> io::Result<()> {
        let path = canonical.to_str().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8; name it in `mcp.config_files` instead")
        })?;
        self.files.retain(|path, _| Path::new(path).exists());
        self.files.insert(path.to_owned(), Allowed { sha256: digest, at });
        Ok(())
    }

    /// Writes the store, readable for its owner alone.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn save(&self, state_dir: &Path) -> io::Result<()> {
        let stored = Stored { version: VERSION, files: self.files.clone() };
        let mut bytes = serde_json::to_vec_pretty(&stored)?;
        bytes.push(b'\n');
        crate::fs::replace(&path(state_dir), &bytes, 0o600)
    }
}

fn read(path: &Path) -> Result<TrustStore, String> {
    let file = match crate::fs::open_regular(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(TrustStore::default()),
        Err(e) => return Err(e.to_string()),
    };
    // Whoever may write the store may have any project's commands run.
    if let Some(exposure) = crate::fs::access::exposure(path, &file).map_err(|e| e.to_string())? {
        return Err(exposure.to_string());
    }
    let bytes = crate::fs::read_open(&file, STORE_LIMIT).map_err(|e| e.to_string())?;
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|e| format!("damaged ({e})"))?;
    if stored.version > VERSION {
        return Err(format!("written by a newer lab-probe (version {})", stored.version));
    }
    Ok(TrustStore { files: stored.files })
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
        assert_eq!(store.standing(&file, &digest(b"{}")), Standing::Unknown);
        store.allow(&file, digest(b"{}"), Timestamp::UNIX_EPOCH).expect("allowed");
        store.save(directory.path()).expect("saved");

        let (store, warning) = TrustStore::load(directory.path());
        assert_eq!(warning, None);
        assert_eq!(store.standing(&file, &digest(b"{}")), Standing::Allowed);
        assert_eq!(store.standing(&file, &digest(b"{} ")), Standing::Changed);
        assert_eq!(store.standing(&directory.path().join("other"), &digest(b"{}")), Standing::Unknown);
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
        std::fs::set_permissions(path(directory.path()), std::fs::Permissions::from_mode(0o666)).expect("chmod");
        let (store, warning) = TrustStore::load(directory.path());
        assert_eq!(store, TrustStore::default());
        assert!(warning.expect("a warning").contains("chmod go-w"));
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
}
