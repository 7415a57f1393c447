//! How long a pass may take, and how long it waits for another one.

use std::time::Duration;

use crate::config::settings::Settings;

/// A person's pass goes on until everything due was looked at, but not longer.
const PERSON_DEADLINE: Duration = Duration::from_secs(90);

const PERSON_LOCK_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Somebody waits for its table.
    Person,
    /// The next one comes in a moment.
    Timer,
}

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// It has ended by then, whatever hangs.
    pub(super) deadline: Duration,
    /// So long it waits for the lock.
    pub(super) lock_wait: Duration,
}

impl Timing {
    pub fn new(settings: &Settings, audience: Audience, deadline: Option<Duration>, wait: Option<Duration>) -> Timing {
        let (usual_deadline, usual_wait) = match audience {
            Audience::Person => (settings.probe.deadline.max(PERSON_DEADLINE), PERSON_LOCK_WAIT),
            Audience::Timer => (settings.probe.deadline, Duration::ZERO),
        };
        Timing { deadline: deadline.unwrap_or(usual_deadline), lock_wait: wait.unwrap_or(usual_wait) }
    }
}
