//! Trains small networks, observes their layers while they train, and judges what was measured.
//!
//! # How data flows
//!
//! One way, and each folder knows only those before it:
//!
//! ```text
//! experiment, data, network ─→ train ─→ store ─→ judge ─→ report (in the program)
//!                   observe ──┘    record: what all of them hand on
//! ```
//!
//! [`experiment`] holds the settings, by the names of the flags. Whatever runs is an [`Experiment`](experiment::Experiment)
//! whose every value was checked, and the same struct is the config file, the help and a part of `results.json`.
//! [`activation`] is what can be named as φ.
//!
//! [`data`] finds data sets by name or path, reads and checks them once, and puts them on a device, from which batches
//! are slices or gathers. [`backend`] opens the devices.
//!
//! [`network`] is what is trained: a list of stages that the forward and the backward pass both walk, or any Burn module
//! with a forward pass. `init` draws the first weights.
//!
//! [`observe`] measures a network while it runs, layer by layer: activations, gradients, weights, updates. It reduces
//! tensors where they are and judges nothing.
//!
//! [`train`] is the loop: a step (`learner`), what it does to the weights (`update`, `optimizer`), what is measured
//! between steps (`measure`), one training (`trainer`) or several whose steps are one batched program (`batched`), and
//! which of them runs on which thread (`schedule`, `grid`). It tells an observer what happens and offers its state to be
//! saved; it opens no file.
//!
//! [`record`] is plain data: a run, its epochs, its layers. What `train` measured leaves as records, and everything that
//! is said of a training is said from them.
//!
//! [`store`] is the only one that writes: whole files or none, metrics line by line, the state that resuming needs,
//! checkpoints, locks.
//!
//! [`export`] gives what is stored in the formats of other tools: a table, weights for PyTorch.
//!
//! [`judge`] reads records only: statistics over seeds, paired differences, curves, verdicts, sentences. It can be run
//! again on what lies on disk without training.
//!
//! [`monitor`] does for a loop of one's own what `train` and `judge` do for ours: it observes any Burn module between
//! steps, and diagnoses.
//!
//! [`claims`] are experiments about textbook sentences: each trains, measures and is judged, a file a claim.
//!
//! [`compare`] puts all of it together: the main job as one call, resumed, extended and joined. The program `rectify` is a
//! thin user of it.
#![warn(missing_docs)]

pub mod activation;
pub mod backend;
pub mod claims;
pub mod compare;
pub mod data;
pub mod environment;
pub mod examine;
pub mod experiment;
pub mod export;
pub mod judge;
mod memory;
pub mod monitor;
pub mod network;
pub mod observe;
pub mod planted;
pub mod record;
pub mod repair;
pub mod store;
pub mod train;
pub mod words;

#[cfg(not(feature = "flex"))]
compile_error!("rectify-train draws initial weights on flex: enable the feature flex");
