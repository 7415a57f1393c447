//! Running the tools and reading the files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lab_probe::clock;

/// The repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file below `monitoring/`.
pub(super) fn monitoring(relative: &str) -> PathBuf {
    root().join("monitoring").join(relative)
}

/// The text of a file; the path is in the message if there is none.
#[track_caller]
pub(super) fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of one kind in a directory, in order.
#[track_caller]
pub(super) fn files(directory: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", directory.as_ref().display()))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no .{extension} in {}", directory.as_ref().display());
    found
}

/// A program the tests need; a missing one fails the test and says what installs it.
#[track_caller]
pub(super) fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed; run `make deps`")))
}

/// What `make deps` puts below `target/`.
#[track_caller]
pub(super) fn installed(relative: &str) -> PathBuf {
    let path = root().join("target/monitoring-tools").join(relative);
    assert!(path.exists(), "{} is not installed; run `make deps`", path.display());
    path
}

/// Runs to the end and gives both outputs; fails the test with them unless the exit code is 0.
#[track_caller]
pub(super) fn succeed(command: &mut Command) -> String {
    let (ok, output) = run(command);
    assert!(ok, "{command:?} failed:\n{output}");
    output
}

/// Runs to the end: whether the exit code was 0, and both outputs.
#[track_caller]
pub(super) fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// Asks again and again until there is an answer; fails the test after `limit`.
#[track_caller]
pub(super) fn eventually<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = clock::instant();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// GET of a JSON document; `None` while nobody answers.
pub(super) fn json(url: &str) -> Option<serde_json::Value> {
    let mut answer = ureq::get(url).call().ok()?;
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

/// An instant or range query; the result vector. Fails the test if Prometheus refuses the query.
#[track_caller]
pub(super) fn query(base: &str, path_and_arguments: &str, expr: &str) -> Vec<serde_json::Value> {
    let encoded: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
    let url = format!("{base}/api/v1/{path_and_arguments}query={encoded}");
    let mut answer = ureq::get(&url)
        .config()
        .http_status_as_error(false)
        .build()
        .call()
        .unwrap_or_else(|error| panic!("{expr}: {error}"));
    let body = answer.body_mut().read_to_string().expect("an answer");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{expr}: {body}"));
    assert_eq!(body["status"], "success", "{expr}: {body}");
    body["data"]["result"].as_array().cloned().unwrap_or_default()
}
