//! What to read of a large file that has not changed: `~/.claude.json` keeps histories of megabytes, and discovery wants
//! a few hundred bytes of it.
//!
//! When such a file is read whole, the stretches that are of no use are remembered beside the file's stamp: where each
//! begins and how long it is, never what stands there or anywhere else in the file, which may hold tokens. While the
//! stamp is the same, only the rest is read, with `null` for each stretch, as [`super::pick`] itself would have it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Document, Syntax, SyntaxError};
use crate::{clock, fs};

/// Files below this are read whole: that costs less than to remember anything.
const LARGE: u64 = 256 << 10;

/// The shortest stretch worth a read of its own.
pub(super) const STRETCH: usize = 4 << 10;

/// The most of them that are remembered of a file.
const MOST_STRETCHES: usize = 1000;

/// The most that is read of the store: far more than the stretches of all clients' files take.
const STORE_LIMIT: u64 = 1 << 20;

/// A change this close before the look may share its time with a later one: file systems keep times in steps of up to
/// two seconds (FAT).
const STEP_NS: i128 = 2_000_000_000;

/// The large files of one user and what may be left out of each.
#[derive(Debug)]
pub(super) struct Excerpts {
    store: PathBuf,
    /// Files that have not been changed since then are taken for settled; nanoseconds since 1970.
    horizon_ns: i128,
    /// `None` before a large file is met: most users have none.
    known: Option<BTreeMap<String, Known>>,
    changed: bool,
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    /// Offset and length of each stretch, in order.
    skips: Vec<(u64, u64)>,
}

/// What the file system says of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    /// Anybody can set this one back …
    mtime_ns: i128,
    /// … and nobody this one.
    ctime_ns: i128,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Ok(Stamp {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Excerpts {
    /// Those that a state directory keeps.
    pub(super) fn in_directory(state_dir: &Path) -> Self {
        let horizon_ns = clock::now().as_nanosecond() - STEP_NS;
        Excerpts { store: state_dir.join("excerpts.json"), horizon_ns, known: None, changed: false }
    }

    /// Reads a JSON file of at most `limit` bytes, as far as its parts are wanted.
    ///
    /// # Errors
    /// What the operating system said; inside, what is wrong with the file.
    pub(super) fn document(
        &mut self,
        canonical: &Path,
        file: &File,
        limit: u64,
    ) -> io::Result<Result<Document, SyntaxError>> {
        let stamp = Stamp::of(file)?;
        let name = canonical.to_str().filter(|_| stamp.size >= LARGE);
        let Some(name) = name else { return Ok(document::parse(&fs::read_open(file, limit)?, Syntax::Json)) };
        let known = self.known.get_or_insert_with(|| load(&self.store));
        if let Some(known) = known.get(name).filter(|known| known.stamp == stamp)
            && let Some(excerpt) = known.read(file)
            && let Ok(document) = document::parse(&excerpt, Syntax::Json)
            && Stamp::of(file)? == stamp
        {
            return Ok(Ok(document));
        }
        let parsed = document::parse(&fs::read_open(file, limit)?, Syntax::Json);
        let is_settled = stamp.mtime_ns.max(stamp.ctime_ns) < self.horizon_ns && Stamp::of(file)? == stamp;
        if let Ok(document) = &parsed
            && is_settled
            && (1..=MOST_STRETCHES).contains(&document.skipped.len())
        {
            let skips = document.skipped.iter().map(|skip| (skip.start as u64, skip.len() as u64)).collect();
            known.insert(name.to_owned(), Known { stamp, skips });
            self.changed = true;
        }
        Ok(parsed)
    }

    /// Keeps what has been learnt. Where it cannot be kept, files are read whole.
    pub(super) fn save(&self) {
        if let (Some(known), true) = (&self.known, self.changed)
            && let Ok(bytes) = serde_json::to_vec(known)
        {
            let _ = fs::refresh(&self.store, &bytes, 0o600);
        }
    }
}

/// A store that cannot be read is none.
fn load(store: &Path) -> BTreeMap<String, Known> {
    let bytes = fs::read_capped(store, STORE_LIMIT).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

impl Known {
    /// The file with `null` in place of each stretch; `None` if the stretches are not this file's.
    fn read(&self, file: &File) -> Option<Vec<u8>> {
        let mut excerpt = Vec::new();
        let mut from = 0;
        for &(start, length) in self.skips.iter().chain([&(self.stamp.size, 0)]) {
            let kept = usize::try_from(start.checked_sub(from).filter(|_| start <= self.stamp.size)?).ok()?;
            let end = excerpt.len();
            excerpt.resize(end + kept, 0);
            file.read_exact_at(&mut excerpt[end..], from).ok()?;
            if start < self.stamp.size {
                excerpt.extend_from_slice(b"null");
            }
            from = start.checked_add(length)?;
        }
        Some(excerpt)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A file with long histories at both levels, and a token where tokens stand.
    fn large(token: &str) -> String {
        let history: Vec<_> = (0..600).map(|i| json!({"display": "\"}{".repeat(60), "number": i})).collect();
        json!({
            "history": history,
            "mcpServers": {"a": {"command": "x", "env": {"TOKEN": token}}},
            "projects": {
                "/p": {"history": history, "mcpServers": {"b": {"command": "y"}}, "small": [1]},
                "/q": {"history": history},
            },
        })
        .to_string()
    }

    struct Case {
        directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Case {
        fn new(text: &str) -> Case {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("large.json");
            std::fs::write(&path, text).expect("written");
            Case { directory, path }
        }

        /// Reads it as the pass after next does: the file has been left alone for long.
        fn read(&self) -> (Document, Excerpts) {
            let mut excerpts = Excerpts { horizon_ns: i128::MAX, ..Excerpts::in_directory(self.directory.path()) };
            let file = File::open(&self.path).expect("opened");
            let document = excerpts.document(&self.path, &file, 16 << 20).expect("read").expect("JSON");
            excerpts.save();
            (document, excerpts)
        }

        fn store(&self) -> PathBuf {
            self.directory.path().join("excerpts.json")
        }
    }

    #[test]
    fn of_an_unchanged_file_only_what_is_wanted_is_read_and_it_says_the_same() {
        let case = Case::new(&large("s3cr3t"));
        let (whole, excerpts) = case.read();
        assert!(excerpts.changed && whole.skipped.len() == 3, "{:?}", whole.skipped);
        let (excerpt, excerpts) = case.read();
        assert!(!excerpts.changed && excerpt.skipped.is_empty(), "it was read whole again");
        assert_eq!(excerpt.root, whole.root);
        let known = &excerpts.known.expect("loaded")[case.path.to_str().expect("a path")];
        let read = known.read(&File::open(&case.path).expect("opened")).expect("an excerpt");
        assert!(read.len() < 1000, "{} bytes", read.len());
        let store = std::fs::read_to_string(case.store()).expect("kept");
        assert!(!store.contains("s3cr3t") && !store.contains("mcpServers") && !store.contains("/p"), "{store}");
    }

    #[test]
    fn a_changed_file_and_wrong_stretches_are_read_whole() {
        let case = Case::new(&large("one"));
        let (whole, _) = case.read();
        // As long as before.
        std::fs::write(&case.path, large("two")).expect("written");
        let (changed, excerpts) = case.read();
        assert!(excerpts.changed && changed.root != whole.root);
        let good = std::fs::read_to_string(case.store()).expect("kept");
        let start = changed.skipped[0].start;
        for bad in [
            "",
            "[]",
            &good.replace(&format!("[{start},"), &format!("[{},", start + 1)),
            &good.replace(&format!("[{start},"), "[99999999,"),
        ] {
            std::fs::write(case.store(), bad).expect("written");
            let (again, excerpts) = case.read();
            assert!(excerpts.changed, "{bad}");
            assert_eq!(again.root, changed.root, "{bad}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_small_file_or_of_one_that_has_just_been_written() {
        let case = Case::new(r#"{"mcpServers": {"a": {"command": "x"}}}"#);
        let (_, excerpts) = case.read();
        assert!(excerpts.known.is_none() && !case.store().exists());
        let case = Case::new(&large("x"));
        let mut excerpts = Excerpts::in_directory(case.directory.path());
        let file = File::open(&case.path).expect("opened");
        assert!(excerpts.document(&case.path, &file, 16 << 20).expect("read").is_ok());
        excerpts.save();
        assert!(!case.store().exists());
    }
}
