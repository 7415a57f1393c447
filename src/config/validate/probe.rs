//! `[probe]`: the pass.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules;
use crate::config::block::Block;
use crate::config::environment::HostEnvironment;
use crate::config::settings::ProbeSettings;
use crate::fs::access;

const DEADLINE: Duration = Duration::from_secs(25);

pub(super) fn read(block: &Block<'_>) -> ProbeSettings {
    let state_dir = state_dir(block);
    check_owner(block, &state_dir);
    ProbeSettings {
        deadline: block.time_limit("deadline").unwrap_or(DEADLINE),
        max_starts: block.count("max_starts", 1..=1024).and_then(|count| usize::try_from(count).ok()),
        state_dir,
        labels: rules::labels(block, "labels", |name| match name {
            // Prometheus sets these two itself and would rename ours to exported_…; a Pushgateway refuses them.
            "job" | "instance" => Some("is set by Prometheus itself; take another, such as \"host\"".into()),
            name if rules::is_reserved(name) => Some("is a label of lab-probe's own series".into()),
            _ => None,
        }),
    }
}

fn state_dir(block: &Block<'_>) -> PathBuf {
    if let Some(directory) = block.path("state_dir") {
        // A slip such as an empty variable in front of it is what leads there, and only root could write there.
        if directory.canonicalize().is_ok_and(|real| real.parent().is_none()) {
            let message = "\"state_dir\" is the root of the file system; name a directory of its own";
            block.complain(block.place_of("state_dir"), message);
        }
        return directory;
    }
    let default = default_state_dir(block.context.environment);
    if default.is_none() && !block.has("state_dir") {
        let message = "this user has no home and there is no $STATE_DIRECTORY; set \"state_dir\" in [probe]";
        block.complain(block.at, message);
    }
    default.unwrap_or_default()
}

/// What is remembered decides verdicts: a directory that others may write is not used. What the operating system refuses
/// to tell here is met again, and told, by whoever opens the directory.
fn check_owner(block: &Block<'_>, directory: &Path) {
    // What is no directory is said where it is opened: to make it private, as the hint here says, would mend nothing.
    if !directory.is_dir() {
        return;
    }
    if let Ok(Some(exposure)) = access::directory_exposure(directory) {
        let message = format!("others could change what is remembered: {exposure}, or run lab-probe as its owner");
        block.complain_in("state_dir", block.place_of("state_dir"), message);
    }
}

/// One state and one lock for a user, whoever starts the pass: below the home. systemd's `$STATE_DIRECTORY`, which
/// only a unit sees, is for system users, whose home is often `/` or missing.
fn default_state_dir(environment: &HostEnvironment) -> Option<PathBuf> {
    let below_home = |home: PathBuf| home.join(".local/state/lab-probe");
    let home = environment.home.as_deref().map(PathBuf::from);
    environment
        .path_var("XDG_STATE_HOME")
        .map(|state| state.join("lab-probe"))
        .or_else(|| home.clone().filter(|home| home.parent().is_some() && home.is_dir()).map(below_home))
        .or_else(|| unit_state_dir(environment))
        .or_else(|| home.map(below_home))
}

/// The first of `$STATE_DIRECTORY`, which lists several with colons where a unit asks for several.
fn unit_state_dir(environment: &HostEnvironment) -> Option<PathBuf> {
    let listed = environment.var_os("STATE_DIRECTORY")?.to_str()?;
    listed.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_lies_with_the_user_and_only_a_homeless_one_uses_the_units_directory() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let home = lab.path();
        let unit = ("STATE_DIRECTORY", "/var/lib/lab-probe:/var/lib/other");
        let below_home = Some(home.join(".local/state/lab-probe"));
        let dir = |home: Option<&Path>, variables: &[(&str, &str)]| {
            default_state_dir(&HostEnvironment::new(home, Path::new("/"), variables))
        };
        assert_eq!(dir(Some(home), &[]), below_home);
        assert_eq!(dir(Some(home), &[unit]), below_home);
        assert_eq!(dir(Some(home), &[("XDG_STATE_HOME", "/x"), unit]), Some("/x/lab-probe".into()));
        assert_eq!(dir(Some(home), &[("XDG_STATE_HOME", "x")]), below_home, "a relative one counts as unset");
        let var = Some(PathBuf::from("/var/lib/lab-probe"));
        assert_eq!(dir(None, &[unit]), var);
        assert_eq!(dir(Some(Path::new("/")), &[unit]), var);
        assert_eq!(dir(Some(Path::new("/nonexistent")), &[unit]), var);
        assert_eq!(dir(Some(Path::new("/nonexistent")), &[]), Some("/nonexistent/.local/state/lab-probe".into()));
        assert_eq!(dir(None, &[]), None);
    }
}
