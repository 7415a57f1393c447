//! `[mcp]` and `[[mcp.server]]`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::rules;
use crate::config::block::Block;
use crate::config::settings::{McpSettings, ServerReach, ServerSettings};
use crate::model::mcp::HttpTransport;
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
    let mut seen = HashMap::new();
    let blocks = mcp.children("server").into_iter().map(Block::answers_for_itself);
    let servers = blocks.filter_map(|block| {
        let name = block.name("name", "fetch");
        if let Some(name) = &name {
            block.unique(&mut seen, name);
        }
        let schedule = rules::schedule(&block, schedule);
        let reach = reach(&block);
        Some(ServerSettings {
            name: name?.value,
            reach: block.failure().map_or(reach?, ServerReach::Unreachable),
            disabled: block.flag("disabled").unwrap_or(false),
            schedule,
            list_tools: block.flag("list_tools").unwrap_or(list_tools),
        })
    });
    servers.collect()
}

/// How the server is reached; `None` after a complaint.
fn reach(block: &Block<'_>) -> Option<ServerReach> {
    match block.exactly_one(&["command", "url", "health_command"])? {
        "command" => {
            block.only_with(&["headers", "transport", "ca_file"], "\"url\"");
            Some(stdio(block))
        }
        "url" => {
            block.only_with(&["args"], "\"command\"");
            block.only_with(&["env", "cwd"], "\"command\" or \"health_command\"");
            Some(http(block))
        }
        _ => {
            block.only_with(&["args"], "\"command\"; arguments of a health script follow it in the same array");
            block.only_with(&["headers", "transport", "ca_file"], "\"url\"");
            Some(script(block))
        }
    }
}

/// Stands where a value could not be had; the block's failure or the complaint decides then, and this is never used.
fn unusable() -> ServerReach {
    ServerReach::Script { command: Vec::new(), env: Default::default(), cwd: None }
}

fn stdio(block: &Block<'_>) -> ServerReach {
    let cwd = block.path("cwd");
    let args = block.texts("args").unwrap_or_default();
    let env = block.variables("env");
    let Some(command) = block.filled("command") else { return unusable() };
    ServerReach::Stdio {
        command: rules::program(block, &command, cwd.as_ref()),
        args: args.into_iter().map(|arg| arg.secret()).collect(),
        env,
        cwd,
    }
}

fn http(block: &Block<'_>) -> ServerReach {
    let headers = rules::headers(block, "headers");
    let choices = [("http", HttpTransport::Http), ("sse", HttpTransport::Sse), ("auto", HttpTransport::Auto)];
    let transport = block.choice("transport", &choices).unwrap_or_default();
    let ca_file = block.path("ca_file");
    let Some(url) = rules::url(block, "url") else { return unusable() };
    ServerReach::Http { url, headers, transport, ca_file }
}

fn script(block: &Block<'_>) -> ServerReach {
    let cwd = block.path("cwd");
    let env = block.variables("env");
    let words = block.texts("health_command");
    let command = match words.as_deref().and_then(<[_]>::split_first) {
        Some((program, _)) if program.is_empty() => {
            block.complain_of(program, "its first string is the program, and it is empty");
            Vec::new()
        }
        Some((program, args)) => {
            let program = rules::program(block, program, cwd.as_ref()).into();
            std::iter::once(program).chain(args.iter().map(|arg| arg.clone().secret())).collect()
        }
        None => {
            // Not where a variable is missing, nor where the value is no array, which has been told.
            if block.fault().is_none() && words.is_some() {
                let at = block.place_of("health_command");
                block.complain_in("health_command", at, "it needs a program, as in [\"~/bin/check\"]");
            }
            Vec::new()
        }
    };
    ServerReach::Script { command, env, cwd }
}
