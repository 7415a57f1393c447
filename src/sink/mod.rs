//! Destinations: each takes finished bytes or a snapshot and brings them to one place. None stops another.

use std::fmt;

pub mod checklist;
pub mod json;
pub mod listing;
pub mod progress;
pub mod pushgateway;
pub mod style;
pub mod survey;
pub mod telegram;
pub mod terminal;
pub mod textfile;

/// How one delivery ended, for the table, JSON and the exit code.
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

/// Why a delivery or its withdrawal failed. Where to is known to the caller: see [`Delivery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// What failed, secrets taken out.
    pub what: String,
    /// What to do next.
    pub hint: String,
}

impl DeliveryError {
    /// A failure and what to do about it.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        DeliveryError { what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

impl std::error::Error for DeliveryError {}

#[cfg(test)]
mod tests;
