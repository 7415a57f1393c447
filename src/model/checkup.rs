//! What `lab-probe doctor` finds on the way from the probe to a person: one finding after the other along the chain.

use serde::Serialize;

/// A link of the chain, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// lab-probe's own configuration.
    Config,
    /// The configurations of the MCP clients.
    Clients,
    /// What is remembered between passes, and the lock.
    State,
    /// What starts the passes.
    Timer,
    /// The textfile and its directory.
    Textfile,
    /// Other textfiles beside it.
    Clashes,
    /// The node_exporter that reads it.
    NodeExporter,
    /// The Pushgateway.
    Pushgateway,
    /// Prometheus.
    Prometheus,
    /// The rules loaded into it.
    Rules,
    /// Alertmanager.
    Alertmanager,
    /// Grafana.
    Grafana,
    /// The clocks along the way.
    Clock,
}

impl Link {
    /// Its name, as the JSON document has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Link::Config => "config",
            Link::Clients => "clients",
            Link::State => "state",
            Link::Timer => "timer",
            Link::Textfile => "textfile",
            Link::Clashes => "clashes",
            Link::NodeExporter => "node_exporter",
            Link::Pushgateway => "pushgateway",
            Link::Prometheus => "prometheus",
            Link::Rules => "rules",
            Link::Alertmanager => "alertmanager",
            Link::Grafana => "grafana",
            Link::Clock => "clock",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Not used here: neither configured nor there.
    Skip,
    /// Works, but wants a look.
    Warn,
    /// Broken.
    Fail,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where on the chain.
    pub link: Link,
    /// How it is.
    pub status: Status,
    /// What was seen; one sentence without secrets.
    pub evidence: String,
    /// What mends it: a command to paste wherever there is one.
    pub fix: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(link: Link, evidence: impl Into<String>) -> Self {
        Finding { link, status: Status::Ok, evidence: evidence.into(), fix: None }
    }

    /// Not used here; `fix` says how to begin.
    pub fn skip(link: Link, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { link, status: Status::Skip, evidence: evidence.into(), fix: Some(fix.into()) }
    }

    /// Wants a look.
    pub fn warn(link: Link, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { link, status: Status::Warn, evidence: evidence.into(), fix: Some(fix.into()) }
    }

    /// Broken.
    pub fn fail(link: Link, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding { link, status: Status::Fail, evidence: evidence.into(), fix: Some(fix.into()) }
    }

    /// Broken where `broken` holds, else only worth a look.
    pub fn fail_if(broken: bool, link: Link, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        let status = if broken { Status::Fail } else { Status::Warn };
        Finding { link, status, evidence: evidence.into(), fix: Some(fix.into()) }
    }
}

/// When a Pushgateway took and refused our group, unix seconds; zero means never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PushedGroup {
    /// The last push that succeeded.
    pub pushed_at: f64,
    /// The last push that failed.
    pub failed_at: f64,
}

/// What a Pushgateway was found to hold: our group, if it is there; or why it could not be asked, and what to do.
pub type PushgatewaySeen = Result<Option<PushedGroup>, (String, String)>;

/// What this machine says of the textfile, for comparison with what node_exporter says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivered {
    /// Where it is delivered to; `None` if no textfile is.
    pub path: Option<std::path::PathBuf>,
    /// Whether lab-probe chose the place itself, because none was configured and the usual one could not be written.
    pub fallback: bool,
    /// Modification time of the file, unix seconds; `None` if it is not there.
    pub modified_at: Option<f64>,
    /// Start of the last pass, unix seconds; `None` before the first.
    pub last_pass: Option<f64>,
}

/// An age for people: `12s`, `2m`, `3h`, `5d`.
pub fn age(seconds: f64) -> String {
    // Whole seconds are what people read; a negative age is a clock's doing and reads as none.
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m", seconds / 60),
        3600..=86_399 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
