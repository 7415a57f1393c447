//! One test binary, one file per capability.

mod harness;
mod http;
