//! Whose turn it is to create files.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// Whoever waits for a turn looks for it so long before it sleeps.
///
/// A turn takes 0.1 to 0.3 ms. To wake a thread up takes a good part of that where the system is itself the guest of
/// another, and it is nobody's turn meanwhile.
const LOOKS_FOR: Duration = Duration::from_micros(500);

/// It looks again after so many pauses of the processor, of 10 to 50 ns each.
const PAUSES: u32 = 16;

/// Whose turn it is to create files. Workers that write to one directory share one.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    turn: Mutex<()>,
    /// Does one look for its turn? Others sleep: that is no more than one processor's time.
    looked_for: AtomicBool,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Turn {}

impl Turn {
    /// Takes it; where somebody has it and this one does not wait, `None`.
    pub(crate) fn take(&self, waits: bool) -> Option<MutexGuard<'_, ()>> {
        let taken = self.take_now();
        if taken.is_some() || !waits {
            return taken;
        }
        let found = self.look();
        // Poisoned or not: nothing is kept behind it.
        Some(found.unwrap_or_else(|| self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn take_now(&self) -> Option<MutexGuard<'_, ()>> {
        match self.0.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes it as soon as it is free, if that is soon, and nobody else does the same.
    #[cold]
    fn look(&self) -> Option<MutexGuard<'_, ()>> {
        if self.0.looked_for.swap(true, Ordering::Relaxed) {
            return None;
        }
        let since = Instant::now();
        let mut found = self.take_now();
        while found.is_none() && since.elapsed() < LOOKS_FOR {
            (0..PAUSES).for_each(|_| spin_loop());
            found = self.take_now();
        }
        self.0.looked_for.store(false, Ordering::Relaxed);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn one_has_it_and_others_wait_as_long_as_it_takes() {
        let turn = Turn::default();
        for lasts in [Duration::ZERO, LOOKS_FOR / 5, 3 * LOOKS_FOR] {
            let held = turn.take(false).unwrap();
            assert!(turn.take(false).is_none(), "whoever does not wait goes on");
            thread::scope(|scope| {
                let others: Vec<_> = (0..3)
                    .map(|_| {
                        scope.spawn(|| {
                            let _turn = turn.take(true).unwrap();
                            Instant::now()
                        })
                    })
                    .collect();
                thread::sleep(lasts);
                let given_back = Instant::now();
                drop(held);
                for other in others {
                    assert!(other.join().unwrap() >= given_back);
                }
            });
            assert!(!turn.0.looked_for.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn one_looks_for_it_at_a_time() {
        let turn = Turn::default();
        assert!(turn.look().is_some());
        let _held = turn.take(true);
        turn.0.looked_for.store(true, Ordering::Relaxed);
        assert!(turn.look().is_none());
        assert!(turn.0.looked_for.load(Ordering::Relaxed), "it is the other one's");
        turn.0.looked_for.store(false, Ordering::Relaxed);
        let since = Instant::now();
        assert!(turn.look().is_none());
        assert!(since.elapsed() >= LOOKS_FOR);
    }
}
