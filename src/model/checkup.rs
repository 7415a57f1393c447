//! What `lab-probe doctor` finds on the way from the probe to a person: one finding after the other along the chain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

words! {
    Link {
        Config = "config",
        Clients = "clients",
        State = "state",
        Timer = "timer",
        Textfile = "textfile",
        Clashes = "clashes",
        NodeExporter = "node_exporter",
        Pushgateway = "pushgateway",
        Prometheus = "prometheus",
        Rules = "rules",
        Alertmanager = "alertmanager",
        Grafana = "grafana",
        Clock = "clock",
    }
}

words! {
    Status {
        Ok = "ok",
        /// Not used here: neither configured nor there.
        Skip = "skip",
        /// Works, but wants a look.
        Warn = "warn",
        Fail = "fail",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub link: Link,
    pub status: Status,
    /// What was seen; one sentence without secrets.
    pub evidence: String,
    /// What mends it: a command to paste wherever there is one.
    pub fix: Option<String>,
}

impl Link {
    fn found(self, status: Status, evidence: impl Into<String>, fix: Option<String>) -> Finding {
        Finding { link: self, status, evidence: evidence.into(), fix }
    }

    pub fn ok(self, evidence: impl Into<String>) -> Finding {
        self.found(Status::Ok, evidence, None)
    }

    /// `fix` says how to begin.
    pub fn skip(self, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.found(Status::Skip, evidence, Some(fix.into()))
    }

    pub fn warn(self, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.fail_if(false, evidence, fix)
    }

    pub fn fail(self, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.fail_if(true, evidence, fix)
    }

    /// Broken where `broken` holds, else only worth a look.
    pub fn fail_if(self, broken: bool, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.found(if broken { Status::Fail } else { Status::Warn }, evidence, Some(fix.into()))
    }
}

/// When a Pushgateway took and refused our group, unix seconds; zero means never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PushedGroup {
    pub pushed_at: f64,
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
    /// Starts of the passes of the last day, unix seconds: the value of a series by which this host's are known.
    pub passes: Vec<f64>,
    /// Start of the newest pass of each unit or session, unix seconds.
    pub starters: BTreeMap<String, f64>,
    /// By output, where the newest pass of the unit that is judged delivered to, and what failed.
    pub outputs: BTreeMap<String, (String, Option<String>)>,
    /// How long ago the timer was started, seconds, where its first pass is still to come.
    pub young: Option<f64>,
}

impl Delivered {
    /// Broken; or to be looked at once more, where the timer has only just been started.
    pub fn fail(&self, link: Link, evidence: impl Into<String>, fix: impl Into<String>) -> Finding {
        match self.young {
            None => link.fail(evidence, fix),
            Some(seconds) => {
                let evidence = format!("{}; but the timer was started only {} ago", evidence.into(), age(seconds));
                link.warn(evidence, "lab-probe doctor, in a minute")
            }
        }
    }
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
