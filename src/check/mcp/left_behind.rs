//! Servers that clients have started, and those that a client has left behind.
//!
//! A running process belongs to a configured server if it has the server's own command line: the program, or behind an
//! interpreter the script, of the same name and *all* of the configured arguments. Behind `npx`, `uvx` and their like it
//! is the package's own program that runs: known by the package in its path, or by its name. What could be
//! another server's process is not counted: a relative script without a configured directory, and command lines that
//! two servers have in common.
//!
//! `attached` means that a client is alive above it. Launchers and shells between the two are no client, and neither is who
//! adopts what has lost its parent: init, a user's systemd, an init of a container.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check::command_line::{INTERPRETERS, LAUNCHERS, base_name, program_name};
use crate::model::mcp::{McpTarget, Reach, ServerProcesses, StdioServer};
use crate::model::target::{Probe, Target};
use crate::proc::{Process, ProcessTable, supervisor};

/// Programs that download a package and run it, with the words that make them do so.
const PACKAGE_RUNNERS: &[&str] =
    &["npx", "pnpx", "bunx", "uvx", "npm exec", "npm x", "pnpm dlx", "yarn dlx", "bun x", "uv tool run", "pipx run"];

/// Their options that have a value; of these, the ones that name the package.
const OPTIONS_WITH_VALUE: &[&str] = &["-p", "--package", "--from", "--with", "--python", "--index-url", "--registry"];
const PACKAGE_OPTIONS: &[&str] = &["-p", "--package", "--from"];

/// Programs that adopt the processes of others: init systems, and those of containers.
const REAPERS: &[&str] =
    &["init", "systemd", "tini", "dumb-init", "catatonit", "conmon", "runsv", "s6-svscan", "containerd-shim-runc-v2"];

/// The running processes of every server that is started by a command, by its name.
pub fn processes(targets: &[Target], table: &ProcessTable) -> BTreeMap<String, ServerProcesses> {
    let known: Vec<(&str, CommandLine<'_>)> = targets
        .iter()
        .filter_map(|target| match &target.probe {
            Probe::Mcp(McpTarget { reach: Reach::Stdio(server), .. }) => {
                Some((&*target.name, CommandLine::of(server)?))
            }
            _ => None,
        })
        .collect();
    let unique = |line: &CommandLine<'_>| known.iter().filter(|(_, other)| other == line).count() == 1;
    let known: Vec<_> = known.iter().filter(|(_, line)| unique(line)).collect();
    if known.is_empty() {
        return BTreeMap::new();
    }
    let Ok(all) = table.all() else { return BTreeMap::new() };
    let user = rustix::process::geteuid().as_raw();
    let others: Vec<&Process> = all.filter(|process| process.uid == user && !is_probes(process, table)).collect();
    let found = known.into_iter().map(|(name, line)| {
        let mut running = ServerProcesses::default();
        for process in others.iter().filter(|process| line.is_of(process)) {
            // A server that has started itself once more is one server.
            if !table.ancestors(process).any(|ancestor| line.is_of(ancestor)) {
                running.add(process.stat.pid, memory(process, &others, table), is_attached(process, table));
            }
        }
        ((*name).to_owned(), running)
    });
    found.collect()
}

/// Whether a probe, this one or another, has started it.
fn is_probes(process: &Process, table: &ProcessTable) -> bool {
    let supervised = |ancestor: &Process| ancestor.arguments.first().is_some_and(|name| name == supervisor::NAME);
    table.is_own(process) || table.ancestors(process).any(supervised)
}

/// Resident memory of a process and of everything it has started, in bytes.
fn memory(process: &Process, all: &[&Process], table: &ProcessTable) -> u64 {
    let below = |other: &&&Process| table.ancestors(other).any(|ancestor| ancestor.stat.pid == process.stat.pid);
    process.stat.rss_bytes + all.iter().filter(below).map(|other| other.stat.rss_bytes).sum::<u64>()
}

fn is_attached(process: &Process, table: &ProcessTable) -> bool {
    let above = table.ancestors(process).find(|ancestor| !is_launcher(ancestor));
    above.is_some_and(|ancestor| ancestor.stat.pid > 1 && !REAPERS.contains(&program(ancestor)))
}

/// A launcher, or a shell that was given a command. A shell at a terminal is a client: the person before it.
fn is_launcher(process: &Process) -> bool {
    let second = process.arguments.get(1).map_or("", String::as_str);
    let runs_launcher = || LAUNCHERS.contains(&program_name(second.trim_end_matches("-cli.js")));
    match program(process) {
        name if LAUNCHERS.contains(&name) => true,
        "sh" | "bash" | "dash" | "zsh" => second.starts_with('-') && second.contains('c'),
        name if INTERPRETERS.contains(&name) => runs_launcher(),
        _ => false,
    }
}

/// The program's name without its directory and version.
fn program(process: &Process) -> &str {
    process.arguments.first().map_or("", |first| program_name(first))
}

#[derive(Debug, PartialEq, Eq)]
struct CommandLine<'a> {
    name: Name<'a>,
    args: Vec<String>,
    directory: Option<&'a Path>,
}

#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    /// A program, or behind an interpreter a script.
    Program(&'a str),
    /// The program of a package, which mostly has the package's name.
    Package { package: &'a str, program: &'a str },
}

impl<'a> CommandLine<'a> {
    /// `None` where no process could be told from another server's.
    fn of(server: &'a StdioServer) -> Option<CommandLine<'a>> {
        let args = server.args.iter().map(|arg| arg.expose());
        let command = base_name(&server.command);
        let words: Vec<&str> = std::iter::once(command).chain(args.clone()).collect();
        let mut runners = PACKAGE_RUNNERS.iter().map(|runner| runner.split(' ').collect::<Vec<_>>());
        if let Some(runner) = runners.find(|runner| words.starts_with(runner)) {
            return CommandLine::of_package(&words[runner.len()..]);
        }
        let directory = server.cwd.as_deref();
        let is_interpreter = INTERPRETERS.contains(&program_name(command));
        let names_itself = !is_interpreter || args.clone().any(|arg| arg.starts_with('/') || arg == "-m");
        let (name, args) = (Name::Program(&server.command), args.map(str::to_owned).collect());
        (names_itself || directory.is_some()).then_some(CommandLine { name, args, directory })
    }

    fn of_package(words: &[&'a str]) -> Option<CommandLine<'a>> {
        let mut package = None;
        let mut words = words.iter().copied();
        let mut program = words.next()?;
        while program.starts_with('-') {
            let (option, value) = program.split_once('=').map_or((program, None), |(name, value)| (name, Some(value)));
            let value = value.or_else(|| OPTIONS_WITH_VALUE.contains(&option).then(|| words.next()).flatten());
            if PACKAGE_OPTIONS.contains(&option) {
                package = value;
            }
            program = words.next()?;
        }
        let without_version = |name: &'a str| {
            let end = name.get(1..).and_then(|rest| rest.find(['@', '=', '['])).map_or(name.len(), |at| at + 1);
            &name[..end]
        };
        let program = without_version(program);
        let package = package.map_or(program, without_version);
        let name = Name::Package { package, program: base_name(program) };
        Some(CommandLine { name, args: words.map(str::to_owned).collect(), directory: None })
    }

    fn is_of(&self, process: &Process) -> bool {
        if self.directory.is_some_and(|directory| process.directory.as_deref() != Some(directory)) {
            return false;
        }
        // The word before the arguments is the program or, behind an interpreter and its options, the script.
        let before = process.arguments.strip_suffix(self.args.as_slice());
        let Some((name, before)) = before.and_then(<[String]>::split_last) else { return false };
        let behind_interpreter =
            || INTERPRETERS.contains(&program(process)) && before.iter().skip(1).all(|option| option.starts_with('-'));
        (before.is_empty() || behind_interpreter()) && self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        match self.name {
            Name::Program(path) if path.contains('/') && name.contains('/') => path == name,
            Name::Program(path) => program_name(path) == program_name(name),
            Name::Package { package, program } => base_name(name) == program || is_in_package(name, package),
        }
    }
}

/// Whether a script of node belongs to an npm package. The links in `.bin` lead to the packages beside it.
fn is_in_package(script: &str, package: &str) -> bool {
    let inside = format!("/node_modules/{package}/");
    let target = || std::fs::read_link(script).ok();
    script.contains(&inside)
        || (script.contains("/node_modules/.bin/")
            && target().is_some_and(|link| link.starts_with(Path::new("..").join(package))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::target::Schedule;
    use crate::proc::processes::tests::add_process;
    use crate::redact::Secret;

    fn server(name: &str, command_line: &str, cwd: Option<&str>) -> Target {
        let (command, args) = command_line.split_once(' ').unwrap_or((command_line, ""));
        let server = StdioServer {
            command: command.into(),
            args: args.split_whitespace().map(Secret::new).collect(),
            env: BTreeMap::new(),
            cwd: cwd.map(Into::into),
        };
        let zero = Duration::ZERO;
        Target {
            only_here: false,
            name: name.into(),
            probe: Probe::Mcp(McpTarget { reach: Reach::Stdio(server), list_tools: true }),
            schedule: Schedule { ttl: zero, retry_after: zero, timeout: zero },
            fingerprint: String::new(),
            origins: Vec::new(),
        }
    }

    fn is_of(configured: &str, cwd: Option<&str>, running: &str) -> bool {
        let Target { probe: Probe::Mcp(McpTarget { reach: Reach::Stdio(server), .. }), .. } =
            server("x", configured, cwd)
        else {
            panic!("no server");
        };
        let proc = tempfile::tempdir().expect("a directory");
        add_process(proc.path(), 5, 1, &running.replace(' ', "\0"), Some("/lab"));
        let table = ProcessTable::of(proc.path());
        CommandLine::of(&server).is_some_and(|line| line.is_of(table.get(5).expect("the process")))
    }

    #[test]
    fn a_process_is_known_by_program_and_all_arguments() {
        for (configured, running) in [
            ("rag-server --stdio", "/opt/rag/bin/rag-server --stdio"),
            ("/opt/rag/bin/rag-server --stdio", "/opt/rag/bin/rag-server --stdio"),
            ("rag-server --stdio", "/usr/bin/python3.12 -u /opt/venv/bin/rag-server --stdio"),
            ("python -m rag.server", "/usr/bin/python3 -m rag.server"),
            ("node /srv/x/index.js /data", "node /srv/x/index.js /data"),
            (
                "npx -y @scope/server-files /tmp",
                "node /h/.npm/_npx/1/node_modules/@scope/server-files/dist/index.js /tmp",
            ),
            ("npx @scope/server-files@1.2.3 /tmp", "node /h/.npm/_npx/1/node_modules/.bin/server-files /tmp"),
            ("npx --package=@scope/x files /tmp", "node /h/node_modules/.bin/files /tmp"),
            ("uvx mcp-server-fetch@latest --x", "/h/.cache/uv/1/bin/python /h/.cache/uv/1/bin/mcp-server-fetch --x"),
            ("uvx --from git+https://x/y serve 1", "/h/.cache/uv/1/bin/python /h/.cache/uv/1/bin/serve 1"),
            ("pipx run mcp-server-git", "/h/bin/python /h/bin/mcp-server-git"),
        ] {
            assert!(is_of(configured, None, running), "{configured} as {running}");
        }
        for (configured, running) in [
            ("rag-server --stdio", "rag-server --stdio --other"),
            ("rag-server --stdio", "rag-server"),
            ("rag-server", "vim rag-server"),
            ("/opt/rag/rag-server", "/opt/other/rag-server"),
            ("python server.py", "python server.py"),
            ("node index.js", "node index.js"),
            ("npx -y @scope/server-files /tmp", "npm exec @scope/server-files /tmp"),
            ("npx -y @scope/server-files /tmp", "node /h/node_modules/@scope/server-files/dist/index.js /home"),
            ("uvx mcp-server-fetch", "uv tool uvx mcp-server-fetch"),
            ("npx", "node"),
        ] {
            assert!(!is_of(configured, None, running), "{configured} as {running}");
        }
        assert!(is_of("python server.py", Some("/lab"), "python3 server.py"));
        assert!(!is_of("python server.py", Some("/elsewhere"), "python3 server.py"));
    }

    #[test]
    fn who_has_a_client_above_it_is_attached_and_nobody_counts_twice() {
        let proc = tempfile::tempdir().expect("a directory");
        let add = |pid, parent, command: &str| add_process(proc.path(), pid, parent, &command.replace(' ', "\0"), None);
        let script = "node /h/node_modules/@s/files/index.js /tmp";
        add(1, 0, "/sbin/init");
        add(2, 1, "/usr/lib/systemd/systemd --user");
        // A client with a server behind its launchers, which has started itself once more.
        add(10, 2, "claude --resume");
        add(11, 10, "npm exec @s/files /tmp");
        add(12, 11, "sh -c files");
        add(13, 12, script);
        add(14, 13, script);
        // The same, left behind with its launchers.
        add(20, 2, "npm exec @s/files /tmp");
        add(21, 20, "sh -c files");
        add(22, 21, script);
        add(23, 22, "chromium --headless");
        add(30, 1, script);
        // A person at a terminal.
        add(40, 2, "-bash");
        add(41, 40, script);
        // What a probe has started.
        let own = std::process::id().cast_signed();
        add(own, 1, "lab-probe");
        add(2_000_050, own, script);
        add(60, 1, "lab-probe-supervisor 59");
        add(61, 60, script);
        let table = ProcessTable::of(proc.path());
        let targets = [server("files", "npx -y @s/files /tmp", None), server("other", "other-server", None)];
        let found = processes(&targets, &table);
        // The user that runs this test owns the files; a page of memory has whatever size it has.
        let files = found.get("files").expect("counted");
        assert_eq!((files.attached.count, files.orphaned.count), (2, 2), "{found:?}");
        assert_eq!(files.orphans, [22, 30]);
        let one = table.get(30).expect("there").stat.rss_bytes;
        assert_eq!((files.attached.rss_bytes, files.orphaned.rss_bytes), (3 * one, 3 * one));
        assert_eq!(found.get("other"), Some(&ServerProcesses::default()));
        // Two servers that cannot be told apart are not counted at all.
        let twins = [server("a", "npx -y @s/files /tmp", None), server("b", "npx -y @s/files /tmp", None)];
        assert_eq!(processes(&twins, &table), BTreeMap::new());
    }
}
