//! The losses of a loop, which are read from their device in blocks.

use burn::tensor::Tensor;

use crate::record::StepLosses;

/// Losses that wait on the device, at most: reading each at once would make every step wait for it.
const WAITING: usize = 64;

/// The loss of every step.
#[derive(Debug, Default)]
pub struct Losses {
    /// The step of the first one.
    first_step: Option<usize>,
    read: Vec<f64>,
    waiting: Vec<Tensor<1>>,
    /// How many were averaged over by [`since_last`](Self::since_last).
    averaged: usize,
}

impl Losses {
    pub fn push(&mut self, step: usize, loss: Tensor<1>) {
        self.first_step.get_or_insert(step);
        self.waiting.push(loss.without_autodiff());
        if self.waiting.len() >= WAITING {
            self.read();
        }
    }

    /// All of them.
    pub fn read(&mut self) -> &[f64] {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            // A loss is one number; of several, their mean is the step's.
            let means = waiting.into_iter().map(Tensor::mean).collect();
            self.read.extend(Tensor::<1>::cat(means, 0).into_data().iter::<f64>());
        }
        &self.read
    }

    /// Those that were read.
    pub fn values(&self) -> &[f64] {
        &self.read
    }

    /// The step of the first one; 1 where there is none.
    pub fn first_step(&self) -> usize {
        self.first_step.unwrap_or(1)
    }

    /// The mean of those since the last call; `None` where it is not finite.
    pub fn since_last(&mut self) -> Option<f64> {
        let from = std::mem::replace(&mut self.averaged, self.read.len() + self.waiting.len());
        let new = &self.read()[from..];
        let mean = new.iter().sum::<f64>() / new.len() as f64;
        mean.is_finite().then_some(mean)
    }

    /// As a record has them.
    pub fn block(&mut self) -> StepLosses {
        StepLosses { step: self.first_step(), losses: self.read().to_vec() }
    }
}
