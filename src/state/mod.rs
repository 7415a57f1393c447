//! What is remembered between passes, and the lock that keeps two passes apart.
//!
//! One directory for a user, whoever starts the pass. `state.json` is replaced in one rename, so cursors and totals of
//! a journal always move together; a check never opens it, its memory travels in its target and its observation.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod history;
pub(crate) mod learnt;
pub mod lock;
pub mod sent;
pub mod store;
