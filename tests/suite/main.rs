//! One test binary, one file per capability.

mod architecture;
mod cli;
mod discovery;
mod harness;
mod http;
mod monitoring;
mod verify;
