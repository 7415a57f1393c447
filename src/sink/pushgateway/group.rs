//! Looking at our group without changing it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Gateway;
use crate::clock::Deadline;
use crate::config::settings::PushgatewaySettings;
use crate::exit;
use crate::http::{Method, Request};
use crate::model::checkup::PushedGroup;

/// The largest answer that is read: all groups with all their series come in one.
const MAX_BYTES: u64 = 32 << 20;

/// An answer of `/api/v1/metrics` (Pushgateway 1.0 and later), as far as it matters here.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    data: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    push_time_seconds: Family,
    #[serde(default)]
    push_failure_time_seconds: Family,
}

#[derive(Default, Deserialize)]
struct Family {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    value: String,
}

impl Family {
    fn number(&self) -> f64 {
        self.metrics.first().and_then(|metric| metric.value.parse().ok()).unwrap_or_default()
    }
}

/// What the gateway holds of our group; `None` if it holds none. Asks once.
pub fn look(settings: &PushgatewaySettings, deadline: Deadline) -> anyhow::Result<Option<PushedGroup>> {
    let gateway = Gateway::new(settings)?;
    let mut url = gateway.base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["api", "v1", "metrics"]);
    }
    let failed = |failure: super::Failure| failure.into_error(1);
    let mut response = gateway
        .client
        .send(&Request::new(Method::GET, &url), deadline.sooner(settings.timeout))
        .map_err(|error| failed(gateway.unreached(&error)))?;
    if !response.is_success() {
        return Err(failed(gateway.refused(response)));
    }
    let body = response.body.read_to_end(MAX_BYTES).map_err(|error| failed(gateway.unreached(&error)))?;
    let document: Document = serde_json::from_slice(&body)
        .map_err(|_not_ours| exit::trouble("what answers is no Pushgateway", "correct output.pushgateway.url"))?;
    Ok(find(&document, settings))
}

fn find(document: &Document, settings: &PushgatewaySettings) -> Option<PushedGroup> {
    let mut wanted = settings.grouping.clone();
    wanted.insert("job".into(), settings.job.clone());
    let group = document.data.iter().find(|group| group.labels == wanted)?;
    Some(PushedGroup {
        pushed_at: group.push_time_seconds.number(),
        failed_at: group.push_failure_time_seconds.number(),
    })
}
