//! lab-probe: one pass over a developer's LAB and the trading system beside it, for Prometheus.
//!
//! ARCHITECTURE.md has the picture: which rooms there are, what each may touch, and how to add to them.
//! `tests/suite/architecture.rs` holds it.

pub mod check;
pub(crate) mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod doctor;
pub(crate) mod dotenv;
pub mod exit;
pub mod exposition;
pub(crate) mod fs;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub(crate) mod log;
pub(crate) mod mcp;
pub mod metrics;
pub mod model;
pub(crate) mod pass;
pub mod plan;
pub mod proc;
pub mod redact;
pub(crate) mod serve;
pub(crate) mod show;
pub mod sink;
pub mod state;
pub mod trust;
pub(crate) mod unusual;
pub(crate) mod wording;
pub mod yaml;
