//! The configuration in force as TOML: what the file says, with the line it comes from, and the defaults of the rest.
//!
//! Variables are expanded, except in values that may hold a secret: those are shown as they are written, with every
//! secret in them masked.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::diagnose::{ConfigError, Lines};
use super::environment::Environment;
use super::expand::expand;
use super::schema::{Form, Key, ROOT, Section};
use super::settings::{ServerReach, Settings};
use super::{duration, file, starter};
use crate::log::{is_invisible, printable};
use crate::model::reason::Failure;
use crate::model::service::ServiceLook;
use crate::redact;

/// Writes out `settings`, which [`super::load`] made.
///
/// # Errors
/// The file can no longer be read or has been damaged since.
pub fn show(settings: &Settings) -> Result<String, ConfigError> {
    let text = match &settings.source {
        Some(path) => file::read(path, path)?.text,
        None => String::new(),
    };
    written_out(settings, &text, &Environment::of_process())
}

/// [`show`] for the text that the file has, read in the given environment.
pub(super) fn written_out(settings: &Settings, text: &str, environment: &Environment) -> Result<String, ConfigError> {
    let path = settings.source.as_deref().unwrap_or("(no configuration file)".as_ref());
    let table = file::parse(path, text)?;
    let mut page = Page { out: String::new(), lines: Lines::new(text), environment };
    page.heading(settings);
    page.section(&ROOT, Some(table.get_ref()), &defaults(settings));
    Ok(page.out)
}

/// The defaults of the starter file, and those that depend on this machine.
fn defaults(settings: &Settings) -> Table {
    let mut defaults = starter::defaults();
    let mut set = |section: &str, key: &str, value: Value| {
        let section = defaults.entry(section).or_insert_with(|| Table::new().into());
        section.as_table_mut().and_then(|section| section.insert(key.to_owned(), value));
    };
    let path = |path: &std::path::Path| Value::String(path.display().to_string());
    set("probe", "state_dir", path(&settings.probe.state_dir));
    set("probe", "max_starts", Value::Integer(settings.probe.max_starts().try_into().unwrap_or(i64::MAX)));
    set("worktree", "repos", Value::Array(settings.worktree.repos.iter().map(|repo| path(repo)).collect()));
    if let Some(textfile) = &settings.output.textfile {
        let table = [("directory", path(&textfile.directory)), ("file", textfile.file.clone().into())];
        output(&mut defaults, "textfile", table);
    }
    if let Some(gateway) = &settings.output.pushgateway {
        let grouping = gateway.grouping.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let table = [
            ("job", gateway.job.clone().into()),
            ("grouping", Value::Table(grouping.collect())),
            ("timeout", duration::show(gateway.timeout).into()),
            ("retries", gateway.retries.into()),
        ];
        output(&mut defaults, "pushgateway", table);
    }
    defaults
}

fn output<const KEYS: usize>(defaults: &mut Table, name: &str, table: [(&str, Value); KEYS]) {
    let table = table.into_iter().map(|(key, value)| (key.to_owned(), value));
    let outputs = defaults.entry("output").or_insert_with(|| Table::new().into());
    outputs.as_table_mut().and_then(|outputs| outputs.insert(name.to_owned(), Value::Table(table.collect())));
}

/// The text so far, and what turns places of the file into line numbers.
struct Page<'a> {
    out: String,
    lines: Lines<'a>,
    environment: &'a Environment,
}

impl Page<'_> {
    fn heading(&mut self, settings: &Settings) {
        match &settings.source {
            Some(path) => {
                self.comment(&format!("In force from {}; where no line is named, by default.", path.display()));
            }
            None => self.comment("In force by default: there is no configuration file."),
        }
        for warning in &settings.warnings {
            self.comment(&format!("Warning: {warning}"));
        }
        for (name, failure) in failures(settings) {
            self.comment(&format!("{name} cannot be checked: {}: {}", failure.reason.as_str(), failure.detail));
        }
        for broken in &settings.output.broken {
            self.comment(&format!("{} cannot be delivered to: {}", broken.output, broken.problem));
        }
    }

    fn comment(&mut self, text: &str) {
        self.out.push_str(&format!("# {}\n", printable(text)));
    }

    /// The keys of a section in the schema's order: as the file has them, else by default.
    fn section(&mut self, section: &'static Section, table: Option<&DeTable<'_>>, defaults: &Table) {
        for key in section.keys {
            let written = table.and_then(|table| table.get(key.name));
            let default = defaults.get(key.name);
            match key.form {
                Form::Table(inner) => {
                    let table = written.and_then(|value| value.get_ref().as_table());
                    let defaults = default.and_then(Value::as_table).cloned().unwrap_or_default();
                    self.header(inner, table.is_some() || !defaults.is_empty());
                    self.section(inner, table, &defaults);
                }
                Form::Tables(inner) => {
                    let blocks = written.and_then(|value| value.get_ref().as_array());
                    let defaults = block_defaults(inner, section, table, defaults);
                    for table in blocks.into_iter().flatten().filter_map(|block| block.get_ref().as_table()) {
                        self.header(inner, true);
                        self.section(inner, Some(table), &defaults);
                    }
                }
                _ => self.line(key, written, default),
            }
        }
    }

    fn header(&mut self, section: &Section, shown: bool) {
        // [output] holds nothing but sections of its own.
        let has_values = section.keys.iter().any(|key| !matches!(key.form, Form::Table(_)));
        if shown && has_values {
            self.out.push_str(&format!("\n{}\n", section.header));
        }
    }

    /// One `key = value` with the line it comes from; nothing where there is no value.
    fn line(&mut self, key: &Key, written: Option<&Spanned<DeValue<'_>>>, default: Option<&Value>) {
        let (value, origin) = match written {
            Some(written) => {
                let line = self.lines.position(written.span().start).line;
                (self.value(key, written.get_ref()), format!("  # line {line}"))
            }
            None => (default.cloned(), String::new()),
        };
        if let Some(value) = value {
            self.out.push_str(&format!("{} = {}{origin}\n", key.name, literal(&value)));
        }
    }

    /// What may be shown of a value.
    fn value(&self, key: &Key, value: &DeValue<'_>) -> Option<Value> {
        Some(match (key.form, value) {
            (Form::Url, DeValue::String(text)) => Value::String(redact::url(text)),
            (Form::Command, DeValue::String(text)) => Value::String(redact::command(text)),
            (Form::Arguments, DeValue::Array(items)) => {
                let texts = items.iter().filter_map(|item| item.get_ref().as_str());
                Value::Array(redact::arguments(texts).into_iter().map(Value::String).collect())
            }
            (Form::SecretMap, DeValue::Table(table)) => {
                let entries = table.iter().map(|(name, value)| {
                    let value = value.get_ref().as_str().map_or_else(|| redact::MASK.into(), redact::value);
                    (name.get_ref().to_string(), Value::String(value))
                });
                Value::Table(entries.collect())
            }
            (_, value) => return self.plain(value),
        })
    }

    /// A value that holds no secret, expanded as far as its variables are set.
    fn plain(&self, value: &DeValue<'_>) -> Option<Value> {
        Some(match value {
            DeValue::String(text) => {
                let expanded = expand(text, self.environment).ok().filter(|expanded| expanded.unset.is_empty());
                Value::String(expanded.map_or_else(|| text.to_string(), |expanded| expanded.text))
            }
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Integer(integer) => Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?),
            DeValue::Float(float) => Value::Float(float.as_str().parse().ok()?),
            DeValue::Array(items) => Value::Array(items.iter().filter_map(|item| self.plain(item.get_ref())).collect()),
            DeValue::Table(table) => {
                let entries = table
                    .iter()
                    .filter_map(|(name, value)| Some((name.get_ref().to_string(), self.plain(value.get_ref())?)));
                Value::Table(entries.collect())
            }
            DeValue::Datetime(_) => return None,
        })
    }
}

/// Keys of blocks that have a default; where the section around has one of that name, a block takes the section's.
const WITH_DEFAULTS: &[&str] =
    &["positions_db", "journals", "logs", "disabled", "ttl", "retry_after", "timeout", "list_tools"];

fn block_defaults(block: &Section, around: &Section, table: Option<&DeTable<'_>>, defaults: &Table) -> Table {
    let kinds = starter::defaults_of(block);
    let wanted = kinds.into_iter().filter(|(name, _)| WITH_DEFAULTS.contains(&name.as_str()));
    let inherited = wanted.map(|(name, value)| {
        let written = around.key(&name).and_then(|_| table?.get(name.as_str())?.get_ref().as_str());
        let value = written
            .map(|text| Value::String(text.to_owned()))
            .or_else(|| defaults.get(&name).cloned())
            .unwrap_or(value);
        (name, value)
    });
    inherited.collect()
}

/// What spoils targets of the configuration: the target's name and why.
fn failures(settings: &Settings) -> Vec<(&str, &Failure)> {
    let servers = settings.mcp.servers.iter().filter_map(|server| match &server.reach {
        ServerReach::Unreachable(failure) => Some((server.name.as_str(), failure)),
        _ => None,
    });
    let environments = settings
        .thunes
        .iter()
        .filter_map(|thunes| thunes.unreachable.as_ref().map(|failure| (thunes.target.environment.as_str(), failure)));
    let services = settings.services.iter().filter_map(|service| match &service.look {
        ServiceLook::Unreachable(failure) => Some((service.name.as_str(), failure)),
        _ => None,
    });
    servers.chain(environments).chain(services).collect()
}

/// A value on one line: what follows it is a comment.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if table.is_empty() => "{}".into(),
        Value::Table(table) => {
            let entries = table.iter().map(|(name, value)| format!("{} = {}", quoted_name(name), literal(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn quoted_name(name: &str) -> String {
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
