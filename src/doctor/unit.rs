//! The units that start passes: `lab-probe@USER` of the system's manager, `lab-probe` of a user's. What they may write and
//! which variables they have counts, not what the person has who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;
use rustix::process::{getegid, geteuid, getgroups};

use crate::check::service::unit::{Properties, blocks};
use crate::clock::Deadline;
use crate::fs;
use crate::proc::{self, CommandSpec};

/// Properties asked for (org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "LoadState,ActiveState,UnitFileState,Result,ExecMainStatus,LastTriggerUSec,\
    NextElapseUSecRealtime,ActiveEnterTimestamp,Environment,EnvironmentFiles,LoadCredential,Group,SupplementaryGroups,\
    ProtectSystem,ProtectHome,ReadWritePaths,ReadOnlyPaths,InaccessiblePaths,StateDirectory";
const MOST_OUTPUT: usize = 256 << 10;
/// Everything that is asked of the managers and of the user database has answered by then.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A timer fires every 30 seconds.
const FIRST_PASS_SECONDS: f64 = 35.0;
/// Where cron keeps a file for each user.
const CRON_SPOOL: &str = "/var/spool/cron/crontabs";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    uid: u32,
    gid: u32,
    pub home: PathBuf,
    shell: String,
    /// Its groups by the user database.
    pub groups: BTreeSet<u32>,
}

impl Account {
    /// A user by name or number, as the user database has it now.
    pub fn of(key: &str) -> Option<Account> {
        let deadline = Deadline::after(TIMEOUT);
        let line = output(CommandSpec::new("getent").args(["passwd", "--", key]), deadline)?;
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let &[name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        let groups = output(CommandSpec::new("id").args(["-G", "--", name]), deadline)?;
        Some(Account {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.into(),
            shell: shell.to_owned(),
            groups: numbers(&groups),
        })
    }

    pub fn own() -> Option<Account> {
        Account::of(&geteuid().as_raw().to_string())
    }

    /// A program run as this user, with `groups`, and with nothing of the environment of who asks but PATH.
    pub fn command(&self, program: &Path, groups: &BTreeSet<u32>) -> CommandSpec {
        let spec = if self.uid == geteuid().as_raw() {
            CommandSpec::new(program)
        } else {
            let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
            let identity = [format!("--reuid={}", self.uid), format!("--regid={}", self.gid)];
            let spec = CommandSpec::new("setpriv").args(identity).args([format!("--groups={}", groups.join(","))]);
            spec.args([std::ffi::OsStr::new("--"), program.as_os_str()])
        };
        let runtime = PathBuf::from(format!("/run/user/{}", self.uid));
        let spec = if runtime.is_dir() { spec.env("XDG_RUNTIME_DIR", runtime) } else { spec };
        let who = [("USER", &self.name), ("LOGNAME", &self.name), ("SHELL", &self.shell)];
        let spec = who.into_iter().fold(spec, |spec, (name, value)| spec.env(name, value));
        spec.env("HOME", &self.home).cwd(&self.home)
    }

    /// The crontab that starts passes of this user, if one does.
    pub fn crontab(&self) -> Option<String> {
        let system = crontabs().into_iter().find(|(_, user)| *user == self.name).map(|(file, _)| file);
        system.or_else(|| {
            let list = self.command(Path::new("crontab"), &self.groups).args(["-l"]);
            let listed = output(list, Deadline::after(TIMEOUT))?;
            listed.lines().any(starts_passes).then(|| "crontab -l".to_owned())
        })
    }

    /// Root's view: everybody with a timer of ours, a manager that runs, or a crontab.
    pub fn others() -> Vec<Account> {
        let list = ["list-units", "--all", "--plain", "--no-legend", "--no-pager", "lab-probe@*.timer"];
        let timers = output(CommandSpec::new("systemctl").args(list), Deadline::after(TIMEOUT)).unwrap_or_default();
        let instance = |line: &str| Some(line.split_once("lab-probe@")?.1.split_once(".timer")?.0.to_owned());
        let mut keys: BTreeSet<String> = timers.lines().filter_map(instance).collect();
        keys.extend(crontabs().into_iter().map(|(_, user)| user));
        let named = ["/run/user", CRON_SPOOL].into_iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten();
        keys.extend(named.flatten().filter_map(|entry| entry.file_name().into_string().ok()));
        let mut accounts: Vec<Account> = keys.iter().filter_map(|key| Account::of(key)).collect();
        accounts.retain(|account| account.uid != geteuid().as_raw());
        accounts.sort_by(|one, other| one.name.cmp(&other.name));
        accounts.dedup();
        accounts
    }
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
    pub own: bool,
    uid: u32,
    /// Its user's groups by the user database.
    listed: BTreeSet<u32>,
    timer: Properties,
    service: Properties,
    /// The groups that the service has, as its manager would give them now.
    pub groups: BTreeSet<u32>,
}

impl Unit {
    /// The units of a user that a manager knows: the system's first.
    pub fn all(account: &Account) -> Vec<Unit> {
        [false, true].into_iter().filter_map(|own| Unit::show(account, own)).collect()
    }

    fn show(account: &Account, own: bool) -> Option<Unit> {
        let deadline = Deadline::after(TIMEOUT);
        let name = if own { "lab-probe".to_owned() } else { format!("lab-probe@{}", account.name) };
        let shown = Unit::systemctl(account, own)
            .args(["show", "--no-pager", "--timestamp=unix", "--property", PROPERTIES, "--"])
            .args([format!("{name}.timer"), format!("{name}.service")]);
        let mut unit = Unit {
            name,
            own,
            uid: account.uid,
            listed: account.groups.clone(),
            ..Unit::parse(&output(shown, deadline)?)
        };
        unit.groups = if own {
            // A manager has the groups that its user had when it started.
            let show = ["show", "--value", "--property", "MainPID"];
            let show = CommandSpec::new("systemctl").args(show).args([format!("user@{}.service", account.uid)]);
            let pid = output(show, deadline).unwrap_or_default();
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
            let listed = status.lines().find_map(|line| line.strip_prefix("Groups:"));
            listed.map_or_else(|| account.groups.clone(), numbers)
        } else {
            let more = [unit.service("SupplementaryGroups"), unit.service("Group")].join(" ");
            account.groups.iter().copied().chain(group_ids(more.split_whitespace(), deadline)).collect()
        };
        unit.groups.insert(account.gid);
        Some(unit)
    }

    fn systemctl(account: &Account, own: bool) -> CommandSpec {
        let spec = account.command(Path::new("systemctl"), &account.groups);
        if own { spec.args(["--user"]) } else { spec }
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

    /// A time of the timer, unix seconds.
    pub(super) fn time(&self, key: &str) -> Option<f64> {
        self.timer(key).strip_prefix('@')?.parse().ok()
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
        let started = self.time("ActiveEnterTimestamp").filter(|_| self.is_active())?;
        let since = (now - started).max(0.0);
        (since < FIRST_PASS_SECONDS && last_pass.is_none_or(|at| now - at > super::STALE_SECONDS)).then_some(since)
    }

    /// What takes away the confinement that makes a path read-only.
    pub fn loosen(&self, path: &Path) -> String {
        let line = format!("ReadWritePaths={}", path.display());
        format!("sudo systemctl edit {}, and there [Service] {line}", self.service_name())
    }

    /// What lets the service write in a directory of the group `group`, which textfile directories have.
    pub fn open_up(&self, directory: &Path, group: &str, gid: Option<u32>) -> String {
        let quoted = fs::access::quoted(directory);
        if self.read_only(directory).is_some() {
            return self.loosen(directory);
        }
        let restart = format!("sudo systemctl restart user@{}.service, which ends that user's sessions", self.uid);
        match gid {
            None => format!("sudo chgrp {group} {quoted} && sudo chmod 2775 {quoted}"),
            Some(gid) if self.groups.contains(&gid) => format!("sudo chmod 2775 {quoted}"),
            Some(_) if !self.own => {
                format!("sudo systemctl edit {}, and there [Service] SupplementaryGroups={group}", self.service_name())
            }
            // The manager was started before its user joined the group.
            Some(gid) if self.listed.contains(&gid) => restart,
            Some(_) => format!("sudo usermod -aG {group} {}, then {restart}", fs::access::user(self.uid)),
        }
    }

    pub fn journal(&self) -> String {
        format!("journalctl {}--unit {}.service --lines 50", if self.own { "--user " } else { "" }, self.name)
    }

    /// Files with variables that this user may not read although the service does.
    pub fn closed_files(&self) -> Vec<PathBuf> {
        self.files().filter(|file| file.exists() && fs::read_capped(file, 1 << 20).is_err()).collect()
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.service("EnvironmentFiles").lines().map(|line| line.split(" (").next().unwrap_or(line).into())
    }

    /// The variables that the service has beside those of [`Account::command`].
    pub fn variables(&self, account: &Account) -> BTreeMap<String, String> {
        let manager = if self.own {
            output(Unit::systemctl(account, true).args(["show-environment"]), Deadline::after(TIMEOUT))
        } else {
            None
        };
        let set = shlex::split(self.service("Environment")).unwrap_or_default();
        let files = self.files().filter_map(|file| fs::read_capped(&file, 1 << 20).ok());
        let files: Vec<String> = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        let lines = manager.iter().flat_map(|text| text.lines()).chain(set.iter().map(String::as_str));
        let lines = lines.chain(files.iter().flat_map(|text| text.lines()));
        let lines = lines.map(str::trim).filter(|line| !line.starts_with(['#', ';']));
        let bare = |value: &str| {
            let quoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
            quoted.unwrap_or(value).to_owned()
        };
        let pairs = lines.filter_map(|line| line.split_once('='));
        let mut variables: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.to_owned(), bare(value))).collect();
        if !self.service("LoadCredential").is_empty() {
            let place = format!("/run/credentials/{}", self.service_name());
            variables.insert("CREDENTIALS_DIRECTORY".to_owned(), place);
        }
        variables
    }

    /// Why the service may not make files in a directory, if it may not: the setting that forbids it, or the mode.
    pub fn obstacle(&self, directory: &Path) -> Option<String> {
        if let Some(setting) = self.read_only(directory) {
            return Some(format!("{setting} of {} makes it read-only", self.service_name()));
        }
        let mut own: BTreeSet<u32> = getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
        own.insert(getegid().as_raw());
        let permitted = if self.uid == geteuid().as_raw() && own == self.groups {
            may_write(directory)
        } else {
            self.uid == 0 || self.permitted(directory)
        };
        (!permitted).then(|| format!("{} may not write there", self.service_name()))
    }

    /// By the modes alone, for who cannot take the service's groups to try it.
    fn permitted(&self, directory: &Path) -> bool {
        let has = |path: &Path, wanted: u32| {
            std::fs::metadata(path).is_ok_and(|metadata| {
                let shift = match () {
                    () if metadata.uid() == self.uid => 6,
                    () if self.groups.contains(&metadata.gid()) => 3,
                    () => 0,
                };
                metadata.mode() >> shift & wanted == wanted
            })
        };
        has(directory, 3) && directory.ancestors().skip(1).all(|above| has(above, 1))
    }

    /// The setting of systemd.exec(5) that makes a path read-only for the service. In a user's manager these do nothing.
    fn read_only(&self, path: &Path) -> Option<&'static str> {
        let system: &[&str] = match self.service("ProtectSystem") {
            "strict" => &["/"],
            "full" => &["/usr", "/boot", "/efi", "/etc"],
            "yes" => &["/usr", "/boot", "/efi"],
            _ => &[],
        };
        let home: &[&str] = match self.service("ProtectHome") {
            "" | "no" => &[],
            _ => &["/home", "/root", "/run/user"],
        };
        let state: Vec<String> =
            self.service("StateDirectory").split_whitespace().map(|name| format!("/var/lib/{name}")).collect();
        let listed = |key| self.service(key).split_whitespace().map(|path| path.trim_start_matches(['-', '+']));
        let rules = system.iter().map(|&path| (path, Some("ProtectSystem=")));
        let rules = rules.chain(home.iter().map(|&path| (path, Some("ProtectHome="))));
        let rules = rules.chain(listed("ReadOnlyPaths").map(|path| (path, Some("ReadOnlyPaths="))));
        let rules = rules.chain(listed("InaccessiblePaths").map(|path| (path, Some("InaccessiblePaths="))));
        let rules = rules.chain(listed("ReadWritePaths").map(|path| (path, None)));
        let rules = rules.chain(state.iter().map(|path| (path.as_str(), None)));
        let rules = rules.filter(|(above, _)| !self.own && path.starts_with(above));
        // The longest path that holds it decides; of two of one length the later rule.
        rules.max_by_key(|(above, _)| above.len()).and_then(|(_, setting)| setting)
    }
}

pub fn may_write(directory: &Path) -> bool {
    rustix::fs::accessat(rustix::fs::CWD, directory, Access::WRITE_OK | Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)
        .is_ok()
}

/// The ids of groups, as the user database has them now.
pub(super) fn group_ids<'a>(names: impl IntoIterator<Item = &'a str>, deadline: Deadline) -> Vec<u32> {
    let mut names = names.into_iter().peekable();
    if names.peek().is_none() {
        // Without a name getent prints every group there is.
        return Vec::new();
    }
    let groups = output(CommandSpec::new("getent").args(["group", "--"]).args(names), deadline).unwrap_or_default();
    groups.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect()
}

fn numbers(text: &str) -> BTreeSet<u32> {
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn output(spec: CommandSpec, deadline: Deadline) -> Option<String> {
    let captured = proc::capture(&spec, None, MOST_OUTPUT, deadline).ok()?;
    captured.success().then(|| String::from_utf8_lossy(&captured.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_blocks_are_read_and_their_states_told_apart() {
        let unit = Unit::parse(
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nActiveEnterTimestamp=@1764000000\n\n\
             LoadState=loaded\nActiveState=inactive\nResult=exit-code\nExecMainStatus=2\n\
             EnvironmentFiles=/a (ignore_errors=yes)\nEnvironmentFiles=/b (ignore_errors=no)\n",
        );
        assert!(unit.is_installed() && unit.is_active() && unit.is_enabled());
        assert_eq!(unit.time("ActiveEnterTimestamp"), Some(1_764_000_000.0));
        assert_eq!((unit.service("Result"), unit.service("ExecMainStatus")), ("exit-code", "2"));
        assert_eq!(unit.files().collect::<Vec<_>>(), [Path::new("/a"), Path::new("/b")]);
        let none = Unit::parse("LoadState=not-found\nActiveState=inactive\nUnitFileState=\n\nLoadState=not-found\n");
        assert!(!none.is_installed() && !none.is_used());
        assert!(!Unit::parse("").is_installed());
    }

    #[test]
    fn the_longest_path_of_the_confinement_decides_and_a_users_manager_has_none() {
        let strict =
            "\n\nProtectSystem=strict\nReadWritePaths=-/var/lib/prometheus +/home\nInaccessiblePaths=/home/b\n";
        let mut unit = Unit::parse(strict);
        let forbids = |unit: &Unit, path: &str| unit.read_only(Path::new(path));
        assert_eq!(forbids(&unit, "/srv/x"), Some("ProtectSystem="));
        assert_eq!(forbids(&unit, "/var/lib/prometheus/node-exporter"), None);
        assert_eq!(forbids(&unit, "/home/a/.local"), None);
        assert_eq!(forbids(&unit, "/home/b/.local"), Some("InaccessiblePaths="));
        unit.own = true;
        assert_eq!(forbids(&unit, "/srv/x"), None);
    }

    #[test]
    fn groups_and_modes_decide_for_a_service_with_other_groups_than_who_asks() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o775)).expect("a mode");
        let group = directory.path().metadata().expect("metadata").gid();
        let unit = |uid: u32, groups: &[u32]| Unit { uid, groups: groups.iter().copied().collect(), ..Unit::default() };
        assert!(unit(4_000_001, &[group]).permitted(directory.path()));
        assert!(!unit(4_000_001, &[4_000_002]).permitted(directory.path()));
        if geteuid().is_root() {
            chown(directory.path(), Some(4_000_001), None).expect("given away");
            assert!(unit(4_000_001, &[]).permitted(directory.path()));
        }
    }
}
