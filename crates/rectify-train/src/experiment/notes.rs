//! Settings that do nothing, or less than their user may think.

use super::{Experiment, ExperimentError, Init, ModelKind, Moments, NormKind, OptimizerKind, ProbeEvery};
use crate::{activation::Activation, judge::number::number};

impl Experiment {
    /// Settings that were given and have no effect beside the others. [`resolve`](Self::resolve) leaves them out.
    pub fn without_effect(&self) -> Vec<ExperimentError> {
        let mut idle = Vec::new();
        let mut has_none = |field, reason: String| idle.push(ExperimentError { field, reason });
        if let Some(momentum) = self.momentum
            && self.optimizer != OptimizerKind::Momentum
        {
            let reason = format!("{momentum} has no effect with optimizer {}; `momentum` uses it", self.optimizer);
            has_none("momentum", reason);
        }
        if self.residual && !self.has_residual() {
            let reason = format!(
                "no fully connected hidden layer is as wide as what comes before it ({}); as in hidden 128,128",
                self.hidden().iter().map(usize::to_string).collect::<Vec<_>>().join(",")
            );
            has_none("residual", reason);
        }
        if self.dropout > 0.0 && self.hidden().is_empty() {
            let reason = format!("{} has no effect without fully connected hidden layers", self.dropout);
            has_none("dropout", reason);
        }
        if self.norm != NormKind::None && self.has_no_activation() {
            has_none("norm", format!("{} has no effect without hidden layers", self.norm));
        }
        if self.keep_last && self.patience.is_none() {
            let reason = "true has no effect without patience, which alone would keep an earlier network";
            has_none("keep_last", reason.to_owned());
        }
        if let (Some(epochs), Some(steps)) = (self.epochs, self.steps) {
            has_none("epochs", format!("{epochs} has no effect beside steps {steps}; give one of the two"));
        }
        idle
    }

    /// What whoever gave these settings may not expect, each as a sentence, for a training set of so many samples.
    ///
    /// Only what differs from the defaults is spoken of.
    pub fn notes(&self, samples: usize) -> Vec<String> {
        let mut notes = Vec::new();
        let Self { batch_size, threads, .. } = *self;
        if batch_size > samples && batch_size != Self::default().batch_size {
            notes.push(format!(
                "batch_size: {batch_size} is more than the {samples} training samples: a step takes all"
            ));
        }
        let batch = batch_size.min(samples);
        if threads > batch {
            notes.push(format!("threads: {threads} are more than the {batch} samples of a step: the others are idle"));
        }
        let runs = self.trainings();
        if let Some(jobs) = self.jobs.filter(|jobs| *jobs > runs) {
            notes.push(format!("jobs: {jobs} are more than the trainings, of which there are {runs}"));
        }
        let steps_an_epoch = samples.div_ceil(batch_size).max(1);
        let (steps, epochs) = match self.steps {
            Some(steps) => (steps, steps.div_ceil(steps_an_epoch)),
            None => (self.epochs().saturating_mul(steps_an_epoch), self.epochs()),
        };
        if let Some(patience) = self.patience.filter(|patience| *patience >= epochs) {
            notes.push(format!("patience: {patience} epochs never end a training early that has {epochs}"));
        }
        if let ProbeEvery::Steps(every) = self.probe_every
            && every > steps
        {
            notes.push(format!("probe_every: a training has {steps} steps, so none is the {every}th to be probed"));
        }
        if self.norm != NormKind::None
            && self.init.draws_biases()
            && self.bias_init.is_none()
            && !self.has_no_activation()
        {
            notes.push(format!(
                "norm: {} has a bias of its own, which begins at 0, in place of those that {} draws for hidden layers",
                self.norm, self.init
            ));
        }
        if let Some(bias) = self.bias_init.filter(|_| self.init.draws_biases()) {
            notes.push(format!("bias_init: {bias} takes the place of the biases that {} draws", self.init));
        }
        if let [activation] = self.activations.as_slice()
            && self.has_no_activation()
            && activation.name() != "none"
        {
            notes.push(format!(
                "hidden: without hidden layers the network has no activation; `{activation}` names the training and \
                 chooses how weights begin"
            ));
        }
        for activation in &self.activations {
            if self.vectorise && activation.fused().is_none() {
                let label = activation.label();
                notes.push(format!(
                    "vectorise: {label} is no part of a layer's operation; its trainings are not batched"
                ));
            }
            notes.extend(self.formula_notes(activation));
        }
        notes
    }

    /// What a formula's user may not expect of it, and how its weights begin.
    fn formula_notes(&self, activation: &Activation) -> Vec<String> {
        let Some(formula) = activation.formula() else { return Vec::new() };
        let label = activation.label();
        let mut notes: Vec<String> = formula.notes().iter().map(|note| format!("{label}: {note}")).collect();
        if self.init == Init::Auto {
            let moments = Moments::of(activation);
            let [value, slope] = [moments.value, moments.slope].map(number);
            let none = if moments.have_gain() { "" } else { ", which ask for no gain that weights can have" };
            notes.push(format!(
                "{label}: its weights begin as `{}`, from E φ² = {value} and E φ′² = {slope} under N(0, 1){none}",
                self.init.resolve(activation)
            ));
        }
        notes
    }

    /// Whether any hidden layer's input is added to its output. (The first one's never is, whose input is the images or
    /// what the convolutions give.)
    pub(crate) fn has_residual(&self) -> bool {
        self.hidden().windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Whether no layer of the network has an activation.
    pub(super) fn has_no_activation(&self) -> bool {
        self.model == ModelKind::Mlp && self.hidden().is_empty()
    }
}
