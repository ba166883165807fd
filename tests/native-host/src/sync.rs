//! One habit for all locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether or not a test panicked while holding the lock: what is behind every lock here is
/// valid after each single change, and a failed test must still be able to tear its host down.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
