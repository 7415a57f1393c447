//! Runs checks in parallel under one deadline.
