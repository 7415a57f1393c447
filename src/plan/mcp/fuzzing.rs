//! Any bytes as a client's list of servers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memmem;

use super::clients::{self, Scope};
use super::discover;
use super::document::{self, Syntax};
use super::merge;
use super::places::ListFile;
use super::sources::{self, Source};
use crate::clock::Deadline;
use crate::config::environment::{HostEnvironment, Platform};
use crate::model::mcp::{McpTarget, Reach};
use crate::model::reason::{Failure, Reason};
use crate::model::target::{Probe, Schedule, Target};
use crate::plan::View;

/// The value of a variable: where it is not asked for, it is not shown.
const CANARY: &str = "wq7Zkx1Lr0Tj";

/// An error has its place in the file; of a file that is not allowed nothing is reached; names are unique.
pub(crate) fn client_config(client: usize, bytes: &[u8]) {
    // A fuzzer that sees comparisons finds out what it is; a file that says it itself tells nothing.
    if memmem::find(bytes, CANARY.as_bytes()).is_some() {
        return;
    }
    let client = clients::all().get(client % (clients::all().len() + 1)).unwrap_or(clients::generic());
    let path = client.files().next().map_or("file.json", |(_, file)| file.split().1);
    let document = match document::parse(bytes, Syntax::of(Path::new(path))) {
        Ok(document) => document,
        Err(error) => {
            // What is missing at the very end may be told as the line after the last.
            let lines = 2 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            assert!((1..=lines).contains(&error.line) && error.column <= bytes.len() + 1, "{error:?}");
            return;
        }
    };
    let environment = HostEnvironment {
        home: Some(PathBuf::from("/nowhere/home")),
        cwd: None,
        root: PathBuf::from("/nowhere"),
        platform: Platform::Linux,
        env: BTreeMap::from([("TOKEN".into(), CANARY.into())]),
    };
    for refusal in [None, Some(Failure::new(Reason::Untrusted, "nobody has allowed it"))] {
        let refused = refusal.is_some();
        let source = Source {
            file: ListFile {
                client,
                scope: Scope::User,
                path: PathBuf::from("/nowhere/file"),
                project: None,
                plugin: None,
            },
            canonical: PathBuf::from("/nowhere/file"),
            document: document.clone(),
            refusal,
            lists: Vec::new(),
            listed_for: None,
        };
        candidates(&environment, source, refused);
    }
}

fn candidates(environment: &HostEnvironment, source: Source, refused: bool) {
    let local = sources::local_lists(&source, Deadline::after(Duration::from_secs(20)));
    let sources: Vec<Source> = [source].into_iter().chain(local).collect();
    let mut warnings = Vec::new();
    let found = discover::servers(&sources, environment, None, &mut warnings);
    for warning in &warnings {
        assert!(warning.starts_with("/nowhere/file") && !warning.contains(CANARY), "{warning}");
    }
    let mut expected: BTreeSet<String> = found.iter().map(|candidate| candidate.entry.name.clone()).collect();
    assert!(expected.iter().all(|name| !name.is_empty() && name.len() <= 4096));
    let schedule = Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::ZERO };
    let made = |name, reach, origins, _| {
        let probe = Probe::Mcp(McpTarget { reach, list_tools: true });
        Target { name, probe, schedule, fingerprint: String::new(), origins, only_here: false }
    };
    let named = merge::merge(found, BTreeSet::new(), View::Anywhere, made);
    let mut names = BTreeSet::new();
    for server in &named {
        assert!(names.insert(server.name.clone()), "{:?} twice", server.name);
        expected.remove(&server.name);
        assert!(!server.origins.is_empty() && server.origins.iter().all(|o| o.path == Path::new("/nowhere/file")));
        let Probe::Mcp(McpTarget { reach, .. }) = &server.probe else { panic!("no MCP server") };
        match reach {
            Reach::Unreachable(failure) => assert!(!failure.detail.contains(CANARY), "{failure:?}"),
            reach => assert!(!refused, "{reach:?} is reached unasked"),
        }
        // The program is shown on purpose, what it is given is not.
        if let Reach::Stdio(stdio) = reach {
            let shown = format!("{:?} {:?}", stdio.args, stdio.env.values().collect::<Vec<_>>());
            assert!(!shown.contains(CANARY), "{shown}");
        }
        if let Reach::Http(http) = reach {
            assert!(!format!("{http:?}").contains(CANARY), "{http:?}");
        }
    }
    assert!(expected.is_empty(), "lost: {expected:?}");
}
