//! lab-probe: one pass over a developer's LAB and the trading system beside it, for Prometheus.
//!
//! ARCHITECTURE.md has the picture: which rooms there are, what each may touch, and how to add to them.
//! `tests/suite/architecture.rs` holds it.

pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod dotenv;
pub mod exit;
pub mod exposition;
pub mod fs;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod log;
pub(crate) mod mcp;
pub mod metrics;
pub mod model;
pub mod pass;
pub mod plan;
pub mod proc;
pub mod redact;
pub mod run;
pub mod serve;
pub mod show;
pub mod sink;
pub mod state;
pub mod trust;
pub mod unusual;
pub mod yaml;
