//! Health scripts: `mcp-<name>-health` in `health_dir`, each a target of its own.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::fs::access;
use crate::model::mcp::{HealthScript, Reach};
use crate::model::reason::{Failure, Reason};
use crate::redact::Secret;

/// More scripts than anybody has; a bound, because a directory named by mistake may hold anything.
const MAX_ENTRIES: usize = 100_000;

/// The scripts in a directory by the names of their servers, and how each is reached.
pub(super) fn find(directory: &Path, warnings: &mut Vec<String>) -> BTreeMap<String, (PathBuf, Reach)> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) => {
            warnings.push(format!("{}: {e} (mcp.health_dir)", directory.display()));
            return BTreeMap::new();
        }
    };
    let script = |entry: std::fs::DirEntry| {
        let (name, path) = (server_name(entry.file_name().as_bytes())?, entry.path());
        let reach = reach(&path).unwrap_or_else(Reach::Unreachable);
        Some((name, (path, reach)))
    };
    entries.take(MAX_ENTRIES).flatten().filter_map(script).collect()
}

/// `<name>` of `mcp-<name>-health`.
fn server_name(file_name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(file_name).ok()?.strip_prefix("mcp-")?.strip_suffix("-health")?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// How it is run, if it can be and may be: a script that others may write is as good as theirs.
fn reach(path: &Path) -> Result<Reach, Failure> {
    let failed = |why: &str| Failure::new(Reason::ScriptFailed, format!("{}: {why}", path.display()));
    let unreadable = |e: std::io::Error| failed(&e.to_string());
    let file = crate::fs::open_regular(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.permissions().mode() & 0o111 == 0 {
        return Err(failed("not executable").with_hint(format!("run `chmod +x {}`", access::quoted(path))));
    }
    if let Some(e) = access::exposure(path, &file).map_err(unreadable)? {
        return Err(Failure::new(Reason::Untrusted, e.finding).with_hint(format!("run `{}`", e.remedy)));
    }
    let command = vec![Secret::new(path.to_string_lossy())];
    Ok(Reach::Script(HealthScript { command, env: BTreeMap::new(), cwd: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(directory: &Path, name: &str, mode: u32) {
        let path = directory.join(name);
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
    }

    #[test]
    fn scripts_are_found_by_name_and_what_cannot_be_run_says_why() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        script(directory.path(), "mcp-rag-query-health", 0o755);
        script(directory.path(), "mcp-plain-health", 0o644);
        script(directory.path(), "mcp-open-health", 0o777);
        script(directory.path(), "mcp--health", 0o755);
        script(directory.path(), "other", 0o755);
        std::fs::create_dir(directory.path().join("mcp-directory-health")).expect("a directory");
        let mut warnings = Vec::new();
        let found = find(directory.path(), &mut warnings);
        let seen: Vec<(&str, Option<Reason>)> = found
            .iter()
            .map(|(name, (_, reach))| match reach {
                Reach::Unreachable(failure) => (name.as_str(), Some(failure.reason)),
                _ => (name.as_str(), None),
            })
            .collect();
        let expected = [
            ("directory", Some(Reason::ScriptFailed)),
            ("open", Some(Reason::Untrusted)),
            ("plain", Some(Reason::ScriptFailed)),
            ("rag-query", None),
        ];
        assert_eq!(seen, expected);
        assert!(warnings.is_empty());
        assert!(find(&directory.path().join("gone"), &mut warnings).is_empty());
        assert_eq!(warnings.len(), 1);
    }
}
