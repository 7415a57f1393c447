//! The effective configuration as TOML: defaults filled in, secrets redacted, each value with the line it comes from.
//!
//! What may hold a secret is shown as the file has it, variables unexpanded, and what is left of it redacted; all
//! else as it holds, expanded. The result is a valid configuration itself.

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;
use toml::de::DeTable;

use self::page::{Page, Raw};
use super::diagnose::{ConfigError, Lines};
use super::duration;
use super::environment::Environment;
use super::file;
use super::settings::{OutputSettings, ServerReach, ServerSettings, ServiceSettings, Settings, ThunesSettings};
use crate::model::mcp::HttpTransport;
use crate::model::service::ServiceLook;
use crate::redact;

/// Writes out `settings`, which [`super::load`] made.
///
/// # Errors
/// The file can no longer be read or has been damaged since.
pub fn show(settings: &Settings) -> Result<String, ConfigError> {
    let environment = Environment::of_process();
    let Some(path) = &settings.source else { return Ok(render(settings, None, "", &environment)) };
    written_out(settings, path, &file::read(path, path)?.text, &environment)
}

/// [`show`] for the text that the file has, read in the given environment.
pub(super) fn written_out(
    settings: &Settings,
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<String, ConfigError> {
    let table = file::parse(path, text)?;
    Ok(render(settings, Some(table.get_ref()), text, environment))
}

fn render(settings: &Settings, table: Option<&DeTable<'_>>, text: &str, environment: &Environment) -> String {
    let mut page = Page { out: String::new(), lines: Lines::new(text), environment };
    page.heading(settings);
    let root = Raw { table };
    probe(&mut page, settings, root.child("probe"));
    mcp(&mut page, settings, root.child("mcp"));
    worktree(&mut page, settings, root.child("worktree"));
    for (environment, raw) in settings.thunes.iter().zip(root.children("thunes")) {
        thunes(&mut page, environment, raw);
    }
    for (service_settings, raw) in settings.services.iter().zip(root.children("service")) {
        service(&mut page, service_settings, raw);
    }
    output(&mut page, &settings.output, root.child("output"));
    people(&mut page, settings, &root);
    page.out
}

/// A string that expands to itself when it is read back.
fn of_text(text: &str) -> Value {
    Value::String(text.replace("${", "$${"))
}

fn of_path(path: &Path) -> Value {
    of_text(&path.display().to_string())
}

fn of_paths(paths: &[PathBuf]) -> Value {
    Value::Array(paths.iter().map(|path| of_path(path)).collect())
}

fn of_texts(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| of_text(text)).collect())
}

fn of_map(map: &BTreeMap<String, String>) -> Value {
    Value::Table(map.iter().map(|(name, value)| (name.clone(), of_text(value))).collect())
}

fn of_duration(duration: Duration) -> Value {
    Value::String(duration::show(duration))
}

fn of_count(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn probe(page: &mut Page<'_>, settings: &Settings, raw: Raw<'_>) {
    let probe = &settings.probe;
    page.section("[probe]");
    page.line(raw, "deadline", of_duration(probe.deadline));
    page.line(raw, "max_starts", of_count(probe.max_starts() as u64));
    page.line(raw, "state_dir", of_path(&probe.state_dir));
    page.line(raw, "labels", of_map(&probe.labels));
}

fn mcp(page: &mut Page<'_>, settings: &Settings, raw: Raw<'_>) {
    let mcp = &settings.mcp;
    page.section("[mcp]");
    page.line(raw, "discover", Value::Boolean(mcp.discover));
    page.line(raw, "config_files", of_paths(&mcp.config_files));
    page.line(raw, "expected", of_texts(&mcp.expected));
    page.line(raw, "health_dir", mcp.health_dir.as_deref().map(of_path));
    page.schedule(raw, mcp.schedule);
    page.line(raw, "list_tools", Value::Boolean(mcp.list_tools));
    page.line(raw, "ca_file", mcp.ca_file.as_deref().map(of_path));
    for (settings, raw) in mcp.servers.iter().zip(raw.children("server")) {
        server(page, settings, raw);
    }
}

fn server(page: &mut Page<'_>, server: &ServerSettings, raw: Raw<'_>) {
    page.section("[[mcp.server]]");
    page.line(raw, "name", of_text(&server.name));
    match &server.reach {
        ServerReach::Stdio { command, cwd, .. } => {
            page.line(raw, "command", of_text(&redact::command(command)));
            page.line(raw, "args", raw.arguments("args"));
            page.line(raw, "env", raw.masked_map("env"));
            page.line(raw, "cwd", cwd.as_deref().map(of_path));
        }
        ServerReach::Http { transport, ca_file, .. } => {
            page.url(raw, "url");
            page.line(raw, "transport", Value::String(transport_name(*transport).into()));
            page.line(raw, "headers", raw.masked_map("headers"));
            page.line(raw, "ca_file", ca_file.as_deref().map(of_path));
        }
        ServerReach::Script { cwd, .. } => {
            page.line(raw, "health_command", raw.arguments("health_command"));
            page.line(raw, "env", raw.masked_map("env"));
            page.line(raw, "cwd", cwd.as_deref().map(of_path));
        }
        ServerReach::Unreachable(failure) => return page.spoiled(raw, failure),
    }
    page.line(raw, "disabled", Value::Boolean(server.disabled));
    page.schedule(raw, server.schedule);
    page.line(raw, "list_tools", Value::Boolean(server.list_tools));
}

fn transport_name(transport: HttpTransport) -> &'static str {
    match transport {
        HttpTransport::Auto => "auto",
        HttpTransport::Http => "http",
        HttpTransport::Sse => "sse",
    }
}

fn worktree(page: &mut Page<'_>, settings: &Settings, raw: Raw<'_>) {
    let worktree = &settings.worktree;
    page.section("[worktree]");
    if worktree.discovered {
        page.comment("The repository of the current directory, if there is one.");
    }
    page.line(raw, "repos", of_paths(&worktree.repos));
    page.line(raw, "base", worktree.base.as_deref().map(of_text));
    page.schedule(raw, worktree.schedule);
    page.line(raw, "idle_ttl", of_duration(worktree.idle_ttl));
    page.line(raw, "test_reports", of_texts(&worktree.test_reports));
    page.line(raw, "test_runners", of_texts(&worktree.test_runners));
    for (path, name) in &worktree.named {
        page.section("[[worktree.named]]");
        page.out.push_str(&format!(
            "name = {}\npath = {}\n",
            page::literal(&of_text(name)),
            page::literal(&of_path(path))
        ));
    }
}

fn thunes(page: &mut Page<'_>, thunes: &ThunesSettings, raw: Raw<'_>) {
    let target = &thunes.target;
    page.section("[[thunes]]");
    page.line(raw, "environment", of_text(&target.environment));
    if let Some(failure) = &thunes.unreachable {
        return page.spoiled(raw, failure);
    }
    page.line(raw, "root", of_path(&target.root));
    page.line(raw, "positions_db", of_path(&target.positions_db));
    page.line(raw, "journals", of_paths(&target.journals));
    page.line(raw, "logs", of_paths(&target.logs));
    page.url(raw, "metrics_url");
    page.line(raw, "max_daily_loss", target.max_daily_loss.map(Value::Float));
    page.schedule(raw, thunes.schedule);
}

fn service(page: &mut Page<'_>, service: &ServiceSettings, raw: Raw<'_>) {
    page.section("[[service]]");
    page.line(raw, "name", of_text(&service.name));
    match &service.look {
        ServiceLook::Http(look) => {
            page.url(raw, "url");
            page.line(raw, "headers", raw.masked_map("headers"));
            let statuses = look.expect_status.iter().map(|status| of_count(u64::from(*status))).collect();
            page.line(raw, "expect_status", Some(Value::Array(statuses)).filter(|_| !look.expect_status.is_empty()));
            page.line(raw, "body_contains", look.body_contains.as_deref().map(of_text));
            page.line(raw, "body_matches", look.body_matches.as_deref().map(of_text));
            page.line(raw, "ca_file", look.ca_file.as_deref().map(of_path));
        }
        ServiceLook::Tcp(address) => page.line(raw, "tcp", of_text(address)),
        ServiceLook::Unit { name, user } => {
            page.line(raw, "unit", of_text(name));
            page.line(raw, "user", Value::Boolean(*user));
        }
        ServiceLook::Process(pattern) => page.line(raw, "process", of_text(pattern)),
        ServiceLook::Unreachable(failure) => return page.spoiled(raw, failure),
    }
    page.schedule(raw, service.schedule);
}

fn people(page: &mut Page<'_>, settings: &Settings, root: &Raw<'_>) {
    let raw = root.child("telegram");
    let telegram = &settings.telegram;
    page.section("[telegram]");
    page.line(raw, "chat_id", telegram.chat_id.as_deref().map(of_text));
    page.line(raw, "token_file", telegram.token_file.as_deref().map(of_path));
    page.url_or(raw, "api_url", &telegram.api_url);
    let raw = root.child("doctor");
    let doctor = &settings.doctor;
    page.section("[doctor]");
    page.url_or(raw, "prometheus", &doctor.prometheus.url);
    page.url_or(raw, "alertmanager", &doctor.alertmanager.url);
    page.url_or(raw, "grafana", &doctor.grafana.url);
    page.url_or(raw, "node_exporter", &doctor.node_exporter.url);
}

fn output(page: &mut Page<'_>, output: &OutputSettings, raw: Raw<'_>) {
    if let Some(textfile) = &output.textfile {
        let raw = raw.child("textfile");
        page.section("[output.textfile]");
        page.line(raw, "directory", of_path(&textfile.directory));
        page.line(raw, "file", of_text(&textfile.file));
    }
    if let Some(gateway) = &output.pushgateway {
        let raw = raw.child("pushgateway");
        page.section("[output.pushgateway]");
        page.url(raw, "url");
        page.line(raw, "job", of_text(&gateway.job));
        page.line(raw, "grouping", of_map(&gateway.grouping));
        page.line(raw, "username", gateway.username.as_deref().map(of_text));
        page.line(raw, "password_file", gateway.password_file.as_deref().map(of_path));
        page.line(raw, "bearer_token_file", gateway.bearer_token_file.as_deref().map(of_path));
        page.line(raw, "ca_file", gateway.ca_file.as_deref().map(of_path));
        page.line(raw, "timeout", of_duration(gateway.timeout));
        page.line(raw, "retries", of_count(u64::from(gateway.retries)));
    }
    for broken in &output.broken {
        page.section(&format!("[output.{}]", broken.output));
        page.comment(&broken.problem);
        page.as_written(raw.child(broken.output));
    }
}
