//! Alertmanager: is it up, does Prometheus send to it, and do its receivers reach anybody?

use serde_json::Value;

use super::Evidence;
use super::service::{Failure, Service, health, list, other_service, text};
use crate::model::checkup::{Finding, Link};

/// The chat number that stands in the shipped configuration until it is filled in.
const PLACEHOLDER_CHAT: i64 = 1;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alertmanager {
    version: String,
    unready: Option<String>,
    /// Its configuration, which it shows without its secrets.
    config: Option<Value>,
}

impl Alertmanager {
    pub fn query(service: &Service) -> Result<Alertmanager, Failure> {
        let status = service.get_json("api/v2/status", &[])?;
        let version = text(&status, "/versionInfo/version");
        if version.is_empty() {
            return Err(other_service("what answers is no Alertmanager"));
        }
        let config = status.pointer("/config/original").and_then(Value::as_str).unwrap_or_default();
        Ok(Alertmanager { version, unready: service.unready(), config: crate::yaml::read(config).ok() })
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let (reply, prometheus) = (&evidence.alertmanager, evidence.prometheus.facts());
    let Some(facts) = reply.facts() else {
        let leaned_on = prometheus.is_some_and(|prometheus| !prometheus.alertmanagers.is_empty());
        if !leaned_on && !reply.configured && prometheus.is_some_and(super::Prometheus::knows_us) {
            let what = "no Alertmanager: only Prometheus shows the alerts, and they reach nobody";
            let fix = "start one and name it in alerting.alertmanagers of prometheus.yml (monitoring/README.md)";
            return vec![Link::Alertmanager.warn(what, fix)];
        }
        let fix = "sudo systemctl start prometheus-alertmanager (or make stack), or name its address in [doctor] alertmanager";
        return reply.missing(Link::Alertmanager, leaned_on, fix);
    };
    let up = format!("Alertmanager {} at {}", facts.version, reply.origin);
    let ready = health(Link::Alertmanager, &up, "ready", facts.unready.as_ref(), "prometheus-alertmanager");
    let mut findings = vec![ready];
    if let Some(prometheus) = prometheus {
        findings.push(match prometheus.alertmanagers.as_slice() {
            [] => Link::Alertmanager.fail(
                "Prometheus sends alerts to no Alertmanager",
                "name it in alerting.alertmanagers of prometheus.yml, then sudo systemctl reload prometheus",
            ),
            urls => Link::Alertmanager.ok(format!("Prometheus sends alerts to {}", urls.join(", "))),
        });
    }
    findings.push(receivers(facts));
    findings
}

/// Who gets the alerts.
fn receivers(facts: &Alertmanager) -> Finding {
    let set_up = "put the bot's token into monitoring/secrets/telegram_bot_token and TELEGRAM_CHAT_ID into monitoring/.env, \
        then monitoring/setup.sh; or name another receiver in alertmanager.yml";
    let Some(config) = &facts.config else {
        return Link::Alertmanager.warn("Alertmanager does not show its configuration", "amtool config show");
    };
    let receivers = list(config, "/receivers");
    let is_placeholder = |chat: &Value| chat["chat_id"].as_i64().is_none_or(|chat| chat == PLACEHOLDER_CHAT);
    let has_no_chat = |receiver: &&Value| list(receiver, "/telegram_configs").iter().any(is_placeholder);
    if let Some(receiver) = receivers.iter().find(has_no_chat) {
        let what = format!("the receiver {} has no chat filled in", text(receiver, "/name"));
        return Link::Alertmanager.fail(what, set_up);
    }
    // `telegram_configs`, `email_configs`: a receiver without any tells nobody.
    let ways = |receiver: &Value| {
        let lists = receiver.as_object()?.iter().filter(|(_, list)| list.get(0).is_some());
        let ways: Vec<&str> = lists.filter_map(|(key, _)| key.strip_suffix("_configs")).collect();
        (!ways.is_empty()).then(|| format!("{} ({})", text(receiver, "/name"), ways.join(", ")))
    };
    let ways: Vec<String> = receivers.iter().filter_map(ways).collect();
    if ways.is_empty() {
        return Link::Alertmanager.warn("no receiver sends alerts to anybody: they are only shown", set_up);
    }
    Link::Alertmanager.ok(format!("alerts go to {}", ways.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkup::Status;

    #[test]
    fn receivers_are_found_with_what_they_write_to() {
        let judged = |config: &str| {
            receivers(&Alertmanager { config: crate::yaml::read(config).ok(), ..Alertmanager::default() })
        };
        let config = "receivers:\n- name: chat\n  telegram_configs:\n  - bot_token: <secret>\n    chat_id: -100\n- name: none\n\
                      - name: post\n  email_configs: [{to: a@example.net}]\n  slack_configs: []\n";
        assert_eq!(judged(config), Link::Alertmanager.ok("alerts go to chat (telegram), post (email)"));
        let unfilled = judged("receivers: [{name: t, telegram_configs: [{chat_id: 1}]}]");
        assert_eq!((unfilled.status, &*unfilled.evidence), (Status::Fail, "the receiver t has no chat filled in"));
        assert_eq!(judged("receivers: [{name: none}]").status, Status::Warn);
        assert!(judged("{").evidence.contains("does not show its configuration"));
    }
}
