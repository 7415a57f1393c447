//! The lines of a file that is read in pieces.

use std::time::Duration;

use super::lines::{self, Lines};
use crate::clock::Deadline;
use crate::model::thunes::Part;

/// Reads `bytes` as if each of `ends` had been the file's end in a pass of its own.
pub(in crate::check::thunes) fn in_pieces<T: Lines>(
    bytes: &[u8],
    ends: &[usize],
    mut tally: T,
    after: impl Fn(T) -> T,
) -> T {
    let mut part = Part::default();
    for &end in ends {
        let from = usize::try_from(part.position).expect("within the bytes");
        let deadline = Deadline::after(Duration::from_secs(60));
        lines::read(&bytes[from..end], &mut part, &mut tally, deadline).expect("in memory");
        tally = after(tally);
    }
    tally
}
