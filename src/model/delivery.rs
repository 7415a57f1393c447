//! How one output was served in a pass.

use std::fmt;

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
