//! Fully connected networks of one shape as one, whose products are batched.

use std::ops::Range;

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::GradientsParams,
    tensor::{DType, Int, Tensor, TensorData, activation::log_softmax},
};
use rectify::{FusedActivation, FusedLinear, cross_entropy_backward};

use super::{
    Learner,
    update::{Parts, Rate, Updater, with_value},
};
use crate::{
    data::{Batch, DeviceSamples},
    network::Model,
};

/// Learners whose steps are taken as one.
pub struct Together {
    network: Batched,
    updater: Updater,
    /// The order of each one's samples, `[networks, samples]`.
    orders: Tensor<2, Int>,
    /// Of the last step, as numbers and as it takes them.
    rates: Option<(Vec<f64>, Rate)>,
}

impl Together {
    /// `None` where their networks are no [`Batched`], and where one of them learns in a way that cannot be batched: on
    /// several threads, with clipped gradients, in a half type.
    pub fn of(learners: &[&Learner<Model>], orders: Vec<Tensor<1, Int>>) -> Option<Self> {
        let (networks, updaters): (Vec<&Model>, Vec<&Updater>) =
            learners.iter().map(|learner| learner.alone()).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        let (network, updater) = (Batched::of(&networks)?, Updater::together(&updaters)?);
        Some(Self { network, updater, orders: Tensor::stack(orders, 0), rates: None })
    }

    /// A step of each, by its own samples at `places` of its order and at its own rate. Its loss, `[networks]`, is not yet
    /// read back.
    pub fn step(mut self, samples: &DeviceSamples, places: Range<usize>, rates: Vec<f64>) -> (Self, Tensor<1>) {
        let [networks, _] = self.orders.dims();
        let batch = places.len();
        let chosen = self.orders.clone().slice([0..networks, places]).reshape([networks * batch]);
        let Batch { images, labels } = samples.gather(chosen);
        let [_, pixels] = images.dims();
        let (losses, gradients) = self.network.backward(images.reshape([networks, batch, pixels]), labels);
        let rate = match self.rates.take() {
            Some((known, rate)) if known == rates => rate,
            _ => self.network.rate(&rates),
        };
        (self.network, _) = self.updater.step(self.network, Parts::new(vec![gradients]), &rate, false);
        self.rates = Some((rates, rate));
        (self, losses)
    }

    /// The learner at `place` as it is after so many steps together.
    pub fn give(&self, learner: Learner<Model>, place: usize, steps: usize) -> Learner<Model> {
        let [networks, _] = self.orders.dims();
        learner.after(steps, |network| (self.network.give(network, place), self.updater.apart(place, networks)))
    }
}

/// The same numbers in memory of their own: a view would hold those of all networks for as long as one of them lives.
pub fn own<const D: usize>(view: Tensor<D>) -> Tensor<D> {
    view * 1.0
}

/// Several networks of the same widths and activation, the parameters of each layer side by side. Their losses and
/// gradients are those of the networks, to rounding: each network's numbers come from its own samples and parameters.
#[derive(Module, Debug)]
struct Batched {
    layers: Vec<BatchedLinear>,
}

#[derive(Module, Debug)]
struct BatchedLinear {
    /// `[networks, fan_in, fan_out]`
    weight: Param<Tensor<3>>,
    /// `[networks, 1, fan_out]`
    bias: Param<Tensor<3>>,
    #[module(skip)]
    activation: FusedActivation,
}

/// The layers of a network, from the input on, if they are all that it has and are of a type that its loss is computed in.
fn layers(network: &Model) -> Option<Vec<&FusedLinear>> {
    let Model::Mlp(mlp) = network else { return None };
    let layers = mlp.plain()?;
    let whole =
        |layer: &&FusedLinear| layer.bias.is_some() && matches!(layer.weight.val().dtype(), DType::F32 | DType::F64);
    layers.iter().all(whole).then_some(layers)
}

impl Batched {
    /// Puts networks together that track no gradients. `None` where there are none, where something stands around their
    /// layers, and where they are not of one shape and activation.
    fn of(networks: &[&Model]) -> Option<Self> {
        let all: Vec<Vec<&FusedLinear>> = networks.iter().map(|network| layers(network)).collect::<Option<_>>()?;
        let first = all.first()?;
        let shape = |layer: &&FusedLinear| (layer.weight.dims(), layer.activation());
        let alike = |other: &Vec<&FusedLinear>| other.iter().map(shape).eq(first.iter().map(shape));
        if !all.iter().all(alike) {
            return None;
        }
        let layer = |place: usize| {
            let of_place = || all.iter().map(|layers| layers[place]);
            let weights = of_place().map(|layer| layer.weight.val()).collect();
            let biases = of_place().filter_map(|layer| layer.bias.as_ref()).map(Param::val).collect();
            let parameter = |value: Tensor<3>| Param::from_tensor(value).set_require_grad(false);
            BatchedLinear {
                weight: parameter(Tensor::stack(weights, 0)),
                bias: parameter(Tensor::stack::<2>(biases, 0).unsqueeze_dim(1)),
                activation: first[place].activation(),
            }
        };
        Some(Self { layers: (0..first.len()).map(layer).collect() })
    }

    /// `network`, one of those that it was [put together of](Self::of), with the parameters that the one at `place` has now.
    fn give(&self, network: Model, place: usize) -> Model {
        /// Parameters in the order of the layers, weights before biases, which is that of a network.
        struct Give<I>(I);
        impl<I: Iterator<Item = Tensor<3>>> ModuleMapper for Give<I> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                match self.0.next() {
                    Some(value) => with_value(param, |old| value.reshape(old.dims())),
                    None => param,
                }
            }
        }
        let parameters = self.layers.iter().flat_map(|layer| [&layer.weight, &layer.bias]);
        network.map(&mut Give(parameters.map(|param| own(param.val().narrow(0, place, 1)))))
    }

    /// Each network's own learning rate, as one where they are the same.
    fn rate(&self, rates: &[f64]) -> Rate {
        match (rates, self.layers.first()) {
            ([first, others @ ..], Some(layer)) if others.iter().any(|other| other != first) => {
                let weight = layer.weight.val();
                let data = TensorData::new(rates.to_vec(), [rates.len()]);
                let data = data.convert_dtype(weight.dtype());
                Rate::Each(Box::new(Tensor::from_data(data, (&weight.device(), weight.dtype()))))
            }
            _ => Rate::Same(rates.first().copied().unwrap_or_default()),
        }
    }

    /// Mean cross-entropy of each network's samples, `[networks]`, and the gradients of each with respect to its own
    /// parameters.
    ///
    /// # Shapes
    ///
    /// - images: `[networks, batch, pixels]`
    /// - labels: `[networks · batch]`
    fn backward(&self, images: Tensor<3>, labels: Tensor<1, Int>) -> (Tensor<1>, GradientsParams) {
        let mut x = images;
        let mut passed = Vec::with_capacity(self.layers.len());
        for BatchedLinear { weight, bias, activation } in &self.layers {
            let z = x.clone().matmul(weight.val()) + bias.val();
            let (output, kept) = activation.forward_kept(z);
            passed.push((x, kept));
            x = output;
        }

        let [networks, batch, classes] = x.dims();
        let logits = x.reshape([networks * batch, classes]);
        let chosen = log_softmax(logits.clone(), 1).gather(1, labels.clone().unsqueeze_dim(1));
        let losses = chosen.reshape([networks, batch]).mean_dim(1).neg().reshape([networks]);
        // A mean over the samples of all, of which each network's own are one part in so many.
        let share = Tensor::full([1], networks as f64, (&logits.device(), logits.dtype()));
        let mut grad = cross_entropy_backward(logits, labels, share).reshape([networks, batch, classes]);

        let mut gradients = GradientsParams::new();
        for (place, (layer, (x, kept))) in self.layers.iter().zip(passed).enumerate().rev() {
            let z_grad = layer.activation.backward(kept, grad);
            gradients.register(layer.weight.id, x.swap_dims(1, 2).matmul(z_grad.clone()));
            gradients.register(layer.bias.id, z_grad.clone().sum_dim(1));
            if place == 0 {
                break;
            }
            grad = z_grad.matmul(layer.weight.val().swap_dims(1, 2));
        }
        (losses, gradients)
    }
}
