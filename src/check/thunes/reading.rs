//! What became of one journal or log in a check, and which of what several of them say is the newest.

use jiff::{SignedDuration, Timestamp};

use crate::model::thunes::Totals;

/// A time ahead of the pass by more is no time that anything happened at.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadState {
    Ready,
    /// So many bytes are left, for which this pass had no time.
    Behind(u64),
    Missing,
    /// In the operating system's words.
    Unreadable(String),
    /// Moved or truncated all the while.
    Unsettled,
}

#[derive(Debug)]
pub(super) struct Reading {
    /// The path as the config has it.
    pub(super) name: String,
    pub(super) state: ReadState,
    /// It has been there, now or before.
    pub(super) known: bool,
    pub(super) gaps: u64,
    pub(super) losses: Vec<String>,
    /// It ends in an unfinished line that may be any event.
    pub(super) is_waiting: bool,
    pub(super) totals: Totals,
}

impl Reading {
    pub(super) fn is_ready(&self) -> bool {
        self.state == ReadState::Ready
    }

    /// It was never there: a file that nobody writes is no source.
    pub(super) fn is_absent(&self) -> bool {
        self.state == ReadState::Missing && !self.known
    }

    /// It is a source and does not say all that it has.
    pub(super) fn fails(&self) -> bool {
        !self.is_ready() && !self.is_absent()
    }

    /// It will be readable by itself: this pass only did not get to its end.
    pub(super) fn is_catching_up(&self) -> bool {
        matches!(self.state, ReadState::Behind(_) | ReadState::Unsettled)
    }

    pub(super) fn sentence(&self) -> Option<String> {
        match &self.state {
            ReadState::Ready => None,
            ReadState::Behind(left) => {
                Some(format!("still being read, {} MiB are left; its values follow when it has been", (left >> 20) + 1))
            }
            ReadState::Missing => Some("there is no such file".to_owned()),
            ReadState::Unreadable(error) => Some(error.clone()),
            ReadState::Unsettled => Some("moved or truncated while it was read; the next pass reads it".to_owned()),
        }
    }
}

/// What one file says of a thing that several may speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement<'a, T> {
    pub(super) value: T,
    pub(super) at: Option<Timestamp>,
    pub(super) source: &'a Reading,
}

/// The newest of what files state (a value, and when) by their own times. `None` if nothing tells which it is and they
/// differ: a time is missing, has not come yet, or is another's too.
pub(super) fn newest<'a, T: PartialEq + Copy>(
    files: impl IntoIterator<Item = &'a Reading>,
    stated: impl Fn(&'a Reading) -> Option<(T, Option<Timestamp>)>,
    now: Timestamp,
) -> Option<Statement<'a, T>> {
    let statement = |source| {
        let (value, at) = stated(source)?;
        let at = at.filter(|at| at.duration_since(now) <= MAX_AHEAD);
        Some(Statement { value, at, source })
    };
    let statements: Vec<_> = files.into_iter().filter_map(statement).collect();
    let newest = *statements.iter().max_by_key(|statement| statement.at)?;
    let is_older = |other: &Statement<'a, T>| other.value == newest.value || other.at.is_some() && other.at < newest.at;
    statements.iter().all(is_older).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::thunes::Stated;

    /// A file that states this of a symbol.
    fn file((connected, at): (bool, Option<Timestamp>)) -> Reading {
        let ws = [(String::new(), Stated { value: connected, at })].into();
        let (name, state, losses) = (String::new(), ReadState::Ready, Vec::new());
        Reading {
            name,
            state,
            known: true,
            gaps: 0,
            losses,
            is_waiting: false,
            totals: Totals { ws, ..Totals::default() },
        }
    }

    #[test]
    fn the_newest_is_told_only_where_times_tell_it_or_all_agree() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let told = |statements: &[(bool, Option<i64>)]| {
            let at = |seconds| now + SignedDuration::from_secs(seconds);
            let files: Vec<Reading> = statements.iter().map(|(value, ahead)| file((*value, ahead.map(at)))).collect();
            newest(&files, |file| file.totals.ws.get("").map(|ws| (ws.value, ws.at)), now).map(|newest| newest.value)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[(true, None)]), Some(true));
        assert_eq!(told(&[(true, Some(-5)), (false, Some(-3))]), Some(false));
        assert_eq!(told(&[(true, None), (true, Some(-3))]), Some(true));
        for untold in [
            [(true, None), (false, Some(-3))],
            [(true, Some(-3)), (false, Some(-3))],
            [(true, Some(-3)), (false, Some(3600))],
        ] {
            assert_eq!(told(&untold), None, "{untold:?}");
        }
    }
}
