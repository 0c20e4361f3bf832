//! Where a model lets a monitor see its activations.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use burn::{
    module::Module,
    tensor::{Tensor, TensorCreationOptions},
};

use crate::{
    activation::{Activation, ActivationLayer},
    observe::{Observed, Probe, Trace},
};

/// What a model's activations pass through, so that a [`Monitor`](super::Monitor) sees them. A clone is the same taps.
///
/// It takes down passes that are differentiated, not those of an evaluation, and of several passes of one layer the last.
/// Where no monitor is about to look, an activation costs what it costs without.
#[derive(Debug, Clone, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    watching: AtomicBool,
    seen: Mutex<Vec<Observed>>,
}

impl Taps {
    /// A drop-in for the activation behind the layer of this name, the path of its parameters in the model.
    pub fn tap(&self, layer: &str, activation: &Activation, options: impl Into<TensorCreationOptions>) -> Tapped {
        let probe = Arc::new(Probe::new(activation));
        Tapped { activation: activation.init(options), tap: Tap { taps: self.clone(), layer: layer.to_owned(), probe } }
    }

    /// Lets the pre-activations `z` of a layer pass through `phi`, any function: its zeros are counted, its saturation is
    /// not known.
    pub fn pass<const D: usize>(
        &self,
        layer: &str,
        z: Tensor<D>,
        phi: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        self.through(layer, &Probe::default(), z, phi)
    }

    fn through<const D: usize>(
        &self,
        layer: &str,
        probe: &Probe,
        z: Tensor<D>,
        phi: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        if !self.0.watching.load(Ordering::Relaxed) || !z.is_autodiff() {
            return phi(z);
        }
        let mut trace = Trace::activations(probe);
        let a = trace.layer(layer, z, phi);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|other| other.name != layer);
        seen.extend(trace.into_layers());
        a
    }

    /// Whether what passes from now on is taken down.
    pub(super) fn watch(&self, watching: bool) {
        self.0.watching.store(watching, Ordering::Relaxed);
    }

    /// What was taken down.
    pub(super) fn take(&self) -> Vec<Observed> {
        std::mem::take(&mut *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An activation that a monitor sees.
#[derive(Module, Debug)]
pub struct Tapped {
    activation: ActivationLayer,
    #[module(skip)]
    tap: Tap,
}

#[derive(Debug, Clone)]
struct Tap {
    taps: Taps,
    layer: String,
    probe: Arc<Probe>,
}

impl Tapped {
    /// φ(z), element by element.
    pub fn forward<const D: usize>(&self, z: Tensor<D>) -> Tensor<D> {
        let Tap { taps, layer, probe } = &self.tap;
        taps.through(layer, probe, z, |z| self.activation.forward(z))
    }
}
