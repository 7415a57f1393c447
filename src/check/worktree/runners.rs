//! Test runners that are alive, from the process table of the pass.
//!
//! What other users' processes do is theirs: their directory cannot be read, and they are skipped without a word.

use crate::check::command_line::{INTERPRETERS, base_name, program_name};
use crate::model::worktree::WorktreeTarget;
use crate::proc::ProcessTable;

/// Commands that are nothing but test runners.
pub(super) const RUNNERS: &[&str] = &[
    "pytest", "py.test", "tox", "nox", "nosetests", "nose2", "unittest", "trial", "stestr", "green", "ward", "jest",
    "vitest", "mocha", "ava", "tap", "karma", "wtr", "phpunit", "pest", "paratest", "behat", "codecept", "rspec",
    "minitest", "cucumber", "ctest", "gotestsum", "ginkgo", "bats", "cargo-nextest", "cargo-tarpaulin",
    "cargo-llvm-cov", "xctest", "prove", "busted", "ert-runner", "playwright", "cypress",
];

/// Commands of which one word makes a test run: the word comes first after the options, or anywhere among the targets.
pub(super) const TOOLS: &[(&[&str], &[&str])] = &[
    (&["cargo"], &["test", "t", "nextest", "tarpaulin", "llvm-cov", "mutants"]),
    (&["npm"], &["test", "t", "tst"]),
    (&["pnpm"], &["test", "t"]),
    (&["dotnet"], &["test", "vstest"]),
    (&["rebar3"], &["eunit", "ct"]),
    (&["rake"], &["test", "spec"]),
    (
        &[
            "go", "yarn", "bun", "deno", "mix", "rails", "swift", "dart", "flutter", "stack", "cabal", "lein", "sbt",
            "bazel", "hatch", "meson", "artisan", "composer", "zig",
        ],
        &["test"],
    ),
];

/// Builders whose targets may stand in any order among other words.
pub(super) const BUILDERS: &[(&[&str], &[&str])] = &[
    (&["make", "gmake", "just"], &["test", "tests", "check"]),
    (&["ninja", "gradle", "gradlew"], &["test", "check"]),
    (&["task"], &["test", "tests"]),
    (&["mvn", "mvnw"], &["test", "verify", "integration-test", "surefire:test", "failsafe:integration-test"]),
];

/// The runner that is alive in this worktree and in no other one inside it.
pub(super) fn in_worktree(target: &WorktreeTarget, processes: &ProcessTable) -> Option<String> {
    let mut inside = processes.standing_in(|directory| target.holds(directory));
    inside.find_map(|process| runner_name(&process.arguments, &target.test_runners))
}

/// What a person would call this command if it runs tests. A runner that watches for changes and runs nothing
/// meanwhile is not testing.
fn runner_name(arguments: &[String], more: &[String]) -> Option<String> {
    if arguments.iter().any(|argument| matches!(argument.as_str(), "--watch" | "--watchAll" | "watch")) {
        return None;
    }
    let (program, rest) = program(arguments)?;
    let first = rest.iter().find(|word| !word.starts_with(['-', '+'])).map(String::as_str);
    let own = |runner: &String| {
        let mut words = runner.split_whitespace();
        words.next() == Some(program) && words.all(|word| rest.iter().any(|argument| argument == word))
    };
    if let Some(own) = more.iter().find(|runner| own(runner)) {
        return Some(own.clone());
    }
    if RUNNERS.contains(&program) {
        return Some(program.to_owned());
    }
    let listed = |table: &[(&[&str], &'static [&'static str])]| {
        let row = table.iter().find(|(tools, _)| tools.contains(&program));
        row.map_or([].as_slice(), |(_, words)| *words)
    };
    let word = first.filter(|word| listed(TOOLS).contains(word)).or_else(|| {
        // `npm run test:unit`, `yarn run test`.
        let script = rest.iter().skip_while(|word| *word != "run").nth(1).map(String::as_str)?;
        let is_manager = matches!(program, "npm" | "pnpm" | "yarn" | "bun");
        (is_manager && (script == "test" || script.starts_with("test:"))).then_some(script)
    });
    let word = word.or_else(|| rest.iter().map(String::as_str).find(|word| listed(BUILDERS).contains(word)));
    let word = word.or_else(|| (program == "node" && rest.iter().any(|word| word == "--test")).then_some("--test"));
    Some(format!("{program} {}", word?))
}

/// The command that matters: behind an interpreter it is the script or module.
pub(super) fn program(arguments: &[String]) -> Option<(&str, &[String])> {
    let (first, rest) = arguments.split_first()?;
    // A login shell's name begins with a dash.
    let name = base_name(first).trim_start_matches('-');
    match program_name(name) {
        "java" => return java_program(rest),
        // Elixir and Erlang: the script and its arguments come after the machine's own.
        "beam.smp" => {
            let at = rest.iter().position(|word| word == "-extra")? + 1;
            return Some((base_name(rest.get(at)?), &rest[at + 1..]));
        }
        "node" if rest.iter().any(|word| word == "--test") => return Some(("node", rest)),
        // These run tests themselves.
        "bun" | "deno" => return Some((name, rest)),
        "env" | "bundle" => {}
        other if !INTERPRETERS.contains(&other) => return Some((name, rest)),
        _ => {}
    }
    let mut at = 0;
    while let Some(argument) = rest.get(at) {
        match argument.as_str() {
            "-m" => {
                let module = rest.get(at + 1)?.trim_start_matches("twisted.");
                return Some((module, &rest[at + 2..]));
            }
            "-c" | "-e" => return None,
            // Options whose value is an argument of its own.
            "-X" | "-W" | "-r" | "--require" | "--import" | "--loader" => at += 2,
            "exec" => at += 1,
            option if option.starts_with('-') || option.contains('=') => at += 1,
            // `env` and `bundle exec` start a program that may itself be an interpreter's script.
            script => return Some((script_name(script), &rest[at + 1..])),
        }
    }
    None
}

/// Maven and Gradle are Java programs; their main class says which, their arguments follow it.
fn java_program(arguments: &[String]) -> Option<(&str, &[String])> {
    let at = arguments.iter().position(|word| {
        word.starts_with("org.codehaus.plexus.classworlds.launcher")
            || word.starts_with("org.gradle.")
            || word.starts_with("org.apache.maven.")
    })?;
    let name = if arguments[at].starts_with("org.gradle.") { "gradle" } else { "mvn" };
    Some((name, &arguments[at + 1..]))
}

/// A script by its name, or by the package it belongs to where the file is called `cli.js`, `bin.js` or `__main__.py`.
fn script_name(script: &str) -> &str {
    let name = base_name(script);
    let stem = name.split('.').next().unwrap_or(name);
    if !matches!(stem, "cli" | "bin" | "index" | "main" | "__main__" | "npm-cli" | "yarn" | "pnpm") {
        return if name.starts_with("py.test") { name } else { stem };
    }
    if let Some(manager) = ["npm", "yarn", "pnpm"].into_iter().find(|manager| stem.starts_with(manager)) {
        return manager;
    }
    let mut parts = script.rsplit('/').map(|part| part.trim_end_matches("-cli"));
    parts.find(|part| RUNNERS.contains(part)).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::proc::processes::tests::add_process;

    fn named(command: &str) -> Option<String> {
        let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
        runner_name(&arguments, &["mytool check".to_owned(), "nose3".to_owned()])
    }

    #[test]
    fn known_runners_are_known_however_they_are_started() {
        for (command, expected) in [
            ("cargo test --workspace", "cargo test"),
            ("/home/u/.cargo/bin/cargo +nightly --locked nextest run", "cargo nextest"),
            ("cargo-nextest nextest run", "cargo-nextest"),
            ("/usr/bin/python3 /usr/local/bin/pytest -q", "pytest"),
            ("python3.12 -X dev -m pytest tests", "pytest"),
            ("python -m unittest", "unittest"),
            ("/venv/bin/python -m tox", "tox"),
            ("go test ./...", "go test"),
            ("node /w/node_modules/.bin/jest --ci", "jest"),
            ("node /w/node_modules/vitest/vitest.mjs run", "vitest"),
            ("node /w/node_modules/jest-cli/bin/jest.js", "jest"),
            ("node --test", "node --test"),
            ("npm test", "npm test"),
            ("node /usr/bin/npm run test:unit", "npm test:unit"),
            ("node /usr/lib/node_modules/npm/bin/npm-cli.js test", "npm test"),
            ("node /usr/share/pnpm/pnpm.cjs run test", "pnpm test"),
            ("yarn run test", "yarn test"),
            ("java -Dx=y org.codehaus.plexus.classworlds.launcher.Launcher -q test", "mvn test"),
            ("java -cp x org.gradle.wrapper.GradleWrapperMain :app:x check", "gradle check"),
            ("ctest -j4", "ctest"),
            ("make -j4 test", "make test"),
            ("php vendor/bin/phpunit", "phpunit"),
            ("ruby /usr/bin/rspec", "rspec"),
            ("dotnet test", "dotnet test"),
            ("beam.smp -- -root /x -extra /usr/bin/mix test", "mix test"),
            ("mytool --fast check", "mytool check"),
            ("nose3", "nose3"),
        ] {
            assert_eq!(named(command).as_deref(), Some(expected), "{command}");
        }
    }

    #[test]
    fn what_runs_no_tests_is_no_runner() {
        for command in [
            "cargo build", "cargo run test", "vim test", "less pytest", "make all", "npm run build", "node server.js",
            "python app.py test", "bash -c sleep", "go build", "vitest --watch", "cargo watch -x test",
            "grep -r test .",
        ] {
            assert_eq!(named(command), None, "{command}");
        }
    }

    #[test]
    fn a_runner_counts_for_the_innermost_worktree_it_stands_in() {
        let proc = tempfile::tempdir().expect("a directory");
        add_process(proc.path(), 20, 1, "pytest\0-q\0", Some("/w/sub"));
        add_process(proc.path(), 21, 1, "pytest\0", None);
        add_process(proc.path(), 22, 1, "npm test\0", Some("/w/inner/x"));
        let table = ProcessTable::of(proc.path());
        let found = |path: &str, nested: Vec<PathBuf>| {
            in_worktree(&WorktreeTarget { path: path.into(), nested, ..WorktreeTarget::default() }, &table)
        };
        assert_eq!(found("/w", vec!["/w/inner".into()]).as_deref(), Some("pytest"));
        assert_eq!(found("/w/inner", Vec::new()).as_deref(), Some("npm test"));
        assert_eq!(found("/elsewhere", Vec::new()), None);
    }
}
