//! Alertmanager: is it up, does Prometheus send to it, and do its receivers reach anybody?

use serde_json::Value;

use super::service::{Failure, Service, list, other_service, text};
use super::{Evidence, missing};
use crate::model::checkup::{Finding, Link};

/// The chat number that stands in the shipped configuration until it is filled in.
const PLACEHOLDER_CHAT: i64 = 1;

/// A receiver, and what it writes to: `telegram`, `email`, `webhook`; nothing is a receiver without a way out.
#[derive(Debug, Clone, Default, PartialEq)]
struct Receiver {
    name: String,
    ways: Vec<String>,
    /// Whether a chat is the one that has to be replaced.
    placeholder: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alertmanager {
    version: String,
    unready: Option<String>,
    receivers: Option<Vec<Receiver>>,
}

impl Alertmanager {
    pub fn query(service: &Service) -> Result<Alertmanager, Failure> {
        let status = service.get_json("api/v2/status", &[])?;
        let version = text(&status, "/versionInfo/version");
        if version.is_empty() {
            return Err(other_service("what answers is no Alertmanager"));
        }
        let config = status.pointer("/config/original").and_then(Value::as_str).unwrap_or_default();
        Ok(Alertmanager { version, unready: service.unready(), receivers: receivers(config) })
    }
}

/// The receivers of a configuration, which Alertmanager shows without its secrets.
fn receivers(config: &str) -> Option<Vec<Receiver>> {
    let config = crate::yaml::read(config).ok()?;
    let of = |receiver: &Value| {
        let lists = receiver.as_object().into_iter().flatten();
        let ways = lists.filter_map(|(key, value)| {
            let filled = value.as_array().is_some_and(|one| !one.is_empty());
            key.strip_suffix("_configs").filter(|_| filled).map(str::to_owned)
        });
        let chats = list(receiver, "/telegram_configs").iter();
        let mut chats = chats.map(|chat| chat["chat_id"].as_i64().unwrap_or(PLACEHOLDER_CHAT));
        Receiver {
            name: text(receiver, "/name"),
            placeholder: chats.any(|chat| chat == PLACEHOLDER_CHAT),
            ways: ways.collect(),
        }
    };
    Some(list(&config, "/receivers").iter().map(of).collect())
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let reply = &evidence.alertmanager;
    let prometheus = evidence.prometheus.facts();
    let facts = match &reply.result {
        Ok(facts) => facts,
        Err(failure) => {
            let leaned_on = prometheus.is_some_and(|prometheus| !prometheus.alertmanagers.is_empty());
            if !leaned_on && !reply.configured && prometheus.is_some_and(super::Prometheus::knows_us) {
                let what = "no Alertmanager: alerts are only shown by Prometheus and reach nobody";
                let fix = "start one and name it in alerting.alertmanagers of prometheus.yml (monitoring/README.md)";
                return vec![Link::Alertmanager.warn(what, fix)];
            }
            let fix = "sudo systemctl start prometheus-alertmanager (or make stack), or name its address in [doctor] alertmanager";
            return vec![missing(Link::Alertmanager, reply, leaned_on, failure, fix)];
        }
    };
    let up = format!("Alertmanager {} at {}", facts.version, reply.origin);
    let mut findings = vec![match &facts.unready {
        None => Link::Alertmanager.ok(format!("{up} is ready")),
        Some(why) => {
            let fix = "journalctl --unit prometheus-alertmanager --lines 50";
            Link::Alertmanager.fail(format!("{up} is not ready: {why}"), fix)
        }
    }];
    if let Some(prometheus) = prometheus {
        findings.push(match prometheus.alertmanagers.as_slice() {
            [] => Link::Alertmanager.fail(
                "Prometheus sends alerts to no Alertmanager",
                "name it in alerting.alertmanagers of prometheus.yml, then sudo systemctl reload prometheus",
            ),
            urls => Link::Alertmanager.ok(format!("Prometheus sends alerts to {}", urls.join(", "))),
        });
    }
    findings.push(receivers_in_use(facts));
    findings
}

/// Who gets the alerts.
fn receivers_in_use(facts: &Alertmanager) -> Finding {
    let set_up = "put the bot's token into monitoring/secrets/telegram_bot_token and TELEGRAM_CHAT_ID into monitoring/.env, \
        then monitoring/setup.sh; or name another receiver in alertmanager.yml";
    let Some(receivers) = &facts.receivers else {
        return Link::Alertmanager.warn("it does not show its configuration", "amtool config show");
    };
    if let Some(receiver) = receivers.iter().find(|receiver| receiver.placeholder) {
        let what = format!("the receiver {} has no chat filled in", receiver.name);
        return Link::Alertmanager.fail(what, set_up);
    }
    let ways: Vec<String> = receivers
        .iter()
        .filter(|receiver| !receiver.ways.is_empty())
        .map(|receiver| format!("{} ({})", receiver.name, receiver.ways.join(", ")))
        .collect();
    if ways.is_empty() {
        return Link::Alertmanager.warn("no receiver writes to anybody: alerts are only shown", set_up);
    }
    Link::Alertmanager.ok(format!("tells {}", ways.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_found_with_what_they_write_to() {
        let receivers = |config: &str| {
            let found = receivers(config)?.into_iter();
            Some(found.map(|one| (one.name, one.ways.join(" "), one.placeholder)).collect::<Vec<_>>())
        };
        let of = |name: &str, ways: &str, placeholder| (name.to_owned(), ways.to_owned(), placeholder);
        let config = "receivers:\n- name: chat\n  telegram_configs:\n  - bot_token: <secret>\n    chat_id: -100\n- name: none\n\
                      - name: post\n  email_configs: [{to: a@example.net}]\n  slack_configs: []\n";
        let expected = vec![of("chat", "telegram", false), of("none", "", false), of("post", "email", false)];
        assert_eq!(receivers(config), Some(expected));
        let unfilled = "receivers: [{name: t, telegram_configs: [{chat_id: 1}]}]";
        assert_eq!(receivers(unfilled), Some(vec![of("t", "telegram", true)]));
        assert_eq!(receivers("{"), None);
    }
}
