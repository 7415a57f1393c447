//! The lines of a file that is read in pieces.

use std::time::Duration;

use super::Tally;
use super::lines::{Cutter, Place};
use crate::clock::Deadline;

/// Reads `bytes` as if each of `ends` had been the file's end in a pass of its own.
pub(in crate::check::thunes) fn in_pieces<T: Tally>(
    bytes: &[u8],
    ends: &[usize],
    tally: impl Fn(T::Totals) -> T,
    after: impl Fn(T) -> T::Totals,
) -> T::Totals
where
    T::Totals: Default,
{
    let (mut totals, mut place) = (T::Totals::default(), Place::default());
    for &end in ends {
        let from = usize::try_from(place.position).expect("within the bytes");
        let mut tally = tally(totals);
        let deadline = Deadline::after(Duration::from_secs(60));
        Cutter::default().read(&mut &bytes[from..end], &mut place, &mut tally, deadline).expect("in memory");
        totals = after(tally);
    }
    totals
}
