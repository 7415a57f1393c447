//! `state.json`: a damaged one is set aside when it is loaded; saved in one rename.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fs;
use crate::model::cardinality::LabelSets;
use crate::model::delivery::Started;
use crate::model::history::Written;
use crate::model::hung::Hung;
use crate::model::observation::Remembered;
use crate::model::snapshot::LastPass;
use crate::model::unusual::Unusual;

/// Version of the file's outer shape. Fields may be added without a new one; readers ignore what they do not know.
const VERSION: u32 = 1;

/// Far above anything real (a target takes about 1 KiB): a file larger than this is damaged.
const MAX_BYTES: u64 = 256 << 20;

/// A target that is in no plan is forgotten after this: long enough for a client config that is broken over a
/// holiday, so that its counters go on where they were.
const KEEP_UNPLANNED: Duration = Duration::from_secs(14 * 86_400);

/// Every login session is a starter of its own: they must not pile up.
const KEEP_STARTERS: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    version: u32,
    /// When this state began; spreads the targets' due times (see `plan::due`).
    pub created_at: Timestamp,
    #[serde(skip_deserializing)]
    pub targets: BTreeMap<String, Remembered>,
    pub output_failures: BTreeMap<String, u64>,
    /// Passes that ended with exit 1 so far.
    pub pass_failures: u64,
    pub last_pass: Option<LastPass>,
    pub written: Written,
    /// What the last pass warned of: a timer's next pass need not say it again.
    pub warned: Vec<String>,
    /// What is known of series, and what was measured of them since the last slot ended.
    pub unusual: Unusual,
    /// The newest pass of each starter of the last hour, by unit: what `doctor` judges a timer by.
    pub starters: BTreeMap<String, Started>,
    /// What did not answer in the last pass.
    pub hung: Hung,
    /// The series that foreign text has made of late.
    pub label_sets: LabelSets,
}

/// The targets of a file, each read by itself: one that cannot be read costs nothing but itself.
#[derive(Deserialize)]
struct Targets<'a> {
    #[serde(borrow, default)]
    targets: BTreeMap<String, &'a RawValue>,
}

#[derive(Debug)]
pub struct Loaded {
    /// The state; fresh if there was none to be had.
    pub state: State,
    /// Sentences about what was set aside or dropped.
    pub warnings: Vec<String>,
    /// Set when the file is there but could not be read at all (permissions, I/O): saving would destroy it.
    pub unreadable: bool,
}

impl State {
    pub fn new(now: Timestamp) -> Self {
        State { version: VERSION, created_at: now, ..State::default() }
    }

    /// Remembers how a pass delivered, under the unit that started it.
    pub fn note_starter(&mut self, unit: String, pass: Started) {
        let keep_after = pass.at.checked_sub(KEEP_STARTERS).unwrap_or(Timestamp::MIN);
        self.starters.retain(|_, earlier| earlier.at > keep_after && earlier.at <= pass.at);
        self.starters.insert(unit, pass);
    }

    /// Drops what no plan has named for a long time. `planned` says whether a `kind/name` is in the current plan.
    ///
    /// What was checked in the future (the clock has been set back) counts from now, or it would be kept until that
    /// time comes; and its answer is no configuration's any more.
    pub fn forget_unplanned(&mut self, now: Timestamp, planned: impl Fn(&str) -> bool) {
        let keep_after = now.checked_sub(KEEP_UNPLANNED).unwrap_or(Timestamp::MIN);
        for (_, remembered) in self.targets.iter_mut().filter(|(id, _)| !planned(id)) {
            if let Some(seen) = &mut remembered.observation
                && seen.checked_at > now
            {
                seen.checked_at = now;
                remembered.fingerprint.clear();
            }
        }
        self.targets.retain(|id, remembered| {
            planned(id) || remembered.observation.as_ref().is_some_and(|seen| seen.checked_at >= keep_after)
        });
    }
}

pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("state.json")
}

/// Loads the state. A missing file is an empty state; a damaged one, or one of a later version, is set aside beside
/// itself with a warning, so that nothing is lost and the pass goes on. Only for who holds the lock.
pub fn load(state_dir: &Path, now: Timestamp) -> Loaded {
    load_with(state_dir, now, |path, why| set_aside(path, "the state", why))
}

/// Loads the state for looking only: what is damaged stays where it is, for the next pass to set aside.
pub fn peek(state_dir: &Path, now: Timestamp) -> Loaded {
    load_with(state_dir, now, |path, why| format!("the state {} is damaged ({why:#})", path.display()))
}

fn load_with(state_dir: &Path, now: Timestamp, damaged: impl Fn(&Path, &anyhow::Error) -> String) -> Loaded {
    let path = path(state_dir);
    let anew = |warning, unreadable| Loaded { state: State::new(now), warnings: vec![warning], unreadable };
    match read(&path, MAX_BYTES, |bytes| parse(bytes, now)) {
        Ok(Ok(known)) => {
            let (state, warnings) = known.unwrap_or_else(|| (State::new(now), Vec::new()));
            let warnings = warnings.iter().map(|warning| format!("{}: {warning}", path.display())).collect();
            Loaded { state, warnings, unreadable: false }
        }
        Ok(Err(why)) => anew(damaged(&path, &why), false),
        Err(e) => {
            let (path, why) = (path.display(), fs::explained(&e));
            let consequence = "nothing is remembered in this pass, and the file is left as it is";
            anew(format!("cannot read the state {path}: {why}; {consequence}"), true)
        }
    }
}

/// What a file of the state directory says, `None` where it is not there yet, or why it is damaged.
/// Errors: The operating system refuses to read it: it may still be a good one.
pub(super) fn read<T>(
    path: &Path,
    limit: u64,
    parse: impl FnOnce(&[u8]) -> anyhow::Result<T>,
) -> io::Result<anyhow::Result<Option<T>>> {
    // Too large, a directory, a link to itself.
    let is_none_of_ours = |e: &io::Error| {
        matches!(e.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput)
            || e.raw_os_error() == Some(libc::ELOOP)
    };
    match fs::read_capped(path, limit) {
        Ok(bytes) => Ok(parse(&bytes).map(Some)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
        Err(e) if is_none_of_ours(&e) => Ok(Err(e.into())),
        Err(e) => Err(e),
    }
}

/// Reads the bytes of a state file.
/// Errors: What is wrong with the file as a whole. A single target that cannot be read is only a warning.
pub fn parse(bytes: &[u8], now: Timestamp) -> anyhow::Result<(State, Vec<String>)> {
    const NO_STATE: &str = "not a state file";
    let mut state: State = serde_json::from_slice(bytes).context(NO_STATE)?;
    let version = state.version;
    ensure!(version == VERSION, "version {version} is not the version {VERSION} that this lab-probe writes");
    // A state from the future (the clock was set back) must not delay anything.
    state.created_at = state.created_at.min(now);
    let mut warnings = Vec::new();
    for (id, raw) in serde_json::from_slice::<Targets<'_>>(bytes).context(NO_STATE)?.targets {
        match serde_json::from_str::<Remembered>(raw.get()) {
            Ok(remembered) => drop(state.targets.insert(id, remembered)),
            Err(e) => warnings.push(format!("what was remembered of {id:?} cannot be read and is dropped: {e}")),
        }
    }
    Ok((state, warnings))
}

/// Renames a file that cannot be used, and says so. An older one set aside before is replaced.
pub(super) fn set_aside(path: &Path, what: &str, why: &anyhow::Error) -> String {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    match std::fs::rename(path, &aside) {
        Ok(()) => format!(
            "{what} {} is damaged ({why:#}); it is set aside as {} and the pass starts with an empty one",
            path.display(),
            aside.display()
        ),
        Err(e) => format!("{what} {} is damaged ({why:#}) and cannot be set aside: {e}", path.display()),
    }
}

/// Saves the state in one rename, mode 0600.
pub fn save(state_dir: &Path, state: &State) -> anyhow::Result<()> {
    let path = path(state_dir);
    let saved = serde_json::to_vec(state).map_err(Into::into).and_then(|bytes| fs::replace(&path, &bytes, 0o600));
    saved.with_context(|| format!("cannot save the state {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::{McpFacts, McpMemory};
    use crate::model::observation::{Attempts, Facts, Memory, Observation};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn remembered(second: i64) -> Remembered {
        Remembered {
            fingerprint: "f".into(),
            observation: Some(Observation {
                checked_at: at(second),
                duration: Duration::from_millis(5),
                facts: Facts::Mcp(McpFacts::default()),
            }),
            memory: Memory::Mcp(McpMemory::default()),
            attempts: Attempts::default(),
        }
    }

    fn sample() -> State {
        let mut state = State::new(at(100));
        state.targets.insert("mcp/a\n\"b".into(), remembered(100));
        state.output_failures.insert("textfile".into(), 3);
        state.pass_failures = 2;
        state
    }

    #[test]
    fn a_saved_state_loads_as_it_was() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        save(directory.path(), &sample()).expect("saved");
        let loaded = load(directory.path(), at(200));
        assert_eq!(loaded.state, sample());
        assert!(loaded.warnings.is_empty() && !loaded.unreadable);
    }

    #[test]
    fn a_damaged_state_is_set_aside_and_the_pass_goes_on() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let whole = serde_json::to_vec(&sample()).expect("serialised");
        for damage in [&b""[..], b"\0\0\0", b"{}", b"[1]", &whole[..whole.len() / 2], b"{\"version\":99}"] {
            std::fs::write(path(directory.path()), damage).expect("written");
            let loaded = load(directory.path(), at(200));
            assert_eq!(loaded.state, State::new(at(200)), "{damage:?}");
            assert_eq!(loaded.warnings.len(), 1);
            assert_eq!(std::fs::read(directory.path().join("state.json.damaged")).expect("set aside"), damage);
            assert!(!path(directory.path()).exists());
        }
    }

    #[test]
    fn a_link_to_itself_in_the_states_place_is_set_aside() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = path(directory.path());
        std::os::unix::fs::symlink(&path, &path).expect("linked");
        let loaded = load(directory.path(), at(200));
        assert!(!loaded.unreadable && loaded.warnings[0].contains("set aside"), "{:?}", loaded.warnings);
        assert!(path.symlink_metadata().is_err(), "moved away");
    }

    #[test]
    fn one_target_that_cannot_be_read_costs_only_itself() {
        let text = String::from_utf8(serde_json::to_vec(&sample()).expect("serialised")).expect("text");
        let text = text.replace("\"targets\":{", "\"targets\":{\"mcp/new\":{\"shape\":1},");
        let (state, warnings) = parse(text.as_bytes(), at(200)).expect("parsed");
        assert_eq!(state, sample());
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("mcp/new"), "{warnings:?}");
    }

    #[test]
    fn unknown_fields_of_a_newer_writer_are_ignored_and_missing_ones_have_defaults() {
        let text = r#"{"version":1,"created_at":"1970-01-01T00:01:40Z","novelty":[1,2],"targets":{}}"#;
        let (state, warnings) = parse(text.as_bytes(), at(200)).expect("parsed");
        assert_eq!(state, State::new(at(100)));
        assert!(warnings.is_empty());
    }

    #[test]
    fn what_no_plan_names_is_forgotten_only_after_two_weeks() {
        let mut state = sample();
        state.forget_unplanned(at(100 + 13 * 86_400), |_| false);
        assert_eq!(state.targets.len(), 1);
        state.forget_unplanned(at(101 + 14 * 86_400), |_| true);
        assert_eq!(state.targets.len(), 1);
        state.forget_unplanned(at(101 + 14 * 86_400), |_| false);
        assert_eq!(state.targets.len(), 0);
    }

    #[test]
    fn what_was_checked_in_the_future_is_not_kept_until_then() {
        let mut state = sample();
        state.forget_unplanned(at(50), |_| false);
        let kept = state.targets.values().next().expect("kept for now");
        assert_eq!(kept.observation.as_ref().map(|seen| seen.checked_at), Some(at(50)));
        assert_eq!(kept.fingerprint, "");
        state.forget_unplanned(at(51 + 14 * 86_400), |_| false);
        assert_eq!(state.targets.len(), 0);
    }
}
