//! One test binary, one file per capability.

mod architecture;
mod cli;
mod config;
mod discovery;
mod exposition;
mod harness;
mod hostile_http;
mod hostile_pass;
mod http;
mod http_environment;
mod list;
mod mcp_http;
mod mcp_stdio;
mod monitoring;
mod node_exporter;
mod pass;
mod pushgateway;
mod real_servers;
mod service;
mod systemd;
mod textfile;
mod thunes;
mod thunes_crash;
mod thunes_helper;
mod verify;
mod worktree;
