//! Destinations: each takes finished bytes and brings them to one place. None stops another.

use std::fmt;

use crate::config::settings::BrokenOutput;

pub mod pushgateway;
pub mod survey;
pub mod telegram;
pub mod textfile;

/// Why a delivery or its withdrawal failed. Where to is known to the caller: see [`Delivery`](crate::model::delivery::Delivery).
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

/// An output that the environment spoils.
pub fn broken(output: &BrokenOutput) -> DeliveryError {
    DeliveryError::new(&output.problem, "correct the setting, or set the variable where lab-probe runs")
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

impl std::error::Error for DeliveryError {}
