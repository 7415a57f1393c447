//! What is remembered of a detector's verdicts: the anomaly that is open, and what ended of late.

use super::detector::{Anomaly, Verdict};
use crate::model::unusual::{DAY_SLOTS, Level, NewNormal, SLOT_SECONDS, SeriesState};

/// A trend, and a new normal, are news for so long, in seconds.
const NEWS_SECONDS: i64 = DAY_SLOTS * SLOT_SECONDS;

/// Takes the verdict on the value of the slot that begins at `time` (Unix seconds). Gives the run that ended with it.
pub(crate) fn note(state: &mut SeriesState, time: i64, value: f64, verdict: &Verdict) -> Option<Level> {
    let Verdict { lower, upper, expected, .. } = *verdict;
    let is_news = |at: i64| (0..NEWS_SECONDS).contains(&time.saturating_sub(at));
    state.points = state.points.saturating_add(1);
    (state.lower, state.upper) = (lower, upper);
    state.trend = state.trend.filter(|trend| is_news(trend.at));
    state.new_normal = state.new_normal.filter(|new_normal| is_news(new_normal.at));
    let until = time.saturating_add(SLOT_SECONDS);
    match (verdict.anomaly, &mut state.level) {
        (Some(Anomaly::Trend(trend)), _) => state.trend = Some(trend),
        (Some(Anomaly::Level), None) => {
            let above = value > expected;
            state.level = Some(Level { since: time, until, value, lower, upper, above, is_normal: false });
        }
        (Some(Anomaly::Level), Some(level)) => {
            level.until = until;
            if (value - expected).abs() > (level.value - expected).abs() {
                (level.value, level.lower, level.upper) = (value, lower, upper);
            }
        }
        (None, _) => {
            if verdict.new_normal {
                state.new_normal = Some(NewNormal { at: time, value });
            }
            return state.level.take().map(|level| Level { is_normal: verdict.new_normal, ..level });
        }
    }
    None
}
