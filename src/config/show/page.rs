//! What is written and what it is written from: one line a value, and sections as the file has them.

use toml::Spanned;
use toml::Value;
use toml::de::{DeTable, DeValue};
use url::Url;

use super::{of_duration, of_text};
use crate::config::address;
use crate::config::diagnose::Lines;
use crate::config::environment::Environment;
use crate::config::expand::expand;
use crate::config::settings::Settings;
use crate::log::{is_invisible, printable};
use crate::model::reason::Failure;
use crate::model::target::Schedule;
use crate::redact::{self, Secret};

/// A section as the file has it, for what must not be shown expanded.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) table: Option<&'a DeTable<'a>>,
}

impl<'a> Raw<'a> {
    pub(super) fn value(self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }

    pub(super) fn child(self, key: &str) -> Raw<'a> {
        match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Raw { table: Some(table) },
            _ => Raw { table: None },
        }
    }

    pub(super) fn children(self, key: &str) -> Vec<Raw<'a>> {
        let items = match self.value(key).map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => items.iter().collect(),
            _ => Vec::new(),
        };
        let tables = items.into_iter().filter_map(|item| match item.get_ref() {
            DeValue::Table(table) => Some(Raw { table: Some(table) }),
            _ => None,
        });
        tables.collect()
    }

    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        match self.value(key)?.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// An array of arguments, redacted.
    pub(super) fn arguments(self, key: &str) -> Option<Value> {
        let DeValue::Array(items) = self.value(key)?.get_ref() else { return None };
        let texts = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        });
        Some(Value::Array(redact::arguments(texts).into_iter().map(Value::String).collect()))
    }

    /// A table whose values are redacted.
    pub(super) fn masked_map(self, key: &str) -> Option<Value> {
        let entries = self.child(key).table?.iter().map(|(name, value)| {
            let value = match value.get_ref() {
                DeValue::String(text) => redact::value(text),
                _ => redact::MASK.to_owned(),
            };
            (name.get_ref().to_string(), Value::String(value))
        });
        Some(Value::Table(entries.collect()))
    }
}

/// The text so far, and what turns places of the file into line numbers.
pub(super) struct Page<'a> {
    pub(super) out: String,
    pub(super) lines: Lines<'a>,
    /// Where variables have their values from.
    pub(super) environment: &'a Environment,
}

impl Page<'_> {
    pub(super) fn heading(&mut self, settings: &Settings) {
        match &settings.source {
            Some(path) => {
                self.comment(&format!("In force from {}; where no line is named, by default.", path.display()))
            }
            None => self.comment("In force by default: there is no configuration file."),
        }
        for warning in &settings.warnings {
            self.comment(&format!("Warning: {warning}"));
        }
    }

    pub(super) fn comment(&mut self, text: &str) {
        self.out.push_str(&format!("# {}\n", printable(text)));
    }

    pub(super) fn section(&mut self, header: &str) {
        self.out.push_str(&format!("\n{header}\n"));
    }

    /// One `key = value` with the line it comes from; nothing where there is no value.
    pub(super) fn line(&mut self, raw: Raw<'_>, key: &str, value: impl Into<Option<Value>>) {
        let Some(value) = value.into() else { return };
        let origin = raw.value(key).map(|value| self.lines.place(value.span().start).line);
        let origin = origin.map_or_else(String::new, |line| format!("  # line {line}"));
        self.out.push_str(&format!("{key} = {}{origin}\n", literal(&value)));
    }

    /// A block that the environment spoils: there is nothing to show but what the file has.
    pub(super) fn spoiled(&mut self, raw: Raw<'_>, failure: &Failure) {
        self.comment(&format!("{}: {}", failure.reason.as_str(), failure.detail));
        self.as_written(raw);
    }

    /// Every value but the names that blocks go by, unexpanded, and redacted where its key may hold a secret.
    pub(super) fn as_written(&mut self, raw: Raw<'_>) {
        for (key, value) in raw.table.into_iter().flatten() {
            let key = key.get_ref().as_ref();
            match (key, value.get_ref()) {
                ("name" | "environment", _) => {}
                ("url" | "metrics_url", _) => self.url(raw, key),
                ("args" | "health_command", _) => self.line(raw, key, raw.arguments(key)),
                ("command", DeValue::String(text)) => self.line(raw, key, Value::String(redact::command(text))),
                (_, DeValue::Table(_)) => self.line(raw, key, raw.masked_map(key)),
                (_, value) => self.line(raw, key, plain(value)),
            }
        }
    }

    /// A URL, redacted.
    pub(super) fn url(&mut self, raw: Raw<'_>, key: &str) {
        let url = raw.text(key).map(|text| Value::String(self.redacted_url(text)));
        self.line(raw, key, url);
    }

    /// A URL; one that is not written is a default, which holds no secret.
    pub(super) fn url_or(&mut self, raw: Raw<'_>, key: &str, default: &Secret) {
        match raw.text(key) {
            Some(_) => self.url(raw, key),
            None => self.line(raw, key, of_text(default.expose())),
        }
    }

    /// What is shown of a URL is read as the URL is, as a web address or as none, whatever was taken out of it.
    fn redacted_url(&self, text: &str) -> String {
        let shown = redact::url(text);
        match (self.address(text), self.address(&shown)) {
            // A default that is not shown began the query: not every address may have one.
            (Some(meant), Some(read)) if goes_on(&meant) && !goes_on(&read) => format!("{shown}?{}", redact::MASK),
            (Some(_), Some(_)) | (None, None) => shown,
            (Some(meant), None) => format!("{}://{}", meant.scheme(), redact::MASK),
            // Variables that do not begin with a scheme, but with the mask.
            (None, Some(_)) => redact::value(&format!("{}{text}", redact::MASK)),
        }
    }

    /// What is a web address once it is expanded.
    fn address(&self, text: &str) -> Option<Url> {
        let expanded = expand(text, self.environment).ok().filter(|expanded| expanded.unset.is_empty())?;
        address::parse(&expanded.text).ok()
    }

    pub(super) fn schedule(&mut self, raw: Raw<'_>, schedule: Schedule) {
        self.line(raw, "ttl", of_duration(schedule.ttl));
        self.line(raw, "retry_after", of_duration(schedule.retry_after));
        self.line(raw, "timeout", of_duration(schedule.timeout));
    }
}

/// Whether an address goes on behind its path.
fn goes_on(url: &Url) -> bool {
    url.query().is_some() || url.fragment().is_some()
}

/// A value that holds no secret, unexpanded.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(flag) => Some(Value::Boolean(*flag)),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(Value::Integer),
        DeValue::Float(float) => float.as_str().parse().ok().map(Value::Float),
        DeValue::Array(items) => Some(Value::Array(items.iter().filter_map(|item| plain(item.get_ref())).collect())),
        DeValue::Table(_) | DeValue::Datetime(_) => None,
    }
}

/// A value on one line: what follows it is a comment.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if table.is_empty() => "{}".into(),
        Value::Table(table) => {
            let entries = table.iter().map(|(name, value)| format!("{} = {}", key_name(name), literal(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn key_name(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A TOML string in double quotes, without a character that could steer a terminal.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => out.push_str(&format!("\\U{:08X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
