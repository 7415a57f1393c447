//! The detectors' file: a line with its version, a checksum of the rest, and the rest in postcard's binary form, a third of
//! what JSON takes. Read and written only when a slot has ended.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::Crc;

use super::store::{read, set_aside};
use crate::fs;
use crate::unusual::Learnt;

/// What the file begins with. Another shape of what follows is another version.
const HEADER: &[u8] = b"lab-probe unusual 2\n";

/// Far above 512 series.
const MAX_BYTES: u64 = 8 << 20;

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("unusual.bin")
}

/// What was learnt; `None` where there is no such file yet. A damaged one is set aside, with a sentence for a warning.
/// Errors: The operating system refuses to read it.
pub(crate) fn load(state_dir: &Path) -> anyhow::Result<(Option<Learnt>, Option<String>)> {
    let path = path(state_dir);
    match read(&path, MAX_BYTES, parse).with_context(|| format!("cannot read {}", path.display()))? {
        Ok(learnt) => Ok((learnt, None)),
        Err(why) => Ok((None, Some(set_aside(&path, "what was learnt of usual values", &why)))),
    }
}

/// Replaces the file in one rename, mode 0600.
pub(crate) fn save(state_dir: &Path, learnt: &Learnt) -> anyhow::Result<()> {
    let path = path(state_dir);
    let saved = serialize(learnt).map_err(Into::into).and_then(|bytes| fs::replace(&path, &bytes, 0o600));
    saved.with_context(|| format!("cannot save what was learnt of usual values {}", path.display()))
}

fn serialize(learnt: &Learnt) -> postcard::Result<Vec<u8>> {
    let body = postcard::to_extend(learnt, Vec::new())?;
    Ok([HEADER, &checksum(&body), &body].concat())
}

fn parse(bytes: &[u8]) -> anyhow::Result<Learnt> {
    let rest = bytes.strip_prefix(HEADER).context("it is not of the version that this lab-probe writes")?;
    let (sum, body) = rest.split_first_chunk().context("it is cut off")?;
    ensure!(*sum == checksum(body), "its checksum is wrong");
    Ok(postcard::from_bytes(body)?)
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(body);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unusual::Family;

    fn sample() -> Learnt {
        let mut learnt = Learnt::new(1_790_553_600);
        let points: Vec<_> = (0..20).map(|n| (format!("mcp/{n}"), Family::Handshake, 0.5)).collect();
        (0..50).for_each(|slot| learnt.close(slot, &points, |_| true));
        learnt
    }

    #[test]
    fn what_was_learnt_comes_back_and_takes_two_kilobytes_a_series_at_most() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(load(directory.path()).expect("read"), (None, None));
        save(directory.path(), &sample()).expect("saved");
        assert_eq!(load(directory.path()).expect("read"), (Some(sample()), None));
        let size = path(directory.path()).metadata().expect("a file").len();
        assert!(size < 20 * 2048, "{size} bytes");
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let whole = serialize(&sample()).expect("serialised");
        let mut flipped = whole.clone();
        flipped[5000] ^= 1;
        for damage in [&b""[..], b"{}", &whole[..whole.len() / 2], &whole[..22], &flipped] {
            std::fs::write(path(directory.path()), damage).expect("written");
            let (learnt, warning) = load(directory.path()).expect("read");
            assert!(learnt.is_none() && warning.is_some_and(|warning| warning.contains("set aside")));
            assert_eq!(std::fs::read(directory.path().join("unusual.bin.damaged")).expect("aside"), damage);
        }
    }
}
