//! `[mcp]` and `[[mcp.server]]`.

use std::collections::HashSet;
use std::time::Duration;

use super::rules;
use crate::config::block::{Block, Text};
use crate::config::settings::{McpSettings, ServerSettings};
use crate::model::mcp::{HealthScript, HttpServer, HttpTransport, Reach, StdioServer};
use crate::model::target::Schedule;

const SCHEDULE: Schedule = Schedule {
    ttl: Duration::from_secs(5 * 60),
    retry_after: Duration::from_secs(30),
    timeout: Duration::from_secs(10),
};

pub(super) fn read(block: &Block<'_>) -> McpSettings {
    let schedule = rules::schedule(block, SCHEDULE);
    let list_tools = block.flag("list_tools").unwrap_or(true);
    McpSettings {
        discover: block.flag("discover").unwrap_or(true),
        config_files: block.paths("config_files").unwrap_or_default(),
        expected: expected(block),
        health_dir: block.path("health_dir"),
        schedule,
        list_tools,
        ca_file: block.path("ca_file"),
        servers: servers(block, schedule, list_tools),
    }
}

fn expected(block: &Block<'_>) -> Vec<String> {
    let texts = block.texts("expected").unwrap_or_default();
    for text in texts.iter().filter(|text| text.is_empty()) {
        block.complain_of(text, "a server's name is not empty");
    }
    let mut seen = HashSet::new();
    let first = texts.into_iter().map(|text| text.value).filter(|name| !name.is_empty() && seen.insert(name.clone()));
    first.collect()
}

fn servers(mcp: &Block<'_>, schedule: Schedule, list_tools: bool) -> Vec<ServerSettings> {
    rules::named(mcp.children("server"), "name", "fetch", |block, name| {
        let schedule = rules::schedule(block, schedule);
        let reach = reach(block);
        Some(ServerSettings {
            name,
            reach: block.failure().map(Reach::Unreachable).or(reach)?,
            disabled: block.flag("disabled").unwrap_or(false),
            schedule,
            list_tools: block.flag("list_tools").unwrap_or(list_tools),
        })
    })
}

/// How the server is reached; `None` after a complaint, or where the environment spoils the block.
fn reach(block: &Block<'_>) -> Option<Reach> {
    match () {
        () if block.has("command") => stdio(block),
        () if block.has("url") => http(block),
        () => script(block),
    }
}

fn stdio(block: &Block<'_>) -> Option<Reach> {
    let cwd = block.path("cwd");
    let args = block.texts("args").unwrap_or_default().into_iter().map(Text::secret).collect();
    let env = block.variables("env");
    let command = rules::program(block, &block.filled("command")?, cwd.as_ref());
    Some(Reach::Stdio(StdioServer { command, args, env, cwd }))
}

fn http(block: &Block<'_>) -> Option<Reach> {
    let headers = rules::headers(block, "headers");
    let choices = [("http", HttpTransport::Http), ("sse", HttpTransport::Sse), ("auto", HttpTransport::Auto)];
    let transport = block.choice("transport", &choices).unwrap_or_default();
    let ca_file = block.path("ca_file");
    let url = rules::url(block, "url")?;
    Some(Reach::Http(HttpServer { url, headers, transport, ca_file, login: None }))
}

fn script(block: &Block<'_>) -> Option<Reach> {
    let cwd = block.path("cwd");
    let env = block.variables("env");
    let words = block.texts("health_command")?;
    let Some((program, args)) = words.split_first() else {
        // Not where a variable is missing.
        if block.fault().is_none() {
            let at = block.place_of("health_command");
            block.complain_in("health_command", at, "it needs a program, as in [\"~/bin/check\"]");
        }
        return None;
    };
    if program.is_empty() {
        block.complain_of(program, "its first string is the program, and it is empty");
    }
    let program = rules::program(block, program, cwd.as_ref()).into();
    let command = std::iter::once(program).chain(args.iter().map(|arg| arg.clone().secret())).collect();
    Some(Reach::Script(HealthScript { command, env, cwd }))
}
