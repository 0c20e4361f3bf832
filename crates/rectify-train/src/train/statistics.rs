//! The parameters of a network that follow its batches and not its gradients: running means.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};

use super::update::with_value;
use crate::observe::Statistics;

/// By how much of the way a running mean moves towards a batch's at each step: as in PyTorch.
pub const MOMENTUM: f64 = 0.1;

/// Moves running means and variances so far towards those of a batch.
pub fn follow<N: Module>(network: N, statistics: Statistics, momentum: f64) -> N {
    if statistics.is_empty() {
        return network;
    }
    network.map(&mut Follow { statistics, momentum })
}

struct Follow {
    statistics: Statistics,
    momentum: f64,
}

impl ModuleMapper for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(i) = self.statistics.iter().position(|(id, _)| *id == param.id) else { return param };
        let (_, statistic) = self.statistics.swap_remove(i);
        with_value(param, |old| {
            let statistic = statistic.reshape(old.dims()).cast(old.dtype());
            old * (1.0 - self.momentum) + statistic * self.momentum
        })
    }
}
