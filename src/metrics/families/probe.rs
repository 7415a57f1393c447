//! `lab_probe_*`: the pass itself.

use crate::clock::unix_seconds;
use crate::metrics::catalogue::*;
use crate::metrics::vectors::Samples;
use crate::model::snapshot::{Outcome, Snapshot};
use crate::model::target::Kind;

/// The source revision, if whoever built this said which (`LAB_PROBE_REVISION` in the build's environment).
const REVISION: &str = match option_env!("LAB_PROBE_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

pub(super) fn add(snapshot: &Snapshot, samples: &mut Samples) {
    let pass = &snapshot.pass;
    samples.add(&LAB_PROBE_BUILD_INFO, [env!("CARGO_PKG_VERSION"), REVISION], 1.0);
    samples.add(&LAB_PROBE_LAST_PASS_TIMESTAMP_SECONDS, [], unix_seconds(pass.started_at));
    samples.add(&LAB_PROBE_PASS_DURATION_SECONDS, [], pass.duration.as_secs_f64());
    samples.add(&LAB_PROBE_DEADLINE_EXCEEDED, [], f64::from(pass.deadline_exceeded));
    for &kind in Kind::ALL {
        for &outcome in Outcome::ALL {
            let targets = snapshot.delivered().filter(|e| e.target.kind() == kind && e.outcome == outcome);
            samples.add(&LAB_PROBE_TARGETS, [kind.as_str(), outcome.as_str()], targets.count() as f64);
        }
    }
    for (output, failures) in &snapshot.output_failures {
        samples.add(&LAB_PROBE_OUTPUT_FAILURES_TOTAL, [output], *failures as f64);
    }
    samples.add(&LAB_PROBE_PASS_FAILURES_TOTAL, [], snapshot.pass_failures as f64);
}
