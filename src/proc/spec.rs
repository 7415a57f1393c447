//! What to start: program, arguments, environment, directory; and which file a command name means.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::protocol::Request;
use crate::fs::is_shortage;
use crate::redact;

/// The variables a client passes on by default (MCP specification, stdio transport of its SDKs); a check passes on
/// the same ones, so that "works in the check" and "works in the client" mean the same.
const INHERITED: &[&str] = &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// The PATH where the probe itself has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to start. `Debug` shows the program only: arguments and variables may hold secrets.
#[derive(Clone, Default)]
pub struct CommandSpec {
    /// A name looked up on the PATH the program will see, or a path; a relative path is relative to `cwd`.
    pub program: OsString,
    pub args: Vec<OsString>,
    /// Variables added to the small default environment, or replacing one of it.
    pub env: BTreeMap<OsString, OsString>,
    /// Working directory; the user's home if none is given.
    pub cwd: Option<PathBuf>,
}

impl CommandSpec {
    pub fn new(program: impl Into<OsString>) -> Self {
        CommandSpec { program: program.into(), ..CommandSpec::default() }
    }

    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    pub(super) fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut environment: BTreeMap<OsString, OsString> =
            INHERITED.iter().filter_map(|&name| Some((name.into(), std::env::var_os(name)?))).collect();
        environment.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
        environment.extend(self.env.clone());
        environment
    }

    pub(super) fn directory(&self, environment: &BTreeMap<OsString, OsString>) -> PathBuf {
        match (&self.cwd, environment.get(OsStr::new("HOME"))) {
            // A supervisor stands in another directory than the probe.
            (Some(cwd), _) => std::path::absolute(cwd).unwrap_or_else(|_| cwd.clone()),
            (None, Some(home)) if Path::new(home).is_dir() => home.into(),
            _ => "/".into(),
        }
    }
}

impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSpec").field("program", &self.program).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

/// Why a program could not be started. The text names what was refused and never an argument or a variable's value,
/// PATH excepted.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// With the PATH searched; `None` if the command is a path.
    #[error("{}", not_found(.command, .path.as_deref()))]
    NotFound { command: String, path: Option<String> },
    #[error("{} is not an executable file", .file.display())]
    NotExecutable { file: PathBuf },
    #[error("cannot use the working directory {}: {source}", .directory.display())]
    NoDirectory { directory: PathBuf, source: io::Error },
    /// A name or value that no program can be given: a NUL byte, an empty command, `=` in a variable's name.
    #[error("{what}")]
    Malformed { what: &'static str },
    #[error("cannot execute {}: {source}", .file.display())]
    Refused { file: PathBuf, source: io::Error },
    #[error(
        "cannot start its supervising process (lab-probe itself, through /proc/self/exe): {source}; /proc must be mounted, \
         and the limits on processes and open files (ulimit -u, ulimit -n, TasksMax=) not be reached"
    )]
    NoSupervisor { source: io::Error },
    /// The pass is ending; nothing is started any more.
    #[error("not started: the pass is ending")]
    Ending,
}

fn not_found(command: &str, path: Option<&str>) -> String {
    let command = redact::command(command);
    path.map_or_else(
        || format!("{command:?} does not exist"),
        |path| format!("no executable {command:?} on PATH {path}"),
    )
}

impl SpawnError {
    /// Whether the deadline came before the program was executed: a machine that is busy, or a file system that hangs.
    pub fn is_out_of_time(&self) -> bool {
        matches!(self, SpawnError::Refused { source, .. } if source.kind() == io::ErrorKind::TimedOut)
    }

    /// Whether the machine is short of processes, descriptors or memory: that tells nothing of the program.
    pub fn is_out_of_resources(&self) -> bool {
        match self {
            // EAGAIN: a limit on processes (fork(2)).
            SpawnError::Refused { source, .. } => is_shortage(source) || source.kind() == io::ErrorKind::WouldBlock,
            SpawnError::NoSupervisor { .. } => true,
            _ => false,
        }
    }
}

/// Checks the spec, finds the program's file, and makes the request to start it.
///
/// The lookup is done here and not left to `exec`, so that the error can say which PATH was searched and can tell a
/// missing directory from a missing program.
pub(super) fn resolve(spec: &CommandSpec) -> Result<Request, SpawnError> {
    well_formed(spec)?;
    let environment = spec.environment();
    let directory = spec.directory(&environment);
    match std::fs::metadata(&directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(SpawnError::NoDirectory { directory, source: io::ErrorKind::NotADirectory.into() }),
        Err(source) => return Err(SpawnError::NoDirectory { directory, source }),
    }
    let file = look_up(&spec.program, environment.get(OsStr::new("PATH")), &directory)?;
    Ok(Request {
        file: file.into(),
        name: spec.program.clone(),
        args: spec.args.clone(),
        environment: environment.into_iter().collect(),
        directory: directory.into(),
        soft_files: None,
    })
}

fn well_formed(spec: &CommandSpec) -> Result<(), SpawnError> {
    let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
    let variables = spec.env.iter().flat_map(|(name, value)| [name, value]);
    let texts = [&spec.program].into_iter().chain(&spec.args).chain(variables).map(OsString::as_os_str);
    let what = if spec.program.is_empty() {
        "the command is empty"
    } else if texts.chain(spec.cwd.as_deref().map(Path::as_os_str)).any(has_nul) {
        "a NUL byte in the command, an argument, a variable or the working directory"
    } else if spec.env.keys().any(|n| n.is_empty() || n.as_bytes().contains(&b'=')) {
        "an environment variable's name is empty or holds \"=\""
    } else {
        return Ok(());
    };
    Err(SpawnError::Malformed { what })
}

fn look_up(program: &OsStr, path: Option<&OsString>, directory: &Path) -> Result<PathBuf, SpawnError> {
    let not_found = |path| SpawnError::NotFound { command: program.to_string_lossy().into_owned(), path };
    if program.as_bytes().contains(&b'/') {
        let file = directory.join(program);
        return match std::fs::metadata(&file) {
            Ok(_) if is_executable(&file) => Ok(file),
            Ok(_) => Err(SpawnError::NotExecutable { file }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(not_found(None)),
            Err(source) => Err(SpawnError::Refused { file, source }),
        };
    }
    let path = path.cloned().unwrap_or_default();
    // An empty entry means the current directory (POSIX, XBD 8.3), here the one the program will start in.
    std::env::split_paths(&path)
        .map(|entry| directory.join(entry).join(program))
        .find(|file| is_executable(file))
        .ok_or_else(|| not_found(Some(path.to_string_lossy().into_owned())))
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|m| m.is_file())
        && rustix::fs::accessat(rustix::fs::CWD, file, rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)
            .is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn executable(directory: &Path, name: &str) -> PathBuf {
        let file = directory.join(name);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("directories");
        std::fs::write(&file, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("mode set");
        file
    }

    #[test]
    fn a_name_is_looked_up_on_the_path_the_program_will_see() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = executable(directory.path(), "bin/server");
        let path = directory.path().join("bin").into_os_string();
        let spec = CommandSpec::new("server").env("PATH", &path).cwd(directory.path());
        assert_eq!(resolve(&spec).ok().map(|r| r.file.into()), Some(file.clone()));
        let spec = CommandSpec::new("./bin/server").cwd(directory.path());
        assert_eq!(resolve(&spec).ok().map(|r| Path::new(&r.file).canonicalize().ok()), Some(file.canonicalize().ok()));
        let Err(error) = resolve(&CommandSpec::new("nowhere").env("PATH", "/x:/y")) else { panic!("found") };
        assert_eq!(error.to_string(), "no executable \"nowhere\" on PATH /x:/y");
    }

    #[test]
    fn what_cannot_be_started_is_told_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("text"), "x").expect("written");
        let error = |spec: CommandSpec| resolve(&spec).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error(CommandSpec::new("./text").cwd(directory.path())).ends_with("text is not an executable file"));
        assert!(error(CommandSpec::new("./none").cwd(directory.path())).ends_with("does not exist"));
        assert!(error(CommandSpec::new("sh").cwd("/nowhere")).starts_with("cannot use the working directory"));
        assert_eq!(error(CommandSpec::new("")), "the command is empty");
        assert_eq!(
            error(CommandSpec::new("a\0b")),
            "a NUL byte in the command, an argument, a variable or the working directory"
        );
    }

    #[test]
    fn the_environment_is_small_and_secrets_do_not_show() {
        let spec = CommandSpec::new("x").args(["s3cret"]).env("TOKEN", "s3cret");
        let environment = spec.environment();
        assert!(environment.contains_key(OsStr::new("PATH")));
        let known = |name: &OsStr| INHERITED.iter().any(|&i| i == name) || name == "TOKEN";
        assert!(environment.keys().all(|name| known(name)), "{:?}", environment.keys());
        assert!(!format!("{spec:?}").contains("s3cret"));
    }
}
