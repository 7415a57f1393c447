//! Places for starting: how many programs may be busy with their start at a time.
//!
//! A start costs processor time and memory, waiting costs neither. So a program takes a place before it is started
//! and gives it up once it has answered or does nothing any more; two servers that hang do not hold up the others.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::clock::Deadline;

/// A counting semaphore with deadlines; first come, first served is not promised.
#[derive(Debug)]
pub struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Places {
    /// So many places; at least one.
    pub fn new(places: usize) -> Arc<Places> {
        Arc::new(Places { free: Mutex::new(places.max(1)), freed: Condvar::new() })
    }

    /// A place, or `None` if none came free by the deadline.
    pub fn take(self: &Arc<Places>, deadline: Deadline) -> Option<Place> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, deadline.left(), |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Place(Arc::clone(self)))
    }
}

/// One place; dropping it gives it up.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_place_is_waited_for_until_the_deadline_and_given_up_by_dropping() {
        let places = Places::new(1);
        let taken = places.take(Deadline::after(Duration::ZERO));
        assert!(taken.is_some());
        assert!(places.take(Deadline::after(Duration::from_millis(20))).is_none());
        let waiter = std::thread::spawn({
            let places = Arc::clone(&places);
            move || places.take(Deadline::after(Duration::from_secs(20))).is_some()
        });
        drop(taken);
        assert!(waiter.join().expect("no panic"));
        assert!(places.take(Deadline::after(Duration::from_secs(20))).is_some());
    }
}
