//! Real servers from npm and PyPI on standard streams, at the versions pinned in `tests/servers/`. Those behind a URL
//! are in `mcp_http`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lab_probe::check::mcp::check;
use lab_probe::clock::Deadline;
use lab_probe::model::mcp::{Era, McpFacts, McpMemory, McpTarget, McpVerdict, Reach, StdioServer, Transport};
use lab_probe::redact::Secret;

use crate::harness::context;
use crate::harness::player::marked_processes;
use crate::harness::servers::{installed, npm_server};

const MARK: &str = "REAL_SERVER_MARK";

/// Checks a server twice, the second time with what was remembered of the first, and holds that none of its processes
/// is left.
fn looked_at_twice(name: &str, command: &str, args: &[&str], env: &[(&str, &Path)]) -> [(McpFacts, McpMemory); 2] {
    let mark = format!("{name}-{}", std::process::id());
    let mut server = StdioServer {
        command: command.into(),
        args: args.iter().map(|arg| Secret::new(*arg)).collect(),
        env: BTreeMap::from([(MARK.to_owned(), Secret::new(&*mark))]),
        cwd: None,
    };
    for (name, value) in env {
        server.env.insert((*name).to_owned(), Secret::new(value.to_str().expect("a path")));
    }
    let target = McpTarget { reach: Reach::Stdio(server), list_tools: true };
    let look = |memory: McpMemory| {
        // A machine may be busy, and these take seconds of processor time to start.
        let timeout = Duration::from_secs(90);
        let context = context(timeout, Deadline::after(2 * timeout));
        let looked = check(&target, memory, &context).expect("started");
        assert_eq!(marked_processes(MARK, &mark), Vec::<String>::new(), "left by {looked:?}");
        looked
    };
    let first = look(McpMemory::default());
    let second = look(first.1.clone());
    [first, second]
}

/// Holds what is true of every one of them.
#[track_caller]
fn usable(looks: &[(McpFacts, McpMemory); 2], era: Era, version: &str) {
    for (facts, memory) in looks {
        assert_eq!(facts.verdict(), McpVerdict::Up, "{facts:#?}");
        assert_eq!((facts.era, memory.era), (Some(era), Some(era)));
        assert_eq!(facts.transport, Some(Transport::Stdio));
        assert_eq!(facts.protocol_version.as_deref(), Some(version), "{facts:#?}");
        assert!(facts.tools.is_some_and(|tools| tools > 0), "{facts:#?}");
        assert!(!facts.tools_truncated && facts.server_name.is_some() && facts.server_version.is_some(), "{facts:#?}");
        // An interpreter and its libraries.
        assert!(facts.max_rss_bytes.is_some_and(|bytes| bytes > 20 << 20), "{facts:#?}");
        assert!(facts.cpu.is_some_and(|cpu| cpu > Duration::from_millis(20)), "{facts:#?}");
    }
    let [(first, _), (second, memory)] = looks;
    assert_eq!(first.tools_digest, second.tools_digest, "the same tools");
    assert_eq!(memory.tools_changed_at, None);
    assert_eq!(memory.checks["up"], 2);
}

#[test]
fn the_node_servers_are_legacy_and_usable() {
    let directory = tempfile::tempdir().expect("a directory");
    let allowed = directory.path().to_str().expect("a path");
    for (server, version, args) in [
        ("server-filesystem", "2025-11-25", vec![allowed]),
        ("server-everything", "2025-11-25", vec![]),
        ("server-sequential-thinking", "2025-11-25", vec![]),
        ("server-github", "2024-11-05", vec![]),
    ] {
        let script = npm_server(server);
        let args: Vec<&str> = std::iter::once(script.to_str().expect("a path")).chain(args).collect();
        usable(&looked_at_twice(server, "node", &args, &[]), Era::Legacy, version);
    }
}

#[test]
fn a_server_behind_npx_is_found_in_the_grandchild_and_ended_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let prefix = installed("npm");
    let args = [
        "--offline",
        "--prefix",
        prefix.to_str().expect("a path"),
        "mcp-server-filesystem",
        directory.path().to_str().expect("a path"),
    ];
    let home = [("HOME", directory.path())];
    usable(&looked_at_twice("npx", "npx", &args, &home), Era::Legacy, "2025-11-25");
}

#[test]
fn the_python_servers_are_modern_and_usable() {
    let packages = installed("python");
    let repository = tempfile::tempdir().expect("a directory");
    let made = std::process::Command::new("git").args(["init", "-q"]).arg(repository.path()).status();
    assert!(made.expect("git starts").success());
    let repository = repository.path().to_str().expect("a path");
    for (module, args) in [("mcp_server_fetch", vec![]), ("mcp_server_git", vec!["--repository", repository])] {
        let args: Vec<&str> = ["-B", "-m", module].into_iter().chain(args).collect();
        let env = [("PYTHONPATH", packages.as_path())];
        usable(&looked_at_twice(module, "python3", &args, &env), Era::Modern, "2026-07-28");
    }
}
