//! `lab_service_*`.

use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::service::ServiceFacts;

pub(super) fn add(name: &str, facts: &ServiceFacts, samples: &mut Samples) {
    samples.add(&LAB_SERVICE_UP, [name], facts.up().map(f64::from));
    if let Some(failure) = &facts.failure {
        samples.add(&LAB_SERVICE_FAILURE, [name, failure.reason.as_str()], 1.0);
    }
    samples.add(&LAB_SERVICE_DURATION_SECONDS, [name], facts.duration.map(|d| d.as_secs_f64()));
    let end = facts.certificate_end.map(|at| at as f64);
    samples.add(&LAB_SERVICE_CERTIFICATE_END_TIMESTAMP_SECONDS, [name], end);
}
