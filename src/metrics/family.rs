//! What is declared of a metric family.

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    Gauge,
    /// Only goes up, survives restarts.
    Counter,
    /// Cumulative buckets with these upper bounds; `+Inf` is implied.
    Histogram(&'static [f64]),
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram(_) => "histogram",
        }
    }

    /// How many bounds the buckets have; 0 for a plain number.
    pub(super) const fn bounds(self) -> usize {
        match self {
            Type::Gauge | Type::Counter => 0,
            Type::Histogram(bounds) => bounds.len(),
        }
    }
}

#[derive(Debug, PartialEq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Type,
    /// Label names, in the order they are written; the config's own labels come after them.
    pub labels: &'static [&'static str],
    pub help: &'static str,
    pub unit: &'static str,
    /// What single values, or values of a label, mean; empty where the unit says it all.
    pub values: &'static [(&'static str, &'static str)],
    /// What to do, or what it is good for.
    pub next: &'static str,
}

/// A [`Family`] that knows at compile time how many labels (`LABELS`) and bucket bounds (`BOUNDS`, 0 for gauges and
/// counters) it has, so that a sample with a label too few is no program.
#[derive(Debug, PartialEq)]
pub struct Declared<const LABELS: usize, const BOUNDS: usize>(pub(super) Family);

impl<const LABELS: usize, const BOUNDS: usize> std::ops::Deref for Declared<LABELS, BOUNDS> {
    type Target = Family;

    fn deref(&self) -> &Family {
        &self.0
    }
}
