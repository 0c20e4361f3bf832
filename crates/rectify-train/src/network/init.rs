//! Draws the parameters that a network begins with.

use std::f64::consts::SQRT_2;

use burn::{
    module::Param,
    nn::{Initializer, Linear, PaddingConfig2d, conv::Conv2dConfig},
    tensor::{DType, Device, Tensor, TensorData},
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rectify::{FusedActivation, FusedConv2d};

use super::{ConvBlock, KERNEL};
use crate::{activation::Activation, experiment::Init};

/// Draws parameters, layer after layer.
pub(super) struct Draw<'a> {
    pub(super) init: Init,
    pub(super) bias: Option<f64>,
    /// For the entries that `randomized-asymmetric` replaces.
    pub(super) asymmetry: ChaCha8Rng,
    pub(super) options: (&'a Device, DType),
    pub(super) host: Device,
}

impl Draw<'_> {
    pub(super) fn linear(&mut self, fan_in: usize, fan_out: usize) -> Linear {
        let [weight, bias] = self.values([fan_in, fan_out], 1, fan_in, fan_out);
        Linear { weight: self.parameter(weight), bias: Some(self.parameter(bias)) }
    }

    pub(super) fn conv(&mut self, channels_in: usize, channels_out: usize, activation: &Activation) -> ConvBlock {
        let area = KERNEL * KERNEL;
        let shape = [channels_out, channels_in, KERNEL, KERNEL];
        let [weight, bias] = self.values(shape, 0, channels_in * area, channels_out * area);
        let mut convolution = Conv2dConfig::new([channels_in, channels_out], [KERNEL, KERNEL])
            .with_padding(PaddingConfig2d::Same)
            .with_bias(false)
            .init(self.options.0);
        convolution.weight = self.parameter(weight);
        convolution.bias = Some(self.parameter(bias));
        let fused = activation.fused().unwrap_or(FusedActivation::Identity);
        let convolution = FusedConv2d::from_conv2d(convolution, fused)
            .expect("`Activation::fused` gives only what a fused layer takes, and the kernel is odd");
        ConvBlock { convolution, activation: activation.init(self.options) }
    }

    fn parameter<const D: usize>(&self, data: TensorData) -> Param<Tensor<D>> {
        let (device, dtype) = self.options;
        Param::from_tensor(Tensor::from_data(data, (device, dtype)))
    }

    /// Weights and biases of one layer; its units lie along dimension `unit_dim` of the weights.
    fn values<const D: usize>(
        &mut self,
        shape: [usize; D],
        unit_dim: usize,
        fan_in: usize,
        fan_out: usize,
    ) -> [TensorData; 2] {
        let units = shape[unit_dim];
        let weights = match self.init {
            Init::HeNormal | Init::Auto => Initializer::KaimingNormal { gain: SQRT_2, fan_out_only: false },
            Init::HeUniform => Initializer::KaimingUniform { gain: SQRT_2, fan_out_only: false },
            Init::XavierNormal => Initializer::XavierNormal { gain: 1.0 },
            Init::XavierUniform => Initializer::XavierUniform { gain: 1.0 },
            Init::LecunNormal => Initializer::KaimingNormal { gain: 1.0, fan_out_only: false },
            Init::TorchDefault => Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false },
            Init::Orthogonal => Initializer::Orthogonal { gain: 1.0 },
            Init::VarianceScaling(scale) => Initializer::KaimingNormal { gain: scale.sqrt(), fan_out_only: false },
            Init::Normal(std) => Initializer::Normal { mean: 0.0, std },
            // The gain for which the length of a signal is kept, from Lu et al. 2019.
            Init::RandomizedAsymmetric => Initializer::KaimingNormal { gain: 0.6007, fan_out_only: false },
        };
        let biases = match (self.bias, self.init) {
            (Some(value), _) => Initializer::Constant { value },
            (None, Init::TorchDefault | Init::RandomizedAsymmetric) => weights.clone(),
            (None, _) => Initializer::Zeros,
        };
        let mut weight = weights.init_with::<D, _>(shape, Some(fan_in), Some(fan_out), &self.host).val();
        let mut bias = biases.init_with::<1, _>([units], Some(fan_in), Some(fan_out), &self.host).val();

        if self.init == Init::RandomizedAsymmetric {
            // One entry of each unit's weights and bias is drawn from Beta(2, 1), whose quantile function is a root.
            let weights = weight.swap_dims(0, unit_dim);
            let dims = weights.dims();
            let rows = Tensor::cat(vec![weights.reshape([units, fan_in]), bias.clone().reshape([units, 1])], 1);
            let mut values: Vec<f32> = rows.into_data().iter().collect();
            for row in values.chunks_mut(fan_in + 1) {
                let entry = self.asymmetry.random_range(0..row.len());
                row[entry] = self.asymmetry.random::<f32>().sqrt();
            }
            let rows = Tensor::<2>::from_data(TensorData::new(values, [units, fan_in + 1]), &self.host);
            weight = rows.clone().narrow(1, 0, fan_in).reshape(dims).swap_dims(0, unit_dim);
            if self.bias.is_none() {
                bias = rows.narrow(1, fan_in, 1).reshape([units]);
            }
        }
        [weight.into_data(), bias.into_data()]
    }
}
