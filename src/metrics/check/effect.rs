//! What node_exporter makes of a trouble, version by version.
//!
//! Each effect was seen with node_exporter 1.5.0, 1.9.0 and 1.11.1; the versions at which behaviour changes come from
//! its and prometheus/common's history.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Ignored,
    Served,
    /// Leaves series out while the scrape answers 200 and `node_textfile_scrape_error` stays 0.
    SeriesDropped,
    /// Skips the later file's whole family and sets `node_textfile_scrape_error`.
    FamilySkipped,
    /// Drops the whole file and sets `node_textfile_scrape_error`.
    FileDropped,
    /// Gives the sample to another family, or drops the file.
    Misplaced,
    /// Never answers.
    Hang,
    /// Crashes, and everything else it measures is lost with it.
    Crash,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Ignored => "does not look at it",
            Effect::Served => "serves it as it stands",
            Effect::SeriesDropped => "leaves series out and still answers 200",
            Effect::FamilySkipped => "skips this file's family and sets node_textfile_scrape_error",
            Effect::FileDropped => "drops the whole file and sets node_textfile_scrape_error",
            Effect::Misplaced => "drops the file or gives the sample to another family",
            Effect::Hang => "hangs at every scrape",
            Effect::Crash => "crashes at every scrape",
        })
    }
}

/// What the versions do: pairs of the first minor version of 1.x and its effect, the first pair for 1.4 and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects(pub(super) &'static [(u32, Effect)]);

impl Effects {
    pub(super) const IGNORED: Effects = Effects(&[(4, Effect::Ignored)]);
    pub(super) const SERVED: Effects = Effects(&[(4, Effect::Served)]);
    pub(super) const SERIES_DROPPED: Effects = Effects(&[(4, Effect::SeriesDropped)]);
    pub(super) const FILE_DROPPED: Effects = Effects(&[(4, Effect::FileDropped)]);
    pub(super) const CRASH: Effects = Effects(&[(4, Effect::Crash)]);
    pub(super) const HANG: Effects = Effects(&[(4, Effect::Hang)]);
    /// HELP that differs: caught by the collector since 1.8, by the registry before.
    pub(super) const HELP_CLASH: Effects = Effects(&[(4, Effect::SeriesDropped), (8, Effect::FamilySkipped)]);
    /// No HELP after two that differ: since 1.8 a nil pointer is followed.
    pub(super) const HELP_MISSING_AFTER_CLASH: Effects = Effects(&[(4, Effect::SeriesDropped), (8, Effect::Crash)]);
    /// HELP as in the first file, after another one that differs: since 1.8 skipped all the same.
    pub(super) const HELP_AFTER_CLASH: Effects = Effects(&[(4, Effect::Served), (8, Effect::FamilySkipped)]);
    /// Quoting as of the UTF-8 names of 2024.
    pub(super) const QUOTED: Effects = Effects(&[(4, Effect::FileDropped), (9, Effect::Served)]);
    /// A quoted name that classic rules do not allow.
    pub(super) const QUOTED_UTF8: Effects =
        Effects(&[(4, Effect::FileDropped), (9, Effect::Crash), (10, Effect::FileDropped)]);
    /// A sample without a name.
    pub(super) const NAMELESS: Effects = Effects(&[(4, Effect::FileDropped), (9, Effect::Misplaced)]);
    /// `gauge_histogram`, known as a type before it could be read or served.
    pub(super) const GAUGE_HISTOGRAM: Effects = Effects(&[(4, Effect::Served), (10, Effect::Crash)]);
    /// `gaugehistogram`, OpenMetrics' word for it.
    pub(super) const GAUGEHISTOGRAM: Effects = Effects(&[(4, Effect::FileDropped), (10, Effect::Crash)]);
    /// A bucket or count below zero.
    pub(super) const NEGATIVE_COUNT: Effects = Effects(&[(4, Effect::Served), (10, Effect::FileDropped)]);
    /// A directory called `….prom`.
    pub(super) const DIRECTORY: Effects = Effects(&[(4, Effect::Served), (6, Effect::FileDropped)]);

    /// What node_exporter 1.`minor` does.
    pub fn on(self, minor: u32) -> Effect {
        self.0.iter().rev().find(|(from, _)| *from <= minor).map_or(Effect::Served, |(_, effect)| *effect)
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, effect)] = self.0 {
            return write!(f, "node_exporter {effect}");
        }
        for (i, (from, effect)) in self.0.iter().enumerate() {
            match (i, self.0.get(i + 1)) {
                (0, Some((next, _))) => write!(f, "node_exporter up to 1.{} {effect}", next - 1)?,
                (_, Some((next, _))) if from + 1 == *next => write!(f, ", 1.{from} {effect}")?,
                (_, Some((next, _))) => write!(f, ", 1.{from} to 1.{} {effect}", next - 1)?,
                (_, None) => write!(f, ", from 1.{from} {effect}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_says_which_versions_do_what() {
        assert_eq!(Effects::CRASH.to_string(), "node_exporter crashes at every scrape");
        assert_eq!(
            Effects::QUOTED_UTF8.to_string(),
            "node_exporter up to 1.8 drops the whole file and sets node_textfile_scrape_error, 1.9 crashes at every \
             scrape, from 1.10 drops the whole file and sets node_textfile_scrape_error"
        );
        let on = |minor| Effects::QUOTED_UTF8.on(minor);
        assert_eq!(
            [on(5), on(8), on(9), on(10), on(99)].map(|e| e == Effect::Crash),
            [false, false, true, false, false]
        );
    }
}
