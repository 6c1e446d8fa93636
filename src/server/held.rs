//! Something large that is being sent to one viewer, and is taken away if that takes too long: a
//! stream that waits for its viewer is not polled, so it cannot let go by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// Empty once the time is over.
type Slot<T> = Mutex<Option<(Arc<T>, OwnedSemaphorePermit)>>;

/// A value with its permit, until dropped or for a limited time.
#[derive(Debug)]
pub(super) struct Held<T> {
    slot: Arc<Slot<T>>,
    timer: JoinHandle<()>,
}

impl<T: Send + Sync + 'static> Held<T> {
    pub(super) fn new(value: Arc<T>, permit: OwnedSemaphorePermit, at_most: Duration) -> Self {
        let slot = Arc::new(Mutex::new(Some((value, permit))));
        let weak = Arc::downgrade(&slot);
        let timer = tokio::spawn(async move {
            // The time limit itself; who is done earlier drops us, and this task with us.
            tokio::time::sleep(at_most).await;
            if let Some(slot) = weak.upgrade() {
                slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        });
        Held { slot, timer }
    }

    /// `None` when the time is over.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(value, _)| value.clone())
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn lets_go_when_it_takes_too_long() {
        let room = Arc::new(Semaphore::new(1));
        let value = Arc::new(7);
        let permit = room.clone().try_acquire_owned().unwrap();
        let held = Held::new(value.clone(), permit, Duration::ZERO);
        while held.get().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!((Arc::strong_count(&value), room.available_permits()), (1, 1));

        let permit = room.clone().try_acquire_owned().unwrap();
        let held = Held::new(value.clone(), permit, Duration::MAX);
        assert_eq!(held.get().as_deref(), Some(&7));
        drop(held);
        // The timer task holds nothing.
        assert_eq!((Arc::strong_count(&value), room.available_permits()), (1, 1));
    }
}
