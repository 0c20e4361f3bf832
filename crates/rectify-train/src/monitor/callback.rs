//! A monitor for loops that are not one's own.

use std::sync::{Arc, Mutex, PoisonError};

use burn::{module::Module, optim::GradientsParams, tensor::Tensor};

use super::Monitor;

/// A monitor as a callback, where somebody else's loop trains the model and calls it at every step, as burn-train's `Learner`
/// calls `TrainStep::step`: there loss, model and gradients meet, between backward pass and optimizer.
///
/// It is a field of the model, `#[module(skip)]`, so that the step reaches it. A clone is the same callback, as a loop moves
/// and clones its model. Without a monitor it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Callback(Arc<Mutex<Option<Watching>>>);

#[derive(Debug)]
struct Watching {
    monitor: Monitor,
    steps: usize,
}

impl Callback {
    /// Hands the steps from now on to `monitor`, which is made for the model that holds this: `Monitor::new(&model)`.
    pub fn watch(&self, monitor: Monitor) {
        self.with(|watching| *watching = Some(Watching { monitor, steps: 0 }));
    }

    /// A step, with what [`Monitor::step`] takes but for its number, which is counted here.
    pub fn step<M: Module>(&self, loss: &Tensor<1>, model: &M, gradients: &GradientsParams) {
        self.with(|watching| {
            if let Some(Watching { monitor, steps }) = watching {
                *steps += 1;
                monitor.step(*steps, loss, model, gradients);
            }
        });
    }

    /// The monitor, at the end or to ask it meanwhile: `callback.take()` of one that watches nothing gives `None`.
    pub fn take(&self) -> Option<Monitor> {
        self.with(Option::take).map(|watching| watching.monitor)
    }

    fn with<T>(&self, of: impl FnOnce(&mut Option<Watching>) -> T) -> T {
        // A panic in another thread's step is that thread's to tell; what was taken down until then is whole enough to read.
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
