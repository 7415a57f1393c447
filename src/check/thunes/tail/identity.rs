//! Tells whether a file is the one that was read before, by what it is and by what it holds.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::model::digest::hex;
use crate::model::thunes::{FileFacts, Fingerprint, Part};

/// Bytes at the start of a file that it is known by: some twenty lines, each with its own time.
const HEAD_BYTES: u64 = 4096;
/// Bytes before the position, which tell a file that was truncated and has grown past the position again.
const TAIL_BYTES: u64 = 1024;

pub(super) fn facts(metadata: &Metadata) -> FileFacts {
    let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    FileFacts {
        device: metadata.dev(),
        inode: metadata.ino(),
        born: born.and_then(|since| i64::try_from(since.as_nanos()).ok()),
        size: metadata.len(),
        modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
    }
}

impl FileFacts {
    /// Whether this is the very file (content aside).
    pub(super) fn is(&self, known: &FileFacts) -> bool {
        let same_birth = self.born.is_none() || known.born.is_none() || self.born == known.born;
        self.same_file(known) && same_birth
    }

    pub(super) fn same_file(&self, other: &FileFacts) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Whether a plain file still holds everything that was consumed of this part, as far as head and tail tell.
pub(super) fn holds(file: &File, size: u64, part: &Part) -> io::Result<bool> {
    if size < part.position {
        return Ok(false);
    }
    Ok(matches(file, 0, &part.head)? && matches(file, part.position.saturating_sub(part.tail.length), &part.tail)?)
}

/// Whether a plain file begins with the head of this part.
pub(super) fn begins_with(file: &File, part: &Part) -> io::Result<bool> {
    Ok(part.head.length > 0 && matches(file, 0, &part.head)?)
}

fn matches(file: &File, from: u64, wanted: &Fingerprint) -> io::Result<bool> {
    // The length comes from the state, which may be damaged; ours are never longer.
    if wanted.length > HEAD_BYTES {
        return Ok(false);
    }
    match fingerprint(file, from, wanted.length) {
        Ok(found) => Ok(found == *wanted),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes the fingerprints of a plain file that has been consumed up to the part's position.
pub(super) fn take(file: &File, part: &mut Part) -> io::Result<()> {
    if part.head.length < HEAD_BYTES {
        part.head = fingerprint(file, 0, part.position.min(HEAD_BYTES))?;
    }
    let length = part.position.min(TAIL_BYTES);
    part.tail = fingerprint(file, part.position - length, length)?;
    Ok(())
}

fn fingerprint(file: &File, from: u64, length: u64) -> io::Result<Fingerprint> {
    let mut bytes = [0; HEAD_BYTES as usize];
    let bytes = &mut bytes[..usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(bytes, from)?;
    Ok(digest(bytes))
}

fn digest(bytes: &[u8]) -> Fingerprint {
    if bytes.is_empty() {
        return Fingerprint::default();
    }
    let digest = hex(&Sha256::digest(bytes));
    Fingerprint { length: bytes.len() as u64, digest }
}

/// Whether `copy` holds what `original` begins with, as far as its first and last bytes tell.
pub(super) fn is_copy_of(copy: &File, copy_size: u64, original: &File) -> io::Result<bool> {
    let mut part = Part { position: copy_size, ..Part::default() };
    take(copy, &mut part)?;
    Ok(copy_size > 0 && holds(original, copy_size, &part)?)
}

pub(super) fn head(mut file: &File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    head_of(file)
}

pub(super) fn head_of(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How many of the lines in the first `size` bytes of a file that begins with `head` tell it from others: they hold what is
/// asked for (a digit, as every time does; at the least a word) and occur once.
pub(super) fn distinctive_lines(head: &[u8], size: u64, asked: fn(&u8) -> bool) -> usize {
    let within = &head[..head.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
    let is_whole = |line: &&[u8]| line.ends_with(b"\n") || within.len() as u64 == HEAD_BYTES;
    let mut times: BTreeMap<&[u8], usize> = BTreeMap::new();
    head.split_inclusive(|byte| *byte == b'\n').for_each(|line| *times.entry(line).or_default() += 1);
    let lines = within.split_inclusive(|byte| *byte == b'\n').filter(is_whole);
    lines.filter(|line| times.get(line) == Some(&1) && line.iter().any(asked)).count()
}

/// Reads a stream up to the part's position and says whether it held what was consumed; `None` if it gave up.
pub(super) fn skip(stream: &mut dyn Read, part: &Part, give_up: &dyn Fn() -> bool) -> io::Result<Option<bool>> {
    let (head, tail) = (part.head.length.min(HEAD_BYTES), part.tail.length.min(TAIL_BYTES));
    let mut first = vec![0; usize::try_from(head.min(part.position)).unwrap_or(0)];
    stream.read_exact(&mut first)?;
    if digest(&first) != part.head {
        return Ok(Some(false));
    }
    // The last bytes, a sliding window over what is thrown away.
    let mut window = first;
    let mut left = part.position - window.len() as u64;
    while left > 0 {
        if give_up() {
            return Ok(None);
        }
        match (&mut *stream).take(left.min(64 << 10)).read_to_end(&mut window)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => left -= read as u64,
        }
        let surplus = window.len().saturating_sub(TAIL_BYTES as usize);
        window.drain(..surplus);
    }
    let from = window.len().saturating_sub(usize::try_from(tail).unwrap_or(0));
    Ok(Some(digest(&window[from..]) == part.tail))
}
