//! How large a training is, before anything is allocated.

use burn::tensor::DType;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

use super::{Experiment, ExperimentError, ModelKind, NormKind};
use crate::network::{CHANNELS, KERNEL, Shape};

impl Experiment {
    /// Weights and biases of the network for such images, normalisation's scales among them.
    pub fn parameters(&self, shape: Shape) -> u128 {
        let wide = |number: usize| number as u128;
        // Normalisation has a scale and a bias for every unit, where the layer itself then has no bias.
        let scales = u128::from(self.norm != NormKind::None);
        let (convolutions, inputs) = match self.model {
            ModelKind::Mlp => (0, wide(shape.channels) * wide(shape.height) * wide(shape.width)),
            ModelKind::Cnn => {
                let (mut channels, mut convolutions) = (shape.channels, 0);
                for maps in CHANNELS {
                    convolutions += (wide(channels * KERNEL * KERNEL + 1) + scales) * wide(maps);
                    channels = maps;
                }
                (convolutions, wide(channels) * wide(shape.height / 4) * wide(shape.width / 4))
            }
        };
        let hidden: Vec<u128> = self.hidden().into_iter().map(wide).collect();
        let widths = [&[inputs], hidden.as_slice(), &[wide(shape.classes)]].concat();
        convolutions
            + scales * hidden.iter().sum::<u128>()
            + widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum::<u128>()
    }

    /// What a training costs beside others: multiplications of one forward pass over every sample of every step, in the
    /// layers. What passes backwards, measuring and the activation's own arithmetic go along with it, more or less.
    pub fn cost(&self, shape: Shape, samples: usize) -> u128 {
        let wide = |number: usize| number as u128;
        let convolutions = match self.model {
            ModelKind::Mlp => 0,
            ModelKind::Cnn => {
                let (mut channels, mut pixels, mut all) = (shape.channels, shape.height * shape.width, 0);
                for maps in CHANNELS {
                    all += wide(channels * KERNEL * KERNEL) * wide(maps) * wide(pixels);
                    (channels, pixels) = (maps, pixels / 4);
                }
                all
            }
        };
        let steps_an_epoch = samples.div_ceil(self.batch_size).max(1);
        let steps = self.steps.unwrap_or(self.epochs().saturating_mul(steps_an_epoch));
        wide(steps) * wide(self.batch_size.min(samples)) * (self.parameters(shape) + convolutions)
    }

    /// Whether one training on the processor has room in this machine's memory.
    ///
    /// Counted is what is sure to be needed: every parameter with its gradient, and the hidden layers' outputs for one
    /// batch of a training set of so many `samples`. What passes may still be too much.
    ///
    /// # Errors
    ///
    /// How much is needed and how much there is.
    pub fn fits(&self, shape: Shape, samples: usize) -> Result<(), ExperimentError> {
        let machine = System::new_with_specifics(
            RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram().with_swap()),
        );
        // A container may have less than its machine.
        let memory = machine.cgroup_limits().map_or(machine.total_memory(), |limits| limits.total_memory);
        let there_is = u128::from(memory) + u128::from(machine.total_swap());
        let parameters = self.parameters(shape);
        let outputs =
            self.batch_size.min(samples) as u128 * self.hidden().iter().map(|&width| width as u128).sum::<u128>();
        let needed = (2 * parameters + outputs) * DType::from(self.dtype).size() as u128;
        if needed <= there_is {
            return Ok(());
        }
        let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
        let reason = format!(
            "{parameters} parameters, their gradients and a batch's activations need {:.0} GiB, and this machine has \
             {:.0} GiB; take fewer or narrower layers, or a smaller batch_size",
            gib(needed),
            gib(there_is)
        );
        Err(ExperimentError { field: "hidden", reason })
    }
}
