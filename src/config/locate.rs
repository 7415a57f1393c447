//! Which configuration file holds.

use std::io;
use std::path::{Path, PathBuf};

use super::diagnose::ConfigError;
use super::environment::HostEnvironment;
use super::here;
use crate::fs::explained;

const VARIABLE: &str = "LAB_PROBE_CONFIG";

pub(crate) const HERE: &str = "lab-probe.toml";

/// The first of `--config`, `$LAB_PROBE_CONFIG`, `./lab-probe.toml`, the user's and the machine's that exists; `None` means
/// that defaults hold. `warnings` gets a sentence for each that may not be used.
/// Errors: a file that `--config` or the variable names and that is not there; a place that cannot be looked at.
pub(crate) fn locate(
    explicit: Option<&Path>,
    environment: &HostEnvironment,
    warnings: &mut Vec<String>,
) -> Result<Option<PathBuf>, ConfigError> {
    let variable = || by_variable(environment).map(|path| (path, ", though $LAB_PROBE_CONFIG names it"));
    if let Some((path, by)) = explicit.map(|path| (path, "")).or_else(variable) {
        return match environment.directory().join(path).symlink_metadata() {
            Ok(_) => Ok(Some(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let hint = "`lab-probe config init FILE` writes one to start from";
                Err(ConfigError::whole(path, format!("no such file{by}; {hint}")))
            }
            Err(error) => Err(ConfigError::whole(path, format!("cannot be looked at{by}: {error}"))),
        };
    }
    let here = Path::new(HERE);
    if exists(here, environment, warnings)? {
        match here::refusal(here, environment) {
            None => return Ok(Some(here.to_owned())),
            Some(why) => warnings.push(why),
        }
    }
    elsewhere(environment, warnings)
}

/// The first that exists of the user's and the machine's, which cannot come with a cloned repository.
pub(super) fn elsewhere(
    environment: &HostEnvironment,
    warnings: &mut Vec<String>,
) -> Result<Option<PathBuf>, ConfigError> {
    for path in usual_places(environment).into_iter().skip(1) {
        if exists(&path, environment, warnings)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn exists(path: &Path, environment: &HostEnvironment, warnings: &mut Vec<String>) -> Result<bool, ConfigError> {
    match environment.directory().join(path).symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        // A sandboxed unit may not see the home at all; the machine's file must still be found then.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            warnings.push(format!("cannot look for {}: {error}", path.display()));
            Ok(false)
        }
        // There may well be one, and another is not what it says.
        Err(error) => Err(ConfigError::whole(path, format!("cannot be looked for: {}", explained(&error)))),
    }
}

/// The file that `$LAB_PROBE_CONFIG` names. An empty value is how a unit file or a shell takes one back.
pub(crate) fn by_variable(environment: &HostEnvironment) -> Option<&Path> {
    environment.var_os(VARIABLE).filter(|value| !value.is_empty()).map(Path::new)
}

pub(crate) fn usual_places(environment: &HostEnvironment) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from(HERE)];
    places.extend(user_file(environment));
    places.push(PathBuf::from("/etc/lab-probe/config.toml"));
    places
}

pub(crate) fn user_file(environment: &HostEnvironment) -> Option<PathBuf> {
    environment
        .path_var("XDG_CONFIG_HOME")
        .or_else(|| environment.home.as_deref().map(|home| home.join(".config")))
        .map(|config| config.join("lab-probe/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(path, "").expect("a file");
    }

    #[test]
    fn the_first_place_that_holds_a_file_wins() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let (home, cwd, xdg) = (lab.path().join("home"), lab.path().join("cwd"), lab.path().join("xdg"));
        std::fs::create_dir_all(&cwd).expect("a directory");
        let variables = [("XDG_CONFIG_HOME", xdg.to_str().expect("UTF-8"))];
        let environment = HostEnvironment::new(Some(&home), &cwd, &variables);
        let plain =
            HostEnvironment::new(Some(&home), &cwd, &[("LAB_PROBE_CONFIG", ""), ("XDG_CONFIG_HOME", "relative")]);
        let found = |explicit: Option<&str>, environment: &HostEnvironment| {
            locate(explicit.map(Path::new), environment, &mut Vec::new()).expect("found")
        };

        assert_eq!(usual_places(&HostEnvironment::new(None, Path::new("/"), &[])).len(), 2);
        touch(&home.join(".config/lab-probe/config.toml"));
        assert_eq!(found(None, &plain), Some(home.join(".config/lab-probe/config.toml")));
        touch(&xdg.join("lab-probe/config.toml"));
        assert_eq!(found(None, &environment), Some(xdg.join("lab-probe/config.toml")));
        touch(&cwd.join("lab-probe.toml"));
        assert_eq!(found(None, &environment), Some("lab-probe.toml".into()));
        touch(&cwd.join("by-variable.toml"));
        let named = HostEnvironment::new(Some(&home), &cwd, &[("LAB_PROBE_CONFIG", "by-variable.toml")]);
        assert_eq!(found(None, &named), Some("by-variable.toml".into()));
        touch(&cwd.join("by-option.toml"));
        assert_eq!(found(Some("by-option.toml"), &named), Some("by-option.toml".into()));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_no_other_is_used() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        touch(&lab.path().join("lab-probe.toml"));
        let environment = HostEnvironment::new(None, lab.path(), &[("LAB_PROBE_CONFIG", "gone.toml")]);
        let hint = "`lab-probe config init FILE` writes one to start from";
        let refused =
            |explicit: Option<&Path>| locate(explicit, &environment, &mut Vec::new()).expect_err("refused").to_string();
        assert_eq!(refused(Some(Path::new("gone.toml"))), format!("gone.toml: no such file; {hint}"));
        let named = format!("gone.toml: no such file, though $LAB_PROBE_CONFIG names it; {hint}");
        assert_eq!(refused(None), named);
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_not_taken_for_an_empty_one() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let looped = lab.path().join("loop");
        std::os::unix::fs::symlink(&looped, &looped).expect("a link to itself");
        let environment = HostEnvironment::new(None, &looped, &[]);
        let error = locate(None, &environment, &mut Vec::new()).expect_err("refused").to_string();
        assert!(error.starts_with("lab-probe.toml: cannot be looked for: "), "{error}");
    }
}
