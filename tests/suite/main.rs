//! One test binary, one file per capability.

mod architecture;
mod harness;
mod http;
