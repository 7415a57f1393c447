//! How rare a value of a statistic is among those that the series itself has shown.

use serde::{Deserialize, Serialize};

/// Bins of a histogram: four to a factor of two, from [`LEAST`] on, so up to 256 scales.
const BINS: usize = 48;

/// The statistic's value at which the second bin begins.
const LEAST: f64 = 0.0625;

/// More than the last bin begins at tells nothing more.
const MOST: f64 = 1e6;

/// A point's weight is divided by e after so many points: two weeks of slots.
const MEMORY_POINTS: f32 = 4032.0;

/// The prior is worth so many points.
const PRIOR_POINTS: f64 = 5.0;

/// A decaying histogram of a statistic; a conformal p-value with a heavy-tailed prior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    bins: Vec<f32>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { bins: vec![0.0; BINS] }
    }
}

impl Calibration {
    /// −log₁₀ of the share of values at least as large as `z`: 4 means one in ten thousand. A rank, not a rate: what the
    /// histogram cannot know yet comes from the prior, which falls with the fourth power of `z`.
    pub(super) fn rank(&self, z: f64) -> f64 {
        let z = z.min(MOST);
        let position = position(z);
        let own = position as usize;
        let above: f64 = self.bins.iter().skip(own + 1).map(|&bin| f64::from(bin)).sum();
        // Of its own bin the part above it, pro rata.
        let mass = above + f64::from(self.bins[own]) * (1.0 - position.fract());
        let total: f64 = self.bins.iter().map(|&bin| f64::from(bin)).sum();
        let prior = PRIOR_POINTS * (1.0 + z / 2.0).powi(-4);
        -((mass + prior) / (total + PRIOR_POINTS)).log10()
    }

    pub(super) fn add(&mut self, z: f64) {
        self.bins.iter_mut().for_each(|bin| *bin *= 1.0 - 1.0 / MEMORY_POINTS);
        self.bins[position(z) as usize] += 1.0;
    }
}

/// Where `z` stands among the bins.
fn position(z: f64) -> f64 {
    (4.0 * (z.max(LEAST) / LEAST).log2()).clamp(0.0, BINS as f64 - 1e-9)
}
