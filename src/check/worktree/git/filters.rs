//! Files that pass a filter (gitattributes(5)) on their way into the repository.
//!
//! No filter is ever run, so git compares such a file as it is with the filtered content in the index: once its times
//! differ from the recorded ones, or are as young as the index, it seems changed. A recorded size that differs decides
//! without any content, as git itself decides. A Git LFS pointer is computed. Of the rest it cannot be told: they are not
//! counted, and that is said.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::config::Config;
use super::porcelain::{Change, Porcelain};
use super::{Git, GitError, refs};
use crate::clock::Deadline;
use crate::fs::open_regular;
use crate::model::digest::hex;
use crate::wording::plural;

const LFS: &[u8] = b"lfs";

/// More bytes than this are not hashed in one look at a worktree.
const MAX_HASHED_BYTES: u64 = 256 << 20;

/// Takes out of `porcelain` what only seems changed because no filter is run. Returns a sentence about files of which it
/// cannot be told.
pub(super) fn correct(git: &Git, config: &Config, porcelain: &mut Porcelain) -> Result<Option<String>, GitError> {
    if !config.filters.values().any(|cleans| *cleans) {
        return Ok(None);
    }
    let filtered = filtered(git, config, porcelain)?;
    if filtered.is_empty() {
        return Ok(None);
    }
    let sizes = recorded_sizes(git)?;
    let has_other_size = |(change, _): &(Change, Vec<u8>)| {
        let size = git.file(&change.path).symlink_metadata().map(|file| file.len());
        // The index has the low 32 bits, and 0 where only the content counts (racy git).
        matches!((sizes.get(&change.path), size), (Some(recorded @ 1..), Ok(size)) if size as u32 != *recorded)
    };
    let (of_lfs, others): (Vec<_>, Vec<_>) =
        filtered.into_iter().filter(|file| !has_other_size(file)).partition(|(_, driver)| driver == LFS);
    let verdicts = compare_with_pointers(git, &of_lfs)?.into_iter().chain(others.iter().map(|_| None));
    // With the driver of those of which it cannot be told.
    let unmodified: BTreeMap<&Vec<u8>, Option<&Vec<u8>>> = of_lfs
        .iter()
        .chain(&others)
        .zip(verdicts)
        .filter(|(_, verdict)| *verdict != Some(false))
        .map(|((change, driver), verdict)| (&change.path, verdict.is_none().then_some(driver)))
        .collect();
    porcelain.unmodified(|change| unmodified.contains_key(&change.path));
    Ok(note(unmodified.into_iter().filter_map(|(path, driver)| Some((path, driver?))).collect()))
}

/// Modified regular files of an unchanged mode whose attributes name a configured filter, and its name.
fn filtered(git: &Git, config: &Config, porcelain: &Porcelain) -> Result<Vec<(Change, Vec<u8>)>, GitError> {
    let candidates = porcelain.modified().filter(|change| {
        !change.deleted && !change.submodule && change.mode.starts_with(b"100") && change.mode == change.index_mode
    });
    let candidates: HashMap<&[u8], &Change> = candidates.map(|change| (change.path.as_slice(), change)).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let input: Vec<u8> = candidates.keys().flat_map(|path| [path, b"\0".as_slice()].concat()).collect();
    let output = git.run(&["check-attr", "-z", "--stdin", "filter"], &input)?;
    let fields: Vec<&[u8]> = output.split(|&b| b == 0).collect();
    let (answers, _) = fields.as_chunks::<3>();
    let named = answers.iter().filter(|[_, _, driver]| config.filters.get(*driver).is_some_and(|cleans| *cleans));
    Ok(named.filter_map(|[path, _, driver]| Some(((*candidates.get(path)?).clone(), driver.to_vec()))).collect())
}

/// The size of every tracked file as the index has recorded it: each path, NUL, and then lines of `key: value`
/// (git-ls-files(1), `--debug`).
fn recorded_sizes(git: &Git) -> Result<HashMap<Vec<u8>, u32>, GitError> {
    const LINES: usize = 5;
    let output = git.ls_files(&["-z", "--debug"])?;
    let mut fields = output.split(|&b| b == 0);
    let mut path = fields.next().unwrap_or_default();
    let mut sizes = HashMap::new();
    for field in fields {
        let mut lines: Vec<&[u8]> = field.splitn(LINES + 1, |&b| b == b'\n').collect();
        let next = lines.pop().unwrap_or_default();
        let size = lines.iter().find_map(|line| line.trim_ascii_start().strip_prefix(b"size: "));
        let digits = size.and_then(|size| size.split(|&b| b == b'\t').next()).map(String::from_utf8_lossy);
        sizes.insert(path.to_owned(), digits.and_then(|digits| digits.parse().ok()).unwrap_or(0));
        path = next;
    }
    Ok(sizes)
}

fn compare_with_pointers(git: &Git, files: &[(Change, Vec<u8>)]) -> Result<Vec<Option<bool>>, GitError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<u8> = files.iter().flat_map(|(file, _)| [file.index_oid.as_slice(), b"\n"].concat()).collect();
    let blobs = refs::objects(git, &oids, files.len(), "blob")?;
    let mut budget = MAX_HASHED_BYTES;
    let judged = files.iter().zip(blobs).map(|((file, _), blob)| {
        let (_, pointer) = blob?;
        is_pointer_of(&pointer, &git.file(&file.path), &mut budget, git.deadline)
    });
    Ok(judged.collect())
}

/// Compares a file with a pointer (github.com/git-lfs/git-lfs, docs/spec.md). One with extensions needs programs.
fn is_pointer_of(pointer: &[u8], path: &Path, budget: &mut u64, deadline: Deadline) -> Option<bool> {
    let size_on_disk = path.symlink_metadata().ok()?.len();
    // An empty file has no pointer.
    if pointer.is_empty() || size_on_disk == 0 {
        return Some(pointer.is_empty() && size_on_disk == 0);
    }
    let text = std::str::from_utf8(pointer).ok()?;
    let mut lines = text.lines();
    if lines.next() != Some("version https://git-lfs.github.com/spec/v1") || text.contains("\next-") {
        return None;
    }
    let keys: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once(' ')).collect();
    let size: u64 = keys.get("size")?.parse().ok()?;
    let oid = keys.get("oid")?.strip_prefix("sha256:")?;
    if size != size_on_disk {
        return Some(false);
    }
    *budget = budget.checked_sub(size)?;
    Some(sha256(path, size, deadline)? == oid)
}

fn sha256(path: &Path, size: u64, deadline: Deadline) -> Option<String> {
    let mut file = open_regular(path).ok()?.take(size + 1);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hex(&hash.finalize())),
            _ if deadline.passed() => return None,
            read => hash.update(&buffer[..read]),
        }
    }
}

fn note(unknown: Vec<(&Vec<u8>, &Vec<u8>)>) -> Option<String> {
    let (path, driver) = unknown.first()?;
    let (path, driver) = (path.escape_ascii(), driver.escape_ascii().to_string());
    let (are, more) = if unknown.len() == 1 { ("is", "") } else { ("are", ", …") };
    let files = plural(unknown.len(), "file");
    Some(format!(
        "{files} {are} not compared, because the filter {driver:?} is never run: {path}{more}; run `git status` there once"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pointer_stands_for_one_content() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "abc").expect("written");
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pointer =
            |rest: &str, size: u64| format!("version https://git-lfs.github.com/spec/v1\n{rest}size {size}\n");
        let oid = format!("oid sha256:{of_abc}\n");
        let deadline = Deadline::after(Duration::from_secs(20));
        let verdict = |pointer: &str| is_pointer_of(pointer.as_bytes(), &path, &mut 100, deadline);
        assert_eq!(verdict(&pointer(&oid, 3)), Some(true));
        assert_eq!(verdict(&pointer(&oid, 4)), Some(false));
        assert_eq!(verdict(&pointer(&oid.replace("ba", "bb"), 3)), Some(false));
        assert_eq!(verdict(&pointer(&format!("ext-0-x sha256:0\n{oid}"), 3)), None);
        assert_eq!(verdict("some text"), None);
        assert_eq!(verdict(""), Some(false));
        assert_eq!(is_pointer_of(pointer(&oid, 3).as_bytes(), &path, &mut 2, deadline), None, "too much to hash");
    }
}
