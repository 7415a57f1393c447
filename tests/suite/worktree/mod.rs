//! Worktrees, judged by real git, real test runners and canaries.

mod backoff;
mod facts;
mod harmless;
mod layouts;
mod record;
mod reports;
mod runners;
mod slow;
mod status;
mod truth;
