//! Runs checks in parallel under one deadline.
//!
//! Checks wait far more than they compute, so the pools are sized for waiting, not for cores, and each class has its
//! own: a network check never queues behind process starts. The main thread is the one that waits, with the deadline
//! in hand: whatever a check does, the pass goes on without it.

pub mod merge;
pub mod pool;
