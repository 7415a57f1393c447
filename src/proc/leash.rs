//! What a keeper tells the probe over the leash: two fixed records, each sent once.

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum RecordKind {
    /// The program has ended; the value is its wait status. Others of its tree may live on.
    Exited = 1,
    /// The last process of the tree has ended; usage is that of all of them.
    Done = 2,
}

/// One record. Plain numbers, because the keeper writes it without the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) value: i64,
    /// User and system time, microseconds (getrusage(2), RUSAGE_CHILDREN).
    pub(super) cpu_micros: i64,
    /// Largest resident set of one process, KiB (getrusage(2), RUSAGE_CHILDREN).
    pub(super) max_rss_kib: i64,
}

/// Bytes of a record on the leash.
pub(super) const RECORD_BYTES: usize = 32;

impl Record {
    pub(super) fn encode(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let words = [self.kind as i64, self.value, self.cpu_micros, self.max_rss_kib];
        for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// `None` for bytes no keeper writes.
    pub(super) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Record> {
        let mut words = bytes.chunks_exact(8).map(|w| i64::from_ne_bytes(w.try_into().unwrap_or_default()));
        let kind = match words.next()? {
            1 => RecordKind::Exited,
            2 => RecordKind::Done,
            _ => return None,
        };
        Some(Record { kind, value: words.next()?, cpu_micros: words.next()?, max_rss_kib: words.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_leash() {
        for kind in [RecordKind::Exited, RecordKind::Done] {
            let record = Record { kind, value: -7, cpu_micros: 1_500_000, max_rss_kib: 4096 };
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[0; RECORD_BYTES]), None);
    }
}
