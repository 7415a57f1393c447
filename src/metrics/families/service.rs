//! `lab_service_*`.

use super::{Samples, bool_value};
use crate::metrics::catalogue::{LAB_SERVICE_DURATION_SECONDS, LAB_SERVICE_UP};
use crate::model::service::ServiceFacts;

pub(super) fn add(name: &str, facts: &ServiceFacts, samples: &mut Samples<'_>) {
    samples.add(&LAB_SERVICE_UP, [name], bool_value(facts.problem.is_none()));
    samples.add_some(&LAB_SERVICE_DURATION_SECONDS, [name], facts.duration.map(|d| d.as_secs_f64()));
}
