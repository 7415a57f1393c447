//! How one output was served in a pass.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words! {
    /// Who gets the daily report: the section of the configuration, and the word after `--send`.
    #[derive(clap::ValueEnum)]
    Receiver {
        /// The chat of `[telegram]`
        Telegram = "telegram",
        /// The topic of `[ntfy]`
        Ntfy = "ntfy",
        /// The incoming webhook of `[slack]`, or whatever takes messages as it does
        Slack = "slack",
        /// The address of `[webhook]`: the report as JSON
        Webhook = "webhook",
    }
}

impl Receiver {
    pub fn name(self) -> &'static str {
        if self == Receiver::Telegram { "Telegram" } else { self.as_str() }
    }
}

#[derive(Debug, Clone)]
pub struct Delivery {
    /// The output's name as the `output` label has it: `textfile`, `pushgateway`.
    pub output: &'static str,
    /// Where to, for people; no secret in it.
    pub destination: String,
    /// `None` where it was delivered, else what failed and what to do.
    pub error: Option<String>,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            None => write!(f, "{}: {}", self.output, self.destination),
            Some(error) => write!(f, "{} {}: {error}", self.output, self.destination),
        }
    }
}

/// The newest pass of one starter: a unit, or a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub at: Timestamp,
    /// Where it delivered to, by output, and what failed.
    pub outputs: BTreeMap<String, (String, Option<String>)>,
}
