//! A service that accepts TCP connections.

use super::Found;
use crate::clock::Deadline;
use crate::http;

pub(super) fn check(address: &str, deadline: Deadline) -> Found {
    http::reach(address, deadline)?;
    Ok("accepts connections".into())
}
