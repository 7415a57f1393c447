//! lab-probe: one pass over a developer's LAB and the trading system beside it, for Prometheus.
//!
//! Data flows one way, and every directory below is one room on its path:
//!
//! ```text
//! cli → config → plan → run(checks, in parallel) → snapshot → metrics → sink
//!                  ▲                                   │
//!                  └── state: read before the plan, saved after the snapshot
//! ```
//!
//! Nouns live in [`model`]; every other room takes and gives its types. Rooms never import each other: they may
//! use the model and the leaves ([`proc`], [`http`], [`fs`], [`exposition`], [`yaml`], [`clock`], [`log`], [`redact`], `mcp`); [`plan`] and
//! [`sink`] also read [`config::settings`]. Only [`pass`] and [`commands`] string rooms together. `tests/suite/architecture.rs` holds these edges.

pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod doctor;
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
