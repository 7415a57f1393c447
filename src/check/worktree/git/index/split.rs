//! A split index: what changed since the shared part was written, and how the two are joined (gitformat-index(5),
//! "Split index").

use std::io;
use std::path::Path;

use super::{Entry, Index, IndexError, MAX_BYTES, u32_at};
use crate::fs::read_capped;
use crate::model::digest::hex;

/// An entry with bytes of its own.
#[derive(Debug)]
pub(super) struct Joined {
    /// Where it stands in git's order: by path, then stage.
    path_with_nul: Vec<u8>,
    oid: Vec<u8>,
    /// Everything else; its own path and object id are empty.
    rest: Entry<'static>,
}

impl Joined {
    fn new(entry: &Entry<'_>) -> Joined {
        let Entry { path_with_nul, oid, .. } = *entry;
        let rest = Entry {
            path_with_nul: b"\0",
            oid: b"",
            mode: entry.mode,
            ctime: entry.ctime,
            mtime: entry.mtime,
            ino: entry.ino,
            size: entry.size,
            stage: entry.stage,
            assume_valid: entry.assume_valid,
            skip_worktree: entry.skip_worktree,
            intent_to_add: entry.intent_to_add,
        };
        Joined { path_with_nul: path_with_nul.to_owned(), oid: oid.to_owned(), rest }
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { path_with_nul: &self.path_with_nul, oid: &self.oid, ..self.rest }
    }
}

/// The entries of the index whose own part is `own` and whose extension `link` names the shared part in `git_dir`.
pub(super) fn join(own: &Index, link: &[u8], git_dir: &Path) -> Result<Vec<Joined>, IndexError> {
    // The own entries of version 4 are packed by names that are not in them.
    if own.version == 4 {
        return Err(IndexError::Unsupported);
    }
    let (shared, maps) = link.split_at_checked(own.oid_bytes).ok_or(IndexError::Damaged)?;
    let mut changes = Vec::new();
    own.for_each(|entry| changes.push(Joined::new(entry)));
    if shared.iter().all(|&byte| byte == 0) {
        return Ok(changes);
    }
    let shared = match read_capped(&git_dir.join(format!("sharedindex.{}", hex(shared))), MAX_BYTES) {
        Ok(bytes) => Index::parse(bytes, own.written)?,
        // Replaced since the own part was read, or pruned by hand: git has the better word for it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(IndexError::Damaged),
        Err(_) => return Err(IndexError::Unsupported),
    };
    let (deleted, maps) = bitmap(maps).ok_or(IndexError::Damaged)?;
    let (replaced, _) = bitmap(maps).ok_or(IndexError::Damaged)?;
    let mut changes = changes.into_iter();
    let mut joined = Vec::new();
    let mut position = 0;
    let mut whole = shared.link.is_none();
    shared.for_each(|entry| {
        let at = position;
        let has = |map: &[u64]| map.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1);
        position += 1;
        if has(&replaced) {
            // It has the place and the name of what it replaces.
            match changes.next().filter(|change| change.path_with_nul == b"\0") {
                Some(change) => joined.push(Joined { path_with_nul: entry.path_with_nul.to_owned(), ..change }),
                None => whole = false,
            }
        } else if !has(&deleted) {
            joined.push(Joined::new(entry));
        }
    });
    joined.extend(changes);
    joined.sort_by(|a, b| (&a.path_with_nul, a.rest.stage).cmp(&(&b.path_with_nul, b.rest.stage)));
    whole &= joined.iter().all(|entry| entry.path_with_nul != b"\0");
    if whole { Ok(joined) } else { Err(IndexError::Damaged) }
}

/// Unpacks a bitmap in EWAH form (gitformat-pack(5), appendix "EWAH"): 64 bits a word, the first bit the lowest. Returns
/// what follows it too.
fn bitmap(bytes: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let (bits, count) = (u32_at(bytes, 0)? as usize, u32_at(bytes, 4)? as usize);
    let (words, rest) = bytes.get(8..)?.split_at_checked(count.checked_mul(8)?)?;
    // The place of the last marker, which only a writer needs.
    let rest = rest.get(4..)?;
    let mut words = words.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_be_bytes));
    let length = bits.div_ceil(64);
    let mut map = Vec::new();
    while let Some(marker) = words.next() {
        // One bit, a 32-bit count of words full of it, a 31-bit count of words that follow as they are.
        let run = usize::try_from(marker >> 1 & 0xffff_ffff).ok()?.min(length.saturating_sub(map.len()));
        map.resize(map.len() + run, if marker & 1 == 1 { u64::MAX } else { 0 });
        for _ in 0..marker >> 33 {
            map.push(words.next()?);
        }
    }
    Some((map, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_literal_words_are_unpacked() {
        let mut bytes = Vec::new();
        bytes.extend(200_u32.to_be_bytes());
        bytes.extend(4_u32.to_be_bytes());
        // Two words of ones, then one as it is; then a run of zeros.
        for word in [1 | 2 << 1 | 1 << 33, 0b101, 1 << 1, 0_u64] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(b"rest");
        let (map, rest) = bitmap(&bytes).expect("a bitmap");
        assert_eq!((map.as_slice(), rest), ([u64::MAX, u64::MAX, 0b101, 0].as_slice(), b"rest".as_slice()));
        assert_eq!(bitmap(&bytes[..20]), None, "cut off");
        let endless = [&[0xff; 4][..], &1_u32.to_be_bytes(), &u64::MAX.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(bitmap(&endless), None, "more words than there are");
    }
}
