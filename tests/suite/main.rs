//! One test binary, one file per capability.

mod architecture;
mod cli;
mod config;
mod discovery;
mod harness;
mod http;
mod list;
mod mcp_http;
mod monitoring;
mod service;
mod thunes;
mod verify;
