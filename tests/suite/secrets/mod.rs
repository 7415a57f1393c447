//! No secret shows: one is planted wherever one can stand, every command runs over them, in every format, at the highest
//! verbosity, on failures of every kind; then everything that was printed, written or started is searched.

mod commands;
mod planted;
mod slips;

use std::path::{Path, PathBuf};

use base64::Engine;

use planted::{Planted, ROOT};

/// Whether `bytes` hold a planted secret, or the first half of one, as it is or in the form of a Basic credential.
fn leak(bytes: &[u8]) -> Option<String> {
    let half = &ROOT[..4];
    let basic = base64::prelude::BASE64_STANDARD.encode(&ROOT[..6]);
    let text = String::from_utf8_lossy(bytes);
    let at = [half, basic.as_str()].into_iter().find_map(|form| text.find(form))?;
    let around: String = text[at..].chars().take(60).collect();
    let before: String = text[..at].chars().rev().take(160).collect::<Vec<_>>().into_iter().rev().collect();
    Some(format!("…{before}>>>{around}"))
}

/// Every file below `directory`, but for those that `skip` names.
fn files(directory: &Path, skip: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("listed").flatten() {
        let path = entry.path();
        if skip(&path) {
            continue;
        }
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => files(&path, skip, found),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn no_command_shows_a_secret_in_any_format_on_any_failure() {
    let planted = Planted::new();
    let mut leaks = Vec::new();
    let mut runs = 0;
    for gateway in planted::GATEWAYS {
        planted.push_to(gateway);
        let every = *gateway == planted::GATEWAYS[0];
        let lines = if every { commands::every_line() } else { vec![commands::pass()] };
        for line in lines {
            runs += 1;
            let output = planted.run(&line);
            for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
                if let Some(around) = leak(bytes) {
                    leaks.push(format!("{line:?}, {gateway:?}, {stream}: {around}"));
                }
            }
        }
    }
    assert!(runs > 40, "only {runs} command lines");
    let mut written = Vec::new();
    files(planted.path(), &|path| planted.is_own(path), &mut written);
    assert!(written.iter().any(|path| path.ends_with("state.json")), "{written:?}");
    assert!(written.iter().any(|path| path.ends_with("page.html")), "{written:?}");
    for path in &written {
        if let Some(around) = std::fs::read(path).ok().and_then(|bytes| leak(&bytes)) {
            leaks.push(format!("{}: {around}", path.display()));
        }
    }
    leaks.extend(planted.strangers());
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn state_and_history_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let planted = Planted::new();
    planted.push_to(&planted::GATEWAYS[0]);
    planted.run(&commands::pass());
    let state = planted.path().join("fresh/state");
    let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o7777;
    assert_eq!((mode(&state), mode(&state.join("history"))), (0o700, 0o700));
    let mut kept = Vec::new();
    files(&state, &|_| false, &mut kept);
    assert!(kept.len() >= 2, "{kept:?}");
    for path in kept.iter().filter(|path| path.extension().is_none_or(|extension| extension != "prom")) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
}
