//! `[mcp]` and `[[mcp.server]]`.

use std::collections::HashSet;
use std::time::Duration;

use super::rules;
use crate::config::block::{Block, Text};
use crate::config::settings::{McpSettings, ServerSettings};
use crate::model::mcp::{HealthScript, HttpServer, HttpTransport, Reach, StdioServer};
use crate::model::target::Schedule;
use crate::redact::Secret;

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
    let mut texts = block.texts("expected").unwrap_or_default();
    let mut seen = HashSet::new();
    texts.retain(|text| block.ensure(text, !text.is_empty(), "a server's name is not empty"));
    texts.into_iter().map(|text| text.value).filter(|name| seen.insert(name.clone())).collect()
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
    Some(Reach::Stdio(StdioServer {
        args: block.texts("args").unwrap_or_default().into_iter().map(Text::secret).collect(),
        env: block.variables("env"),
        command: rules::program(block, &block.filled("command")?, cwd.as_ref()),
        cwd,
    }))
}

fn http(block: &Block<'_>) -> Option<Reach> {
    let choices = [("http", HttpTransport::Http), ("sse", HttpTransport::Sse), ("auto", HttpTransport::Auto)];
    Some(Reach::Http(HttpServer {
        headers: rules::headers(block, "headers"),
        transport: block.choice("transport", &choices).unwrap_or_default(),
        ca_file: block.path("ca_file"),
        login: None,
        url: rules::url(block, "url")?,
    }))
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
    block.ensure(program, !program.is_empty(), "its first string is the program, and it is empty");
    let program = Secret::new(rules::program(block, program, cwd.as_ref()));
    let command = std::iter::once(program).chain(args.iter().map(|arg| arg.clone().secret())).collect();
    Some(Reach::Script(HealthScript { command, env, cwd }))
}
