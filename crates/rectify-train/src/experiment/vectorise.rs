//! Which trainings can take their steps together.

use super::{Dtype, Experiment, ExperimentError, ModelKind, NormKind, Schedule};
use crate::activation::Activation;

impl Experiment {
    /// Whether the network is one of matrix products and activations alone, each of which can be done for several at once.
    ///
    /// # Errors
    ///
    /// The first setting by which it is not.
    pub(super) fn is_plain(&self) -> Result<(), ExperimentError> {
        let in_the_way = [
            (self.model == ModelKind::Cnn, format!("--model {}", self.model)),
            (self.norm != NormKind::None && !self.has_no_activation(), format!("--norm {}", self.norm)),
            (self.residual && self.has_residual(), "--residual".to_owned()),
            (self.dropout > 0.0 && !self.hidden().is_empty(), format!("--dropout {}", self.dropout)),
            (self.clip_norm.is_some(), "--clip-norm".to_owned()),
            (matches!(self.dtype, Dtype::F16 | Dtype::Bf16), format!("--dtype {}", self.dtype)),
            (self.threads > 1, format!("--threads {}", self.threads)),
        ];
        match in_the_way.into_iter().find(|(is, _)| *is) {
            None => Ok(()),
            Some((_, setting)) => {
                let reason = format!(
                    "batches the steps of fully connected networks of f32 or f64, one thread each, with nothing around \
                     their layers: not with {setting}; leave one of the two out"
                );
                Err(ExperimentError { field: "vectorise", reason })
            }
        }
    }

    /// What a training has in common with all that can take their steps together with it: everything but rates, seeds,
    /// how weights begin and when to end. `None` where it takes them by itself.
    pub(crate) fn alike(&self, activation: &Activation) -> Option<Self> {
        let batched = self.vectorise && activation.fused().is_some();
        batched.then(|| {
            let Self { init, bias_init, seeds, .. } = Self::default();
            let activations = vec![activation.clone()];
            Self {
                activations,
                init,
                bias_init,
                seeds,
                lr: None,
                schedule: Schedule::Constant,
                from: None,
                patience: None,
                keep_last: false,
                seed: None,
                shard: None,
                tune: None,
                jobs: None,
                log: None,
                sweep: None,
                ..self.clone()
            }
        })
    }
}
