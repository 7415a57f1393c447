//! Which differences matter in each family of series.

use crate::model::unusual::Family;

/// How values are transformed so that their spread does not depend on their level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transform {
    /// Natural logarithm: durations and sizes, which vary by factors.
    Ln,
    /// Anscombe's square root: counts, whose variance grows with their mean.
    Sqrt,
    Identity,
}

impl Family {
    /// The transform, and the least differences: as a share of the expected value, and in the family's unit.
    const fn limits(self) -> (Transform, f64, f64) {
        use Transform::{Identity, Ln, Sqrt};
        match self {
            // Below 50 ms nobody feels a slower start.
            Family::Handshake => (Ln, 0.30, 0.050),
            Family::Rss => (Ln, 0.15, 2e6),
            // The kernel accounts in ticks of 10 ms: three of them are no rounding.
            Family::Cpu => (Ln, 0.40, 0.030),
            // One tool fewer is one that an AI client misses.
            Family::Tools => (Identity, 0.0, 1.0),
            Family::Orders => (Sqrt, 0.50, 3.0),
            Family::OrderLatency => (Ln, 0.40, 10.0),
            Family::WsGap => (Ln, 1.0, 1.0),
            Family::Service => (Ln, 1.0, 0.050),
        }
    }

    /// The scale on which the detector works. Finite for any input: what is negative counts as zero where the transform
    /// has no value for it, and a thousandth of the least difference keeps the logarithm of zero finite.
    pub(super) fn transform(self, value: f64) -> f64 {
        let (transform, _, absolute) = self.limits();
        // Far beyond any real value, and its residuals fit single precision.
        let value = if value.is_nan() { 0.0 } else { value.clamp(-1e30, 1e30) };
        match transform {
            Transform::Ln => (value.max(0.0) + 0.001 * absolute).ln(),
            Transform::Sqrt => 2.0 * (value.max(0.0) + 0.375).sqrt(),
            Transform::Identity => value,
        }
    }

    /// The value whose transform is `y`.
    pub(super) fn back(self, y: f64) -> f64 {
        let (transform, _, absolute) = self.limits();
        match transform {
            Transform::Ln => (y.min(700.0).exp() - 0.001 * absolute).max(0.0),
            Transform::Sqrt => ((y.max(0.0) / 2.0).powi(2) - 0.375).max(0.0),
            Transform::Identity => y,
        }
    }

    /// What is added to the scale of residuals: a series that never moves (a count of tools) has none of its own.
    pub(super) fn scale_floor(self) -> f64 {
        let (transform, _, absolute) = self.limits();
        match transform {
            Transform::Ln => 0.02,
            Transform::Sqrt => 0.3,
            // One tool fewer is rare enough after two days.
            Transform::Identity => 0.1 * absolute,
        }
    }

    /// The mean absolute residual that a count has by chance alone, of Poisson's distribution: 0.8 after Anscombe's
    /// transform, less where hardly any is expected. What a night taught of the scale would make a market's opening unusual.
    pub(super) fn least_spread(self, expected: f64) -> f64 {
        if self.is_counted() { 0.8 * self.back(expected).min(1.0) } else { 0.0 }
    }

    pub(super) const fn least_difference(self) -> f64 {
        self.limits().2
    }

    /// Whether it counts what comes in a slot.
    pub(super) fn is_counted(self) -> bool {
        self.limits().0 == Transform::Sqrt
    }

    /// Whether a difference from what is expected is large enough to matter.
    pub(super) fn matters(self, value: f64, expected: f64) -> bool {
        let (_, relative, absolute) = self.limits();
        let difference = (value - expected).abs();
        // A tenth less, so that a difference of one tool is one despite rounding.
        difference >= 0.9 * absolute && difference >= relative * expected
    }

    /// Whether slow growth over days is looked for: only where a factor is what matters.
    pub(super) fn has_trend(self) -> bool {
        self.limits().0 == Transform::Ln
    }
}
