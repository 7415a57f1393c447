//! What to read of a large file that has not changed: `~/.claude.json` keeps histories of megabytes, and discovery wants
//! a few hundred bytes of it.
//!
//! When such a file is read whole, the stretches that are of no use are remembered beside the file's stamp: where each
//! begins and how long it is, never what stands there or anywhere else in the file, which may hold tokens. While the
//! stamp is the same, only the rest is read, with `null` for each stretch, as [`super::pick`] itself would have it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::document::{self, Document, Syntax, SyntaxError};
use crate::fs;
use crate::fs::stamp::{Horizon, Stamp};
use crate::model::excerpt::{Excerpt, Excerpts};

/// Files below this are read whole: that costs less than to remember anything.
const LARGE: u64 = 256 << 10;

/// The shortest stretch worth a read of its own.
pub(super) const STRETCH: usize = 4 << 10;

/// The most of them that are remembered of a file.
const MOST_STRETCHES: usize = 1000;

/// Reads large files, with what was learnt of them before.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Files that have not been changed since then are taken for settled.
    horizon: Horizon,
    known: &'a Excerpts,
    /// What holds of the files that were read.
    pub(super) learnt: Excerpts,
}

impl<'a> Reader<'a> {
    /// One that begins now.
    pub(super) fn new(known: &'a Excerpts) -> Self {
        Reader { horizon: Horizon::now(), known, learnt: Excerpts::new() }
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
        let stamp = Stamp::from(file.metadata()?);
        let name = canonical.to_str().filter(|_| stamp.size >= LARGE);
        let Some(name) = name else { return Ok(document::parse(&fs::read_open(file, limit)?, Syntax::Json)) };
        let said = format!("{}:{}", stamp.dev, stamp.text());
        if let Some(known) = self.known.get(name).filter(|known| known.stamp == said)
            && let Some(excerpt) = read(file, stamp.size, &known.skips)
            && let Ok(document) = document::parse(&excerpt, Syntax::Json)
            && Stamp::from(file.metadata()?) == stamp
        {
            self.learnt.insert(name.to_owned(), known.clone());
            return Ok(Ok(document));
        }
        let parsed = document::parse(&fs::read_open(file, limit)?, Syntax::Json);
        let is_settled = self.horizon.is_past(stamp.changed_ns()) && Stamp::from(file.metadata()?) == stamp;
        if let Ok(document) = &parsed
            && is_settled
            && (1..=MOST_STRETCHES).contains(&document.skipped.len())
        {
            let skips = document.skipped.iter().map(|skip| (skip.start as u64, skip.len() as u64)).collect();
            self.learnt.insert(name.to_owned(), Excerpt { stamp: said, skips });
        }
        Ok(parsed)
    }
}

/// A file of `size` bytes with `null` in place of each stretch; `None` if the stretches are not this file's.
fn read(file: &File, size: u64, skips: &[(u64, u64)]) -> Option<Vec<u8>> {
    let mut excerpt = Vec::new();
    let mut from = 0;
    for &(start, length) in skips.iter().chain([&(size, 0)]) {
        let kept = usize::try_from(start.checked_sub(from).filter(|_| start <= size)?).ok()?;
        let end = excerpt.len();
        excerpt.resize(end + kept, 0);
        file.read_exact_at(&mut excerpt[end..], from).ok()?;
        if start < size {
            excerpt.extend_from_slice(b"null");
        }
        from = start.checked_add(length)?;
    }
    Some(excerpt)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::Timestamp;
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
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Case {
        fn new(text: &str) -> Case {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("large.json");
            std::fs::write(&path, text).expect("written");
            Case { _directory: directory, path }
        }

        /// Reads it as the pass after next does: the file has been left alone for long.
        fn read(&self, known: &Excerpts) -> (Document, Excerpts) {
            self.read_with(Reader { horizon: Horizon::of(Timestamp::MAX), ..Reader::new(known) })
        }

        fn read_with(&self, mut reader: Reader<'_>) -> (Document, Excerpts) {
            let file = File::open(&self.path).expect("opened");
            let document = reader.document(&self.path, &file, 16 << 20).expect("read").expect("JSON");
            (document, reader.learnt)
        }

        fn name(&self) -> &str {
            self.path.to_str().expect("a path")
        }
    }

    #[test]
    fn of_an_unchanged_file_only_what_is_wanted_is_read_and_it_says_the_same() {
        let case = Case::new(&large("s3cr3t"));
        let (whole, learnt) = case.read(&Excerpts::new());
        assert_eq!(whole.skipped.len(), 3, "{:?}", whole.skipped);
        let (excerpt, again) = case.read(&learnt);
        assert_eq!(again, learnt, "what still holds is kept");
        assert!(excerpt.skipped.is_empty(), "it was read whole again");
        assert_eq!(excerpt.root, whole.root);
        let file = File::open(&case.path).expect("opened");
        let size = file.metadata().expect("metadata").len();
        let bytes = read(&file, size, &learnt[case.name()].skips).expect("an excerpt");
        assert!(bytes.len() < 1000, "{} bytes", bytes.len());
        let kept = serde_json::to_string(&learnt[case.name()]).expect("JSON");
        assert!(!kept.contains("s3cr3t") && !kept.contains("mcpServers") && !kept.contains("/p"), "{kept}");
    }

    #[test]
    fn a_changed_file_and_wrong_stretches_are_read_whole() {
        let case = Case::new(&large("one"));
        let (whole, learnt) = case.read(&Excerpts::new());
        // As long as before.
        std::fs::write(&case.path, large("two")).expect("written");
        let (changed, learnt_anew) = case.read(&learnt);
        assert_ne!(learnt_anew, learnt);
        assert_ne!(changed.root, whole.root);
        for wrong in [1, 99_999_999, u64::MAX / 2] {
            let mut bad = learnt_anew.clone();
            bad.get_mut(case.name()).expect("known").skips[0].0 += wrong;
            let (again, mended) = case.read(&bad);
            assert_eq!(again.root, changed.root, "{wrong}");
            assert_eq!(mended, learnt_anew, "{wrong}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_small_file_or_of_one_that_has_just_been_written() {
        let case = Case::new(r#"{"mcpServers": {"a": {"command": "x"}}}"#);
        assert!(case.read(&Excerpts::new()).1.is_empty());
        let case = Case::new(&large("x"));
        assert!(case.read_with(Reader::new(&Excerpts::new())).1.is_empty());
    }
}
