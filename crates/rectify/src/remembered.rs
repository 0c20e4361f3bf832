//! What takes long to make, made once.

use std::sync::{Arc, Mutex, PoisonError};

/// So many things are remembered.
const MOST: usize = 64;

/// The last few things that were made, each with what it was made for.
pub(crate) struct Remembered<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K: PartialEq, V> Remembered<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What was made for `key`, or is now.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        // A panic cannot leave the list half written.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = known.iter().find(|(known, _)| *known == key) {
            return value.clone();
        }
        let value = Arc::new(make());
        if known.len() == MOST {
            known.remove(0);
        }
        known.push((key, value.clone()));
        value
    }
}
