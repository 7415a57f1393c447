//! The units that start passes: `lab-probe@USER` of the system's manager, `lab-probe` of a user's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{Uid, User, geteuid};

use crate::check::service::unit::{Properties, blocks};
use crate::clock::Deadline;
use crate::fs;
use crate::proc::{self, CommandSpec, hung};

/// Properties asked for (org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,Result,ExecMainStatus,LastTriggerUSec,\
    NextElapseUSecRealtime,ActiveEnterTimestamp,Environment,EnvironmentFiles,LoadCredential";
const MOST_OUTPUT: usize = 256 << 10;
/// A manager and the user database, which may be one of a network, have answered by then.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A timer fires every 30 seconds.
const FIRST_PASS_SECONDS: f64 = 35.0;
/// Where cron keeps a file for each user.
const CRON_SPOOL: &str = "/var/spool/cron/crontabs";

/// The user of this process, as the user database has it now.
pub fn own_user() -> Option<User> {
    look_up(|| User::from_uid(geteuid()))
}

fn look_up(user: impl FnOnce() -> nix::Result<Option<User>> + Send + 'static) -> Option<User> {
    hung::within(&[], Deadline::after(TIMEOUT), user).ok()?.ok().flatten()
}

/// A program run as this user, with nothing of the environment of who asks but PATH.
pub fn command_of(user: &User, program: impl AsRef<OsStr>) -> CommandSpec {
    let spec = if user.uid == geteuid() {
        CommandSpec::new(program.as_ref())
    } else {
        let identity = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
        let spec = CommandSpec::new("setpriv").args(identity).args(["--init-groups", "--"]);
        spec.args([program.as_ref()])
    };
    let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
    let spec = if runtime.is_dir() { spec.env("XDG_RUNTIME_DIR", runtime) } else { spec };
    let spec = spec.env("USER", &user.name).env("LOGNAME", &user.name).env("SHELL", &user.shell);
    spec.env("HOME", &user.dir).cwd(&user.dir)
}

/// The crontab that starts passes of this user, if one does.
pub fn crontab_of(user: &User) -> Option<String> {
    let system = crontabs().into_iter().find(|(_, name)| *name == user.name).map(|(file, _)| file);
    system.or_else(|| {
        let listed = output(command_of(user, "crontab").args(["-l"]))?;
        listed.lines().any(starts_passes).then(|| "crontab -l".to_owned())
    })
}

/// Root's view: everybody with a timer of ours, a manager that runs, or a crontab.
pub fn other_users() -> Vec<User> {
    let list = ["list-units", "--all", "--plain", "--no-legend", "--no-pager", "lab-probe@*.timer"];
    let timers = output(CommandSpec::new("systemctl").args(list)).unwrap_or_default();
    let instance = |line: &str| Some(line.split_once("lab-probe@")?.1.split_once(".timer")?.0.to_owned());
    let mut keys: BTreeSet<String> = timers.lines().filter_map(instance).collect();
    keys.extend(crontabs().into_iter().map(|(_, user)| user));
    let named = ["/run/user", CRON_SPOOL].into_iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten();
    keys.extend(named.flatten().filter_map(|entry| entry.file_name().into_string().ok()));
    let by_key = |key: String| match key.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(&key),
    };
    let mut users: Vec<User> = keys.into_iter().filter_map(|key| look_up(move || by_key(key))).collect();
    users.retain(|user| user.uid != geteuid());
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users.dedup();
    users
}

/// The lines of the system's crontabs that start passes: the file, and as which user (crontab(5), the sixth field).
fn crontabs() -> Vec<(String, String)> {
    let parts = std::fs::read_dir("/etc/cron.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut jobs = Vec::new();
    for file in parts.chain([PathBuf::from("/etc/crontab")]) {
        let text = fs::read_capped(&file, 1 << 20).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let users = text.lines().filter(|line| starts_passes(line)).filter_map(|line| line.split_whitespace().nth(5));
        jobs.extend(users.map(|user| (file.display().to_string(), user.to_owned())));
    }
    jobs
}

fn starts_passes(line: &str) -> bool {
    line.contains("lab-probe") && !line.trim_start().starts_with('#')
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `lab-probe@alice`, `lab-probe`.
    pub name: String,
    /// Whether it is one of the user's own manager.
    pub own: bool,
    timer: Properties,
    service: Properties,
}

impl Unit {
    /// The units of a user that a manager knows: the system's first.
    pub fn all(user: &User) -> Vec<Unit> {
        [false, true].into_iter().filter_map(|own| Unit::show(user, own)).collect()
    }

    fn show(user: &User, own: bool) -> Option<Unit> {
        let name = if own { "lab-probe".to_owned() } else { format!("lab-probe@{}", user.name) };
        let shown = command_of(user, "systemctl")
            .args(own.then_some("--user"))
            .args(["show", "--no-pager", "--timestamp=unix", "--property", PROPERTIES, "--"])
            .args([format!("{name}.timer"), format!("{name}.service")]);
        Some(Unit { name, own, ..Unit::parse(&output(shown)?) })
    }

    /// From two blocks of `Key=Value` lines.
    fn parse(output: &str) -> Unit {
        let mut blocks = blocks(output);
        let (timer, service) = (blocks.next().unwrap_or_default(), blocks.next().unwrap_or_default());
        Unit { timer, service, ..Unit::default() }
    }

    pub(super) fn timer(&self, key: &str) -> &str {
        self.timer.get(key).map_or("", String::as_str)
    }

    pub(super) fn service(&self, key: &str) -> &str {
        self.service.get(key).map_or("", String::as_str)
    }

    pub(super) fn is_installed(&self) -> bool {
        !matches!(self.timer("LoadState"), "not-found" | "")
    }

    pub fn is_active(&self) -> bool {
        self.timer("ActiveState") == "active"
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.timer("UnitFileState").starts_with("enabled")
    }

    /// Whether it is meant to start passes.
    pub fn is_used(&self) -> bool {
        self.is_active() || self.is_enabled()
    }

    pub fn service_name(&self) -> String {
        format!("{}.service", self.name)
    }

    /// `systemctl` with a verb for a person to type.
    pub fn command(&self, verb: &str, kind: &str) -> String {
        let systemctl = if self.own { "systemctl --user" } else { "sudo systemctl" };
        format!("{systemctl} {verb} {}.{kind}", self.name)
    }

    /// Since when, in seconds, the timer waits for its first pass, if it does: it fires every 30 seconds.
    pub fn awaits_first_pass(&self, now: f64, last_pass: Option<f64>) -> Option<f64> {
        let started: f64 = self.timer("ActiveEnterTimestamp").strip_prefix('@')?.parse().ok()?;
        let since = (now - started).max(0.0);
        (self.is_active() && since < FIRST_PASS_SECONDS && last_pass.is_none_or(|at| now - at > super::STALE_SECONDS))
            .then_some(since)
    }

    pub fn journal(&self) -> String {
        format!("journalctl {}--unit {}.service --lines 50", if self.own { "--user " } else { "" }, self.name)
    }

    /// A file with variables that this user may not read although the service does.
    pub fn closed_file(&self) -> Option<PathBuf> {
        self.files().find(|file| file.exists() && fs::read_capped(file, 1 << 20).is_err())
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.service("EnvironmentFiles").lines().map(|line| line.split(" (").next().unwrap_or(line).into())
    }

    /// The variables that the service has beside those of [`command_of`].
    pub fn variables(&self, user: &User) -> BTreeMap<String, String> {
        let of_manager = || output(command_of(user, "systemctl").args(["--user", "show-environment"]));
        let mut lines = self.own.then(of_manager).flatten().unwrap_or_default();
        let set = shlex::split(self.service("Environment")).unwrap_or_default();
        let files = self.files().filter_map(|file| fs::read_capped(&file, 1 << 20).ok());
        let files = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        set.into_iter().chain(files).for_each(|more| lines += &format!("\n{more}"));
        let bare = |value: &str| {
            let quoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
            quoted.unwrap_or(value).to_owned()
        };
        let settings = lines.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
        let pairs = settings.filter_map(|line| line.split_once('='));
        let mut variables: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), bare(value))).collect();
        if !self.service("LoadCredential").is_empty() {
            let place = format!("/run/credentials/{}", self.service_name());
            variables.insert("CREDENTIALS_DIRECTORY".to_owned(), place);
        }
        variables
    }
}

fn output(spec: CommandSpec) -> Option<String> {
    let captured = proc::capture(&spec, None, MOST_OUTPUT, Deadline::after(TIMEOUT)).ok()?;
    captured.success().then(|| String::from_utf8_lossy(&captured.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn both_blocks_are_read_and_their_states_told_apart() {
        let unit = Unit::parse(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nActiveEnterTimestamp=@1764000000\n\n\
             LoadState=loaded\nActiveState=inactive\nResult=exit-code\nExecMainStatus=2\n\
             EnvironmentFiles=/a (ignore_errors=yes)\nEnvironmentFiles=/b (ignore_errors=no)\n",
        );
        assert!(unit.is_installed() && unit.is_active() && unit.is_enabled());
        assert_eq!(unit.awaits_first_pass(1_764_000_020.0, None), Some(20.0));
        assert_eq!(unit.awaits_first_pass(1_764_000_040.0, None), None);
        assert_eq!((unit.service("Result"), unit.service("ExecMainStatus")), ("exit-code", "2"));
        assert_eq!(unit.files().collect::<Vec<_>>(), [Path::new("/a"), Path::new("/b")]);
        let none = Unit::parse("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n\nLoadState=not-found\n");
        assert!(!none.is_installed() && !none.is_used());
        assert!(!Unit::parse("").is_installed());
    }
}
