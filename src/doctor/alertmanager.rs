//! Alertmanager: is it up, does Prometheus send to it, and does a message reach a chat?

use serde_json::Value;

use super::ask::{Service, Trouble, list, text};
use super::{Evidence, missing};
use crate::model::checkup::{Finding, Link};

/// The chat number that stands in the shipped configuration until it is filled in.
const PLACEHOLDER_CHAT: i64 = 1;

/// What Alertmanager says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alertmanager {
    version: String,
    /// What it says where it is not ready.
    unready: Option<String>,
    /// Receivers that write to Telegram, with the chat; `None` if the configuration cannot be read.
    telegram: Option<Vec<(String, i64)>>,
}

impl Alertmanager {
    /// Asks it.
    ///
    /// # Errors
    /// When nothing usable answers.
    pub fn ask(service: &Service) -> Result<Alertmanager, Trouble> {
        let status = service.get_json("api/v2/status", &[])?;
        let version = text(&status, "/versionInfo/version");
        if version.is_empty() {
            return Err(Trouble::Odd("what answers is no Alertmanager".into()));
        }
        let unready = service.get_ok("-/ready", &[]).err().map(|trouble| trouble.why().to_owned());
        let config = status.pointer("/config/original").and_then(Value::as_str).unwrap_or_default();
        Ok(Alertmanager { version, unready, telegram: receivers(config) })
    }
}

/// The Telegram receivers of a configuration, which Alertmanager shows without its secrets.
fn receivers(config: &str) -> Option<Vec<(String, i64)>> {
    let config = crate::yaml::read(config).ok()?;
    let of = |receiver: &Value| {
        let name = text(receiver, "/name");
        let chats: Vec<i64> = list(receiver, "/telegram_configs")
            .iter()
            .map(|chat| chat["chat_id"].as_i64().unwrap_or(PLACEHOLDER_CHAT))
            .collect();
        chats.into_iter().map(move |chat| (name.clone(), chat))
    };
    Some(list(&config, "/receivers").iter().flat_map(of).collect())
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let asked = &evidence.alertmanager;
    let prometheus = evidence.prometheus.facts();
    let facts = match &asked.seen {
        Ok(facts) => facts,
        Err(trouble) => {
            let leaned_on = prometheus.is_some_and(|prometheus| !prometheus.alertmanagers.is_empty());
            let fix = "sudo systemctl start prometheus-alertmanager (or make stack), or name its address in [doctor] alertmanager";
            return vec![missing(Link::Alertmanager, asked, leaned_on, trouble, fix)];
        }
    };
    let up = format!("Alertmanager {} at {}", facts.version, asked.origin);
    let mut findings = vec![match &facts.unready {
        None => Finding::ok(Link::Alertmanager, format!("{up} is ready")),
        Some(why) => {
            let fix = "journalctl --unit prometheus-alertmanager --lines 50";
            Finding::fail(Link::Alertmanager, format!("{up} is not ready: {why}"), fix)
        }
    }];
    if let Some(prometheus) = prometheus {
        findings.push(match prometheus.alertmanagers.as_slice() {
            [] => Finding::fail(
                Link::Alertmanager,
                "Prometheus sends alerts to no Alertmanager",
                "name it in alerting.alertmanagers of prometheus.yml, then sudo systemctl reload prometheus",
            ),
            urls => Finding::ok(Link::Alertmanager, format!("Prometheus sends alerts to {}", urls.join(", "))),
        });
    }
    findings.push(telegram(facts));
    findings
}

fn telegram(facts: &Alertmanager) -> Finding {
    let set_up = "put the bot's token into monitoring/secrets/telegram_bot_token and TELEGRAM_CHAT_ID into monitoring/.env, then monitoring/setup.sh";
    match facts.telegram.as_deref() {
        None => Finding::warn(Link::Alertmanager, "it does not show its configuration", "amtool config show"),
        Some([]) => {
            Finding::fail(Link::Alertmanager, "no receiver writes to Telegram: alerts reach nobody's chat", set_up)
        }
        Some(receivers) => match receivers.iter().find(|(_, chat)| *chat == PLACEHOLDER_CHAT) {
            Some((name, _)) => {
                Finding::fail(Link::Alertmanager, format!("the receiver {name} has no chat filled in"), set_up)
            }
            None => {
                let names: Vec<&str> = receivers.iter().map(|(name, _)| name.as_str()).collect();
                Finding::ok(Link::Alertmanager, format!("writes to Telegram: {}", names.join(", ")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_found_with_their_chats() {
        let config = "receivers:\n- name: telegram\n  telegram_configs:\n  - bot_token: <secret>\n    chat_id: -100\n- name: none\n";
        assert_eq!(receivers(config), Some(vec![("telegram".to_owned(), -100)]));
        assert_eq!(receivers("receivers: [{name: heartbeat}]"), Some(Vec::new()));
        assert_eq!(receivers("{"), None);
    }
}
