//! Validated settings: durations, URLs, paths and secrets with every default filled in. Serialized they are what
//! `config show` prints, secrets masked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::duration;
use crate::model::mcp::Reach;
use crate::model::service::ServiceProbe;
use crate::model::target::Schedule;
use crate::model::thunes::ThunesTarget;
use crate::redact::{self, Secret};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// The file it came from; `None` when there is none and defaults hold.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    pub probe: ProbeSettings,
    pub mcp: McpSettings,
    pub worktree: WorktreeSettings,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thunes: Vec<ThunesSettings>,
    #[serde(rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceSettings>,
    pub anomaly: AnomalySettings,
    pub output: OutputSettings,
    pub telegram: TelegramSettings,
    /// `[ntfy]`, `[slack]` and `[webhook]`.
    #[serde(flatten)]
    pub receivers: BTreeMap<&'static str, ReceiverSettings>,
    pub doctor: DoctorSettings,
    /// What is wrong without standing in the way of a pass, a sentence each: an entry left out because its variable
    /// is not set, a place that could not be searched for a configuration.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

fn time<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration::show(*time))
}

fn schedule<S: Serializer>(schedule: &Schedule, serializer: S) -> Result<S::Ok, S::Error> {
    let Schedule { ttl, retry_after, timeout } = schedule;
    let times = [("ttl", ttl), ("retry_after", retry_after), ("timeout", timeout)];
    BTreeMap::from(times.map(|(key, time)| (key, duration::show(*time)))).serialize(serializer)
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeSettings {
    #[serde(serialize_with = "time")]
    pub deadline: Duration,
    /// Processes computing their start at a time, where the configuration says; idle ones do not count.
    #[serde(serialize_with = "starts")]
    pub max_starts: Option<usize>,
    pub state_dir: PathBuf,
    pub labels: BTreeMap<String, String>,
}

fn starts<S: Serializer>(max_starts: &Option<usize>, serializer: S) -> Result<S::Ok, S::Error> {
    max_starts.unwrap_or_else(cores).serialize(serializer)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl ProbeSettings {
    /// Processes computing their start at a time. To count the cores a dozen files may have to be read: for who starts something.
    pub fn max_starts(&self) -> usize {
        self.max_starts.unwrap_or_else(cores)
    }

    /// Where `record` keeps what it learns of worktrees.
    pub fn records_dir(&self) -> PathBuf {
        self.state_dir.join("records")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McpSettings {
    pub discover: bool,
    /// Client config files read besides those; naming one here also allows its servers to be started.
    pub config_files: Vec<PathBuf>,
    pub expected: Vec<String>,
    /// Directory of `mcp-<name>-health` scripts.
    pub health_dir: Option<PathBuf>,
    #[serde(flatten, serialize_with = "schedule")]
    pub schedule: Schedule,
    pub list_tools: bool,
    /// PEM certificates trusted besides the system's, for every server behind a URL.
    pub ca_file: Option<PathBuf>,
    #[serde(rename = "server", skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerSettings>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServerSettings {
    pub name: String,
    /// An unset variable is a `missing_env` failure here, not an error of the config.
    #[serde(flatten)]
    pub reach: Reach,
    pub disabled: bool,
    /// The defaults of `[mcp]` filled in.
    #[serde(flatten, serialize_with = "schedule")]
    pub schedule: Schedule,
    pub list_tools: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorktreeSettings {
    pub repos: Vec<PathBuf>,
    /// Set when `repos` is a default (the repository of the current directory): its absence is no problem then.
    #[serde(skip)]
    pub discovered: bool,
    /// What "complete" is merged into.
    pub base: Option<String>,
    #[serde(flatten, serialize_with = "schedule")]
    pub schedule: Schedule,
    /// One in which nothing changes is looked at ever less often, up to this; zero: never less often.
    #[serde(serialize_with = "time")]
    pub idle_ttl: Duration,
    /// Globs of test reports besides the built-in places.
    pub test_reports: Vec<String>,
    /// Command names that mean "testing" while alive in a worktree, besides the built-in ones.
    pub test_runners: Vec<String>,
    #[serde(serialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<(PathBuf, String)>,
}

fn named<S: Serializer>(named: &[(PathBuf, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(named.iter().map(|(path, name)| json!({ "name": name, "path": path })))
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThunesSettings {
    #[serde(flatten)]
    pub target: ThunesTarget,
    #[serde(flatten, serialize_with = "schedule")]
    pub schedule: Schedule,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceSettings {
    pub name: String,
    #[serde(flatten)]
    pub probe: ServiceProbe,
    #[serde(flatten, serialize_with = "schedule")]
    pub schedule: Schedule,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnomalySettings {
    pub enabled: bool,
    /// Targets that are left out, as they are typed: `name` or `kind/name`.
    pub exclude: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OutputSettings {
    pub textfile: Option<TextfileSettings>,
    pub pushgateway: Option<PushgatewaySettings>,
    /// The dead man's switch that passes are told to.
    pub heartbeat: Option<HeartbeatSettings>,
    /// Whether the textfile's directory was chosen by lab-probe, which the pass then names.
    #[serde(skip)]
    pub defaulted: bool,
    /// Outputs that are configured and cannot be delivered to: each fails in every pass (exit 1), the others do not.
    #[serde(skip)]
    pub broken: Vec<BrokenOutput>,
}

impl OutputSettings {
    /// The configured outputs, as the `output` label has them, those that cannot be delivered to included.
    pub fn names(&self) -> Vec<&'static str> {
        let good = [
            self.textfile.as_ref().map(|_| "textfile"),
            self.pushgateway.as_ref().map(|_| "pushgateway"),
            self.heartbeat.as_ref().map(|_| "heartbeat"),
        ];
        good.into_iter().flatten().chain(self.broken.iter().map(|broken| broken.output)).collect()
    }
}

impl TextfileSettings {
    pub const FILE: &str = "lab-probe.prom";
}

/// An output that needs a variable which is not set.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenOutput {
    pub output: &'static str,
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextfileSettings {
    /// The directory node_exporter's textfile collector reads.
    pub directory: PathBuf,
    /// Ends in `.prom`.
    pub file: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PushgatewaySettings {
    #[serde(serialize_with = "redact::as_url")]
    pub url: Secret,
    pub job: String,
    /// Further grouping labels; `instance` is filled in.
    pub grouping: BTreeMap<String, String>,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub bearer_token_file: Option<PathBuf>,
    /// PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    #[serde(serialize_with = "time")]
    pub timeout: Duration,
    pub retries: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeartbeatSettings {
    /// A secret as a whole: whoever knows it can keep the switch from telling.
    #[serde(serialize_with = "redact::as_origin")]
    pub url: Secret,
}

/// `[ntfy]`, `[slack]` or `[webhook]`: where the daily report is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ReceiverSettings {
    #[serde(serialize_with = "redact::as_origin")]
    pub url: Option<Secret>,
    /// A file that holds the address.
    pub url_file: Option<PathBuf>,
    /// The file with a bearer token.
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TelegramSettings {
    /// The chat, a number or `@channel`; where it is not configured, the systemd credential `telegram-chat-id`.
    pub chat_id: Option<String>,
    /// The file with the bot's token; where it is not configured, the systemd credential `telegram-token`.
    pub token_file: Option<PathBuf>,
    #[serde(serialize_with = "redact::as_url")]
    pub api_url: Secret,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorSettings {
    pub prometheus: ServiceAddress,
    pub alertmanager: ServiceAddress,
    pub grafana: ServiceAddress,
    pub node_exporter: ServiceAddress,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ServiceAddress {
    #[serde(serialize_with = "redact::as_url")]
    pub url: Secret,
    /// Whether the configuration names another than the usual address, where it may be missing.
    #[serde(skip)]
    pub configured: bool,
}
