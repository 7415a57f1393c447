//! The Pushgateway: is our group there, and fresh?

use super::{Evidence, STALE_SECONDS};
use crate::model::checkup::{Finding, Link, age};

pub(super) fn judge(evidence: &Evidence) -> Finding {
    let Some(seen) = &evidence.pushgateway else {
        let fix = "[output.pushgateway] in the configuration pushes to one";
        return Link::Pushgateway.skip("not used here: none is configured", fix);
    };
    let group = match seen {
        Ok(group) => group,
        Err((why, fix)) => return Link::Pushgateway.fail(why, fix),
    };
    let Some(group) = group else {
        let what = "the gateway answers, but our group is not there";
        return evidence.delivered.fail(Link::Pushgateway, what, &evidence.delivered.again);
    };
    let old = evidence.now - group.pushed_at;
    if group.failed_at > group.pushed_at {
        let what = format!("the gateway refused the last push, {} ago", age(evidence.now - group.failed_at));
        Link::Pushgateway.fail(what, "lab-probe --once --verbose")
    } else if old > STALE_SECONDS {
        Link::Pushgateway.fail(format!("our group is there, but {} old", age(old)), &evidence.delivered.again)
    } else {
        Link::Pushgateway.ok(format!("our group was pushed {} ago", age(old)))
    }
}
