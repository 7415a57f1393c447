//! Destinations: each takes finished bytes and brings them to one place. None stops another.

use crate::config::settings::BrokenOutput;
use crate::exit;

pub mod heartbeat;
pub mod hook;
pub mod message;
pub mod pushgateway;
pub mod survey;
pub mod telegram;
pub mod textfile;

/// An output that the environment spoils.
pub fn broken(output: &BrokenOutput) -> anyhow::Error {
    exit::trouble(&output.problem, "correct the setting, or set the variable where lab-probe runs")
}
