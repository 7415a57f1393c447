//! What a program does with its time: computing, waiting for a core, or idle; and when it counts as too slow.
//!
//! A timeout is *idle* time. While any process of the tree computes or waits for a core the clock stands still: whether
//! a start takes one second or ten depends on who else computes at that time, and says nothing about the server.

use std::time::{Duration, Instant};

use super::permits::Permit;
use super::tree::Activity;
use crate::clock::{self, Deadline};

const SAMPLE: Duration = Duration::from_millis(100);

/// The same once it is idle: a tree of many threads costs a hundred microseconds each time.
const IDLE_SAMPLE: Duration = Duration::from_millis(250);

/// A program computes if it does so for more than this part of the time: whoever only polls is idle.
const COMPUTING_PART: f64 = 0.1;

/// So many samples in a row without computing mean idle.
const IDLE_SAMPLES: u32 = 2;

/// A program had a core if it got at least this part of the time as processor time; else others kept it from computing.
const CORE_PART: f64 = 0.75;

/// A program had a whole pass if it had this part of it: its start takes a moment, too.
const WHOLE_PART: f64 = 0.9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// It was idle for its whole timeout, this long.
    Idle(Duration),
    /// It computed for a whole pass and has not come to an end.
    Computing { cpu: Duration, wall: Duration },
}

/// Measures one program from its start to its end, and has its start permit count while it computes.
#[derive(Debug)]
pub struct Meter {
    permit: Permit,
    /// It is too slow once it was idle for so long …
    pub(super) idle_limit: Duration,
    /// … or computed, with a core, for so long since its start: a whole pass.
    computing_limit: Duration,
    began: Instant,
    sampled: Instant,
    pub(super) next: Deadline,
    cpu: Duration,
    pub(super) idle: Duration,
    computes: bool,
    idle_samples: u32,
}

impl Meter {
    pub fn new(permit: Permit, idle_limit: Duration, computing_limit: Duration) -> Meter {
        let now = clock::instant();
        Meter {
            permit,
            idle_limit,
            computing_limit,
            began: now,
            sampled: now,
            next: Deadline::after(SAMPLE),
            cpu: Duration::ZERO,
            idle: Duration::ZERO,
            computes: true,
            idle_samples: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle_samples >= IDLE_SAMPLES
    }

    pub(super) fn sample(&mut self, activity: Activity) {
        let now = clock::instant();
        self.add(now - self.sampled, activity);
        self.sampled = now;
        let every = if self.is_idle() { IDLE_SAMPLE } else { SAMPLE };
        self.next = Deadline::after(every.min(self.idle_limit.saturating_sub(self.idle)).max(SAMPLE / 10));
    }

    fn add(&mut self, elapsed: Duration, activity: Activity) {
        // Processes that have ended may have taken their share with them.
        let computed = activity.cpu.saturating_sub(self.cpu);
        self.cpu = self.cpu.max(activity.cpu);
        let busy = if activity.runnable { elapsed } else { computed.min(elapsed) };
        // A sample that comes late (the probe itself waited for a core) tells nothing of the time between.
        self.idle += (elapsed - busy).min(2 * IDLE_SAMPLE);
        self.computes = busy > elapsed.mul_f64(COMPUTING_PART);
        self.idle_samples = if self.computes { 0 } else { self.idle_samples + 1 };
        if self.computes {
            self.permit.set_computing(true);
        } else if self.is_idle() {
            self.permit.set_computing(false);
        }
    }

    pub fn slow(&self) -> Option<Slow> {
        self.slow_after(self.began.elapsed())
    }

    fn slow_after(&self, wall: Duration) -> Option<Slow> {
        if self.idle >= self.idle_limit {
            return Some(Slow::Idle(self.idle));
        }
        let had_a_pass = wall >= self.computing_limit.mul_f64(WHOLE_PART);
        let had_a_core = self.cpu >= wall.mul_f64(CORE_PART);
        (self.computes && had_a_pass && had_a_core).then_some(Slow::Computing { cpu: self.cpu, wall })
    }
}

#[cfg(test)]
mod tests {
    use super::super::permits::Permits;
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    fn meter() -> Meter {
        Meter::new(Permits::new(1).overdraft(), Duration::from_secs(10), Duration::from_secs(24))
    }

    /// So many steps, each with so much processor time, in milliseconds.
    fn pass(meter: &mut Meter, steps: u64, cpu_of_step: u64, runnable: bool) {
        for _ in 0..steps {
            let cpu = meter.cpu + Duration::from_millis(cpu_of_step);
            meter.add(STEP, Activity { cpu, runnable });
        }
    }

    #[test]
    fn who_is_idle_for_the_timeout_is_slow_and_who_computes_in_between_is_not() {
        let mut meter = meter();
        pass(&mut meter, 70, 100, true);
        pass(&mut meter, 99, 0, false);
        assert_eq!(meter.slow_after(Duration::from_secs(17)), None);
        pass(&mut meter, 1, 0, false);
        assert_eq!(meter.slow_after(Duration::from_secs(17)), Some(Slow::Idle(Duration::from_secs(10))));
    }

    #[test]
    fn who_polls_is_idle_nearly_all_the_time() {
        let mut meter = meter();
        pass(&mut meter, 104, 4, false);
        assert_eq!(meter.slow_after(Duration::from_secs(11)), None);
        pass(&mut meter, 1, 4, false);
        assert!(matches!(meter.slow_after(Duration::from_secs(11)), Some(Slow::Idle(_))));
    }

    #[test]
    fn who_computes_a_whole_pass_with_a_core_is_slow_and_who_waited_for_one_is_not() {
        let (mut alone, mut starved) = (meter(), meter());
        pass(&mut alone, 240, 90, true);
        pass(&mut starved, 240, 60, true);
        assert_eq!(alone.slow_after(Duration::from_secs(20)), None, "not yet a whole pass");
        let (cpu, wall) = (Duration::from_millis(21_600), Duration::from_secs(24));
        assert_eq!(alone.slow_after(wall), Some(Slow::Computing { cpu, wall }));
        assert_eq!(starved.slow_after(wall), None);
        pass(&mut alone, 1, 0, false);
        assert_eq!(alone.slow_after(wall), None, "it has come to an end and waits");
    }

    #[test]
    fn a_late_sample_does_not_count_whole() {
        let mut meter = meter();
        meter.add(Duration::from_secs(60), Activity { cpu: Duration::ZERO, runnable: false });
        assert!(meter.idle < Duration::from_secs(1));
    }

    #[test]
    fn an_idle_program_gives_its_permit_back_and_takes_it_again() {
        let permits = Permits::new(1);
        let mut meter = Meter::new(permits.overdraft(), STEP * 1000, STEP * 1000);
        let free = || permits.ticket().wait(Deadline::after(Duration::ZERO)).is_some();
        pass(&mut meter, 1, 0, false);
        assert!(!free(), "a moment without work is none");
        pass(&mut meter, 1, 0, false);
        assert!(free());
        pass(&mut meter, 1, 90, true);
        assert!(!free());
    }
}
