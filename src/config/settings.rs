//! Validated settings: durations, URLs, paths and secrets with every default filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::mcp::HttpTransport;
use crate::model::reason::Failure;
use crate::model::target::Schedule;
use crate::model::thunes::ThunesTarget;
use crate::redact::Secret;

/// Everything the configuration decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file it came from; `None` when there is none and defaults hold.
    pub source: Option<PathBuf>,
    /// `[probe]`.
    pub probe: ProbeSettings,
    /// `[mcp]`.
    pub mcp: McpSettings,
    /// `[worktree]`.
    pub worktree: WorktreeSettings,
    /// `[[thunes]]`.
    pub thunes: Vec<ThunesSettings>,
    /// `[[service]]`.
    pub services: Vec<ServiceSettings>,
    /// `[anomaly]`.
    pub anomaly: AnomalySettings,
    /// `[output]`.
    pub output: OutputSettings,
    /// `[telegram]`.
    pub telegram: TelegramSettings,
    /// `[doctor]`.
    pub doctor: DoctorSettings,
    /// What is wrong without standing in the way of a pass, a sentence each: an entry left out because its variable
    /// is not set, a place that could not be searched for a configuration.
    pub warnings: Vec<String>,
}

/// `[probe]`: the pass.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeSettings {
    /// The pass ends by then, whatever hangs.
    pub deadline: Duration,
    /// Processes computing their start at a time, where the configuration says; idle ones do not count.
    pub max_starts: Option<usize>,
    /// Where state and lock live.
    pub state_dir: PathBuf,
    /// Labels added to every series.
    pub labels: BTreeMap<String, String>,
}

impl ProbeSettings {
    /// Processes computing their start at a time. To count the cores a dozen files may have to be read: for who starts something.
    pub fn max_starts(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.max_starts.unwrap_or_else(cores)
    }
}

impl ProbeSettings {
    /// Where `record` keeps what it learns of worktrees.
    pub fn records_dir(&self) -> PathBuf {
        self.state_dir.join("records")
    }
}

/// `[mcp]`: MCP servers.
#[derive(Debug, Clone, PartialEq)]
pub struct McpSettings {
    /// Whether the client configs of this user are read.
    pub discover: bool,
    /// Client config files read besides those; naming one here also allows its servers to be started.
    pub config_files: Vec<PathBuf>,
    /// Servers always reported.
    pub expected: Vec<String>,
    /// Directory of `mcp-<name>-health` scripts.
    pub health_dir: Option<PathBuf>,
    /// Defaults for every server.
    pub schedule: Schedule,
    /// Whether `tools/list` belongs to "usable".
    pub list_tools: bool,
    /// PEM certificates trusted besides the system's, for every server behind a URL.
    pub ca_file: Option<PathBuf>,
    /// `[[mcp.server]]`, by hand.
    pub servers: Vec<ServerSettings>,
}

/// One `[[mcp.server]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// The name, a label value.
    pub name: String,
    /// How to reach it; an unset variable is a `missing_env` failure here, not an error of the config.
    pub reach: ServerReach,
    /// Switched off.
    pub disabled: bool,
    /// Its own schedule, the defaults of `[mcp]` filled in.
    pub schedule: Schedule,
    /// Its own `list_tools`.
    pub list_tools: bool,
}

/// How a hand-written server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerReach {
    /// `command`, `args`, `env`, `cwd`.
    Stdio {
        /// Program.
        command: String,
        /// Arguments.
        args: Vec<Secret>,
        /// Variables added.
        env: BTreeMap<String, Secret>,
        /// Working directory.
        cwd: Option<PathBuf>,
    },
    /// `url`, `headers`, `transport`, `ca_file`.
    Http {
        /// Endpoint.
        url: Secret,
        /// Headers.
        headers: Vec<(String, Secret)>,
        /// Transport forced, or auto.
        transport: HttpTransport,
        /// Certificates trusted besides the system's.
        ca_file: Option<PathBuf>,
    },
    /// `health_command`.
    Script {
        /// Program and arguments.
        command: Vec<Secret>,
        /// Variables added.
        env: BTreeMap<String, Secret>,
        /// Working directory.
        cwd: Option<PathBuf>,
    },
    /// Cannot be asked: a variable that the block needs is not set, or holds what cannot be used (`missing_env`).
    Unreachable(Failure),
}

/// `[worktree]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorktreeSettings {
    /// Repositories, every worktree of each.
    pub repos: Vec<PathBuf>,
    /// Set when `repos` is a default (the repository of the current directory): its absence is no problem then.
    pub discovered: bool,
    /// What "complete" is merged into.
    pub base: Option<String>,
    /// How often a worktree is looked at.
    pub schedule: Schedule,
    /// One in which nothing changes is looked at ever less often, up to this; zero: never less often.
    pub idle_ttl: Duration,
    /// Globs of test reports besides the built-in places.
    pub test_reports: Vec<String>,
    /// Command names that mean "testing" while alive in a worktree, besides the built-in ones.
    pub test_runners: Vec<String>,
    /// `[[worktree.named]]`: path → name.
    pub named: Vec<(PathBuf, String)>,
}

/// One `[[thunes]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ThunesSettings {
    /// Where its data is.
    pub target: ThunesTarget,
    /// Set where a variable that the block needs is not set: nothing of the environment can be read then.
    pub unreachable: Option<Failure>,
    /// How often it is looked at.
    pub schedule: Schedule,
}

/// One `[[service]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSettings {
    /// The name, a label value.
    pub name: String,
    /// How it is looked at.
    pub look: crate::model::service::ServiceLook,
    /// How often it is looked at.
    pub schedule: Schedule,
}

/// `[anomaly]`: what is usual, and what is not.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalySettings {
    /// Whether it is learnt and said at all.
    pub enabled: bool,
    /// Targets that are left out, as they are typed: `name` or `kind/name`.
    pub exclude: Vec<String>,
}

/// `[output]`: where results go.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSettings {
    /// The textfile, if any.
    pub textfile: Option<TextfileSettings>,
    /// The Pushgateway, if any.
    pub pushgateway: Option<PushgatewaySettings>,
    /// Whether the textfile's directory was chosen by lab-probe, which the pass then names.
    pub defaulted: bool,
    /// Outputs that are configured and cannot be delivered to: each fails in every pass (exit 1), the others do not.
    pub broken: Vec<BrokenOutput>,
}

impl OutputSettings {
    /// The configured outputs, as the `output` label has them, those that cannot be delivered to included.
    pub fn names(&self) -> Vec<&'static str> {
        let textfile = self.textfile.is_some().then_some("textfile");
        let pushgateway = self.pushgateway.is_some().then_some("pushgateway");
        textfile.into_iter().chain(pushgateway).chain(self.broken.iter().map(|broken| broken.output)).collect()
    }
}

impl TextfileSettings {
    /// The file's name where none is configured.
    pub const FILE: &str = "lab-probe.prom";
}

/// An output that needs a variable which is not set.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenOutput {
    /// `textfile` or `pushgateway`: the `output` label of the failure counter.
    pub output: &'static str,
    /// What is missing, one sentence.
    pub problem: String,
}

/// `[output.textfile]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextfileSettings {
    /// The directory node_exporter's textfile collector reads.
    pub directory: PathBuf,
    /// The file in it; ends in `.prom`.
    pub file: String,
}

/// `[output.pushgateway]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PushgatewaySettings {
    /// Base URL; may hold userinfo.
    pub url: Secret,
    /// The `job` grouping label.
    pub job: String,
    /// Further grouping labels; `instance` is filled in.
    pub grouping: BTreeMap<String, String>,
    /// Basic auth.
    pub username: Option<String>,
    /// File with the basic-auth password.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token.
    pub bearer_token_file: Option<PathBuf>,
    /// PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// One attempt may take this long.
    pub timeout: Duration,
    /// Further attempts after the first.
    pub retries: u32,
}

/// `[telegram]`: where the daily report is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct TelegramSettings {
    /// The chat, a number or `@channel`; where it is not configured, the systemd credential `telegram-chat-id`.
    pub chat_id: Option<String>,
    /// The file with the bot's token; where it is not configured, the systemd credential `telegram-token`.
    pub token_file: Option<PathBuf>,
    /// Base of the Bot API.
    pub api_url: Secret,
}

/// `[doctor]`: where the services of the chain are.
#[derive(Debug, Clone, PartialEq)]
pub struct DoctorSettings {
    /// Prometheus.
    pub prometheus: ServiceAddress,
    /// Alertmanager.
    pub alertmanager: ServiceAddress,
    /// Grafana.
    pub grafana: ServiceAddress,
    /// node_exporter.
    pub node_exporter: ServiceAddress,
}

/// Where a service is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceAddress {
    /// Its address; may hold userinfo.
    pub url: Secret,
    /// Whether the configuration names another than the usual address, where it may be missing.
    pub configured: bool,
}
