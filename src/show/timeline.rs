//! A target's states over time: which state held from when to when, and where nothing is known.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::history::{Mark, Record};

/// Without a pass for so long a state is not believed to have gone on: five ticks of the timer.
const BELIEVED: Duration = Duration::from_secs(150);

#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    pub from: Timestamp,
    /// To, not included.
    pub to: Timestamp,
    pub mark: Option<Mark>,
}

impl Stretch {
    pub fn length(&self) -> Duration {
        Duration::try_from(self.to.duration_since(self.from)).unwrap_or(Duration::ZERO)
    }
}

/// The stretches of one target between `from` and `to`, without gaps, in order.
pub fn stretches(records: &[Record], id: &str, from: Timestamp, to: Timestamp) -> Vec<Stretch> {
    let mut out: Vec<Stretch> = Vec::new();
    let mut push = |until: Timestamp, mark: Option<&Mark>| {
        let (until, done) = (until.clamp(from, to), out.last().map_or(from, |last| last.to));
        match out.last_mut() {
            _ if until <= done => {}
            Some(last) if last.mark.as_ref() == mark => last.to = until,
            _ => out.push(Stretch { from: done, to: until, mark: mark.cloned() }),
        }
    };
    let mut current: Option<&Mark> = None;
    for (index, record) in records.iter().enumerate() {
        match record.marks.get(id) {
            Some(mark) => current = mark.as_ref(),
            None if record.whole => current = None,
            None => {}
        }
        // What a pass found holds until the next one, or until it is not believed any more.
        let next = records.get(index + 1).map_or(to, |next| next.at);
        let believed = record.at.checked_add(BELIEVED).unwrap_or(Timestamp::MAX);
        push(record.at, None);
        push(believed.min(next), current);
        push(next, None);
    }
    push(to, None);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn record(second: i64, whole: bool, word: Option<&str>) -> Record {
        let mark = |word: &str| Some(Mark { word: word.into(), ..Mark::default() });
        Record {
            at: at(second),
            whole,
            marks: word.map(|word| BTreeMap::from([("a".to_owned(), mark(word))])).unwrap_or_default(),
            deadline_exceeded: false,
            failed_outputs: Vec::new(),
            points: None,
            widespread: None,
        }
    }

    fn shown(records: &[Record], from: i64, to: i64) -> Vec<(i64, i64, String)> {
        let word = |stretch: &Stretch| stretch.mark.as_ref().map_or("-".into(), |mark| mark.word.clone());
        let stretches = stretches(records, "a", at(from), at(to));
        stretches.iter().map(|s| (s.from.as_second(), s.to.as_second(), word(s))).collect()
    }

    #[test]
    fn states_hold_until_the_next_pass_and_no_longer_than_they_are_believed() {
        let records = [
            record(100, true, Some("up")),
            record(130, false, None),
            record(160, false, Some("down")),
            record(1000, false, Some("up")),
        ];
        let expected = [(0, 100, "-"), (100, 160, "up"), (160, 310, "down"), (310, 1000, "-"), (1000, 1100, "up")];
        let expected: Vec<_> = expected.map(|(from, to, word)| (from, to, word.to_owned())).to_vec();
        assert_eq!(shown(&records, 0, 1100), expected);
        assert_eq!(shown(&[], 0, 10), [(0, 10, "-".to_owned())]);
        assert_eq!(shown(&records, 120, 150), [(120, 150, "up".to_owned())]);
    }

    #[test]
    fn a_target_that_is_not_in_a_whole_record_has_gone() {
        let records = [record(0, true, Some("up")), record(60, true, None)];
        let expected = [(0, 60, "up".to_owned()), (60, 100, "-".to_owned())];
        assert_eq!(shown(&records, 0, 100), expected);
    }
}
