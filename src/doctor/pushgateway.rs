//! The Pushgateway: is our group there, and fresh?

use std::path::PathBuf;

use super::starters::Starter;
use super::{Evidence, STALE_SECONDS, TIMEOUT, look};
use crate::clock::Deadline;
use crate::config::settings::PushgatewaySettings;
use crate::model::checkup::{Delivered, Finding, Link, PushedGroup, PushgatewaySeen, age};
use crate::{exit, fs, sink};

/// The group in the gateway; where only the unit may read the credential, what its last pass says.
pub(super) fn query(gateway: &PushgatewaySettings, starter: &Starter, delivered: &Delivered) -> PushgatewaySeen {
    let credentials: Vec<PathBuf> = gateway.password_file.iter().chain(&gateway.bearer_token_file).cloned().collect();
    let place = credentials.first().cloned().unwrap_or_default();
    let settings = gateway.clone();
    let pushed_at = starter.last_pass(delivered).unwrap_or_default();
    let last = delivered.outputs.get("pushgateway").map(|(_, error)| error.clone());
    let query = move || {
        let closed = credentials.iter().find(|file| fs::read_capped(file, 1 << 16).is_err());
        if let (Some(file), Some(error)) = (closed, last) {
            let fix = format!("see the unit's journal; {} is readable for the unit alone", file.display());
            return match error {
                Some(error) => Err((error, fix)),
                None => Ok(Some(PushedGroup { pushed_at, failed_at: 0.0 })),
            };
        }
        sink::pushgateway::group(&settings, Deadline::after(TIMEOUT)).map_err(|error| {
            let hint = exit::hint_of(&error).unwrap_or_default().to_owned();
            (format!("{}: {error:#}", sink::pushgateway::destination(&settings)), hint)
        })
    };
    look(Link::Pushgateway, place, query)
        .unwrap_or_else(|finding| Err((finding.evidence, finding.fix.unwrap_or_default())))
}

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
        return evidence.delivered.fail(Link::Pushgateway, what, evidence.starter.again());
    };
    let old = evidence.now - group.pushed_at;
    if group.failed_at > group.pushed_at {
        let what = format!("the gateway refused the last push, {} ago", age(evidence.now - group.failed_at));
        Link::Pushgateway.fail(what, "lab-probe --once --verbose")
    } else if old > STALE_SECONDS {
        Link::Pushgateway.fail(format!("our group is there, but {} old", age(old)), evidence.starter.again())
    } else {
        Link::Pushgateway.ok(format!("our group was pushed {} ago", age(old)))
    }
}
