//! One test binary, one file per capability.

mod architecture;
mod discovery;
mod harness;
mod http;
mod verify;
