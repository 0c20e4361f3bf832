//! What a network is fed.

use burn::tensor::Tensor;

use super::reduce::finite;
use crate::record::InputSample;

/// Statistics of some inputs, `[samples, features]`.
pub fn input_sample(inputs: Tensor<2>) -> InputSample {
    let [samples, features] = inputs.dims();
    let values: Vec<f64> = inputs.without_autodiff().into_data().iter().collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let constant = |feature: &usize| (1..samples).all(|row| values[row * features + feature] == values[*feature]);
    InputSample {
        samples,
        mean: finite(mean),
        std: finite(variance.sqrt()),
        constant_fraction: (0..features).filter(constant).count() as f64 / features as f64,
    }
}
