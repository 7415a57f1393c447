//! `[anomaly]`, `[telegram]`, `[ntfy]`, `[slack]`, `[webhook]` and `[doctor]`: what is said to people and where, and where
//! the services of the chain are.

use super::rules;
use crate::config::block::Block;
use crate::config::settings::{AnomalySettings, DoctorSettings, ReceiverSettings, ServiceAddress, TelegramSettings};
use crate::redact::Secret;

pub(super) fn anomaly(block: &Block<'_>) -> AnomalySettings {
    let exclude = block.texts("exclude").unwrap_or_default();
    AnomalySettings {
        enabled: block.flag("enabled").unwrap_or(true),
        exclude: exclude.into_iter().map(|text| text.value).collect(),
    }
}

pub(super) fn telegram(block: &Block<'_>) -> TelegramSettings {
    let chat_id = block.filled("chat_id");
    if let Some(chat_id) = &chat_id {
        let valid = chat_id.parse::<i64>().is_ok() || chat_id.starts_with('@');
        block.ensure(chat_id, valid, "a chat is a number, such as \"-1001234567890\", or \"@channel\"");
    }
    TelegramSettings {
        chat_id: chat_id.map(|chat_id| chat_id.value),
        token_file: block.path("token_file"),
        api_url: address(block, "api_url", "https://api.telegram.org"),
    }
}

/// The sections of receivers other than Telegram.
pub(super) const RECEIVERS: &[&str] = &["ntfy", "slack", "webhook"];

pub(super) fn receiver(block: &Block<'_>) -> ReceiverSettings {
    ReceiverSettings {
        url: rules::url(block, "url"),
        url_file: block.path("url_file"),
        token_file: block.path("token_file"),
    }
}

pub(super) fn doctor(block: &Block<'_>) -> DoctorSettings {
    DoctorSettings {
        prometheus: place(block, "prometheus", "http://127.0.0.1:9091"),
        alertmanager: place(block, "alertmanager", "http://127.0.0.1:9093"),
        grafana: place(block, "grafana", "http://127.0.0.1:3001"),
        node_exporter: place(block, "node_exporter", "http://127.0.0.1:9100"),
    }
}

fn place(block: &Block<'_>, key: &'static str, default: &str) -> ServiceAddress {
    let url = address(block, key, default);
    // A default that is written out, as `config show` and the starter do, means what it means unwritten.
    ServiceAddress { configured: url.expose() != default, url }
}

fn address(block: &Block<'_>, key: &'static str, default: &str) -> Secret {
    match block.filled(key) {
        Some(text) => {
            rules::web_address(block, &text);
            text.secret()
        }
        None => Secret::new(default),
    }
}
