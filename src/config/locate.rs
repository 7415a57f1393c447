//! Which configuration file holds.

use std::io;
use std::path::{Path, PathBuf};

use super::diagnose::ConfigError;
use super::environment::HostEnvironment;
use crate::fs::explained;

const VARIABLE: &str = "LAB_PROBE_CONFIG";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Located {
    /// The file; `None` means that there is none and defaults hold.
    pub(crate) path: Option<PathBuf>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) const HERE: &str = "lab-probe.toml";

/// The first of `--config`, `$LAB_PROBE_CONFIG`, `./lab-probe.toml`, the user's and the machine's that exists.
///
/// `refusal` says why the file of the current directory may not be used; the next place then holds.
/// Errors: a file that `--config` or the variable names and that is not there, and those of [`usual`].
pub(crate) fn locate(
    explicit: Option<&Path>,
    environment: &HostEnvironment,
    refusal: &dyn Fn(&Path) -> Option<String>,
) -> Result<Located, ConfigError> {
    let variable = || by_variable(environment).map(|path| (path, ", though $LAB_PROBE_CONFIG names it"));
    let named = explicit.map(|path| (path, "")).or_else(variable);
    if let Some((path, by)) = named {
        return match environment.directory().join(path).symlink_metadata() {
            Ok(_) => Ok(Located { path: Some(path.to_owned()), warnings: Vec::new() }),
            Err(error) => Err(ConfigError::whole(path, missing(&error, by))),
        };
    }
    usual(environment, refusal)
}

/// The first of the places that nobody has named.
/// Errors: a place that the operating system cannot look at.
pub(super) fn usual(
    environment: &HostEnvironment,
    refusal: &dyn Fn(&Path) -> Option<String>,
) -> Result<Located, ConfigError> {
    let mut located = Located::default();
    for path in usual_places(environment) {
        match environment.directory().join(&path).symlink_metadata() {
            Ok(_) => match if path == Path::new(HERE) { refusal(&path) } else { None } {
                Some(why) => located.warnings.push(why),
                None => return Ok(Located { path: Some(path), ..located }),
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            // A sandboxed unit may not see the home at all; the machine's file must still be found then.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                located.warnings.push(format!("cannot look for {}: {error}", path.display()));
            }
            // There may well be one, and another is not what it says.
            Err(error) => {
                return Err(ConfigError::whole(&path, format!("cannot be looked for: {}", explained(&error))));
            }
        }
    }
    Ok(located)
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

fn missing(error: &io::Error, by: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("no such file{by}; `lab-probe config init FILE` writes one to start from")
        }
        _ => format!("cannot be looked at{by}: {error}"),
    }
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
            locate(explicit.map(Path::new), environment, &|_| None).expect("found").path
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
            |explicit: Option<&Path>| locate(explicit, &environment, &|_| None).expect_err("refused").to_string();
        assert_eq!(refused(Some(Path::new("gone.toml"))), format!("gone.toml: no such file; {hint}"));
        let named = format!("gone.toml: no such file, though $LAB_PROBE_CONFIG names it; {hint}");
        assert_eq!(refused(None), named);
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_not_taken_for_an_empty_one() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let looped = lab.path().join("loop");
        std::os::unix::fs::symlink(&looped, &looped).expect("a link to itself");
        let error =
            locate(None, &HostEnvironment::new(None, &looped, &[]), &|_| None).expect_err("refused").to_string();
        assert!(error.starts_with("lab-probe.toml: cannot be looked for: "), "{error}");
    }
}
