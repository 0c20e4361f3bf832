//! What happens inside of a network: gradients and activations, layer by layer. Measured, never judged.
//!
//! How data flows: a [`Probe`] says what to look for, which depends on φ. A [`Trace`] with it is handed through a
//! network's forward pass ([`Network::forward`](crate::network::Network::forward)), where every layer's pre-activations
//! and activations are reduced to a few sums on the device they are on; the backward pass adds the gradients of the
//! pre-activations. [`parameters`], [`weight_gradients`] and [`Update`]s are of any Burn module's parameters, by path.
//! [`report`] reads all of these sums back at once and makes a [`Layer`](crate::record::Layer) of each layer: a
//! parameter belongs to the layer whose name its path begins with. A metric of values that are not all finite is absent,
//! and their number is recorded.
//!
//! Off, a trace does nothing.

mod host;
mod inputs;
mod parameters;
mod probe;
mod rank;
mod reduce;
mod report;
mod trace;
mod training;

pub(crate) use self::{
    host::{BLOCK, Powers},
    parameters::Path,
    reduce::{Sums, wide},
    trace::Observed,
};
pub use self::{
    inputs::input_sample,
    parameters::{
        Parameter, Parameters, Update, WeightGradients, Weights, parameters, update_between, weight_gradients, weights,
    },
    probe::{Probe, SATURATION},
    reduce::{Moved, Norm},
    report::{Backward, dead_units, report},
    trace::Trace,
    training::{Statistics, Training},
};
