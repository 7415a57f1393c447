//! Start permits: how many of the programs that were started may *compute* at a time.
//!
//! A start costs processor time, waiting costs none. A program takes a permit before it is started, gives it back while it
//! is idle, and counts again as soon as it computes again. That must not wait, so more than the limit may hold one for a
//! while; nobody new gets one until there are fewer than the limit again. Whoever waits is served in the order of the tickets.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::clock::Deadline;

/// A counting semaphore that serves in order, with deadlines.
#[derive(Debug)]
pub struct Permits {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    tickets: u64,
    /// Each with a condition variable of its own: one for all would wake hundreds of threads for every permit.
    waiting: BTreeMap<u64, Arc<Condvar>>,
}

impl Permits {
    pub fn new(limit: usize) -> Arc<Permits> {
        Arc::new(Permits { limit: limit.max(1), state: Mutex::default() })
    }

    /// A place in the queue, behind all earlier tickets.
    pub fn ticket(self: &Arc<Permits>) -> Ticket {
        let mut state = self.state.lock();
        state.tickets += 1;
        let number = state.tickets;
        let turn = Arc::new(Condvar::new());
        state.waiting.insert(number, Arc::clone(&turn));
        Ticket { permits: Arc::clone(self), number, turn }
    }

    /// A permit at once, whatever the limit says: for whoever was let in before.
    pub fn overdraft(self: &Arc<Permits>) -> Permit {
        self.state.lock().held += 1;
        Permit { permits: Arc::clone(self), counts: true }
    }

    /// Lets the first in the queue look whether there is a permit now.
    fn call_next(&self, state: &State) {
        if let Some(turn) = state.waiting.values().next().filter(|_| state.held < self.limit) {
            turn.notify_one();
        }
    }
}

/// A place in the queue for a permit; dropping it leaves the queue.
#[derive(Debug)]
pub struct Ticket {
    permits: Arc<Permits>,
    number: u64,
    turn: Arc<Condvar>,
}

impl Ticket {
    /// A permit, or `None` if it was not this ticket's turn by the deadline: the next one in the queue has its own.
    pub fn wait(self, deadline: Deadline) -> Option<Permit> {
        let permits = &self.permits;
        let is_first = |state: &State| state.waiting.keys().next() == Some(&self.number);
        let not_yet = |state: &mut State| state.held >= permits.limit || !is_first(state);
        let mut state = permits.state.lock();
        if self.turn.wait_while_until(&mut state, not_yet, deadline.instant()).timed_out() {
            return None;
        }
        state.held += 1;
        Some(Permit { permits: Arc::clone(permits), counts: true })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.permits.state.lock();
        state.waiting.remove(&self.number);
        self.permits.call_next(&state);
    }
}

/// The right to compute; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    counts: bool,
}

impl Permit {
    /// Whether its holder computes: only then it counts.
    pub fn set_computing(&mut self, computing: bool) {
        if self.counts != computing {
            self.counts = computing;
            let mut state = self.permits.state.lock();
            state.held = if computing { state.held + 1 } else { state.held - 1 };
            self.permits.call_next(&state);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.set_computing(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn at_once(permits: &Arc<Permits>) -> Option<Permit> {
        permits.ticket().wait(Deadline::after(NOW))
    }

    #[test]
    fn a_permit_is_waited_for_until_the_deadline_and_given_back_by_dropping() {
        let permits = Permits::new(1);
        let taken = at_once(&permits);
        assert!(taken.is_some());
        assert!(permits.ticket().wait(Deadline::after(Duration::from_millis(20))).is_none());
        let ticket = permits.ticket();
        let waiter = std::thread::spawn(move || ticket.wait(Deadline::after(Duration::from_secs(20))).is_some());
        drop(taken);
        assert!(waiter.join().expect("no panic"));
        assert!(at_once(&permits).is_some());
    }

    #[test]
    fn tickets_are_served_in_order_and_one_that_leaves_holds_up_nobody() {
        let permits = Permits::new(2);
        let (first, second, third) = (permits.ticket(), permits.ticket(), permits.ticket());
        assert!(second.wait(Deadline::after(NOW)).is_none(), "the first one is before it");
        drop(first);
        assert!(third.wait(Deadline::after(NOW)).is_some());
    }

    #[test]
    fn who_is_idle_does_not_count_and_who_computes_again_counts_at_once() {
        let permits = Permits::new(1);
        let mut idle = at_once(&permits).expect("free");
        idle.set_computing(false);
        let other = at_once(&permits).expect("the holder is idle");
        idle.set_computing(true);
        drop(other);
        assert!(at_once(&permits).is_none(), "it computes again");
        let more = permits.overdraft();
        drop(idle);
        assert!(at_once(&permits).is_none(), "the overdraft counts");
        drop(more);
        assert!(at_once(&permits).is_some());
    }
}
