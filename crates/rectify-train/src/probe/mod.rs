//! What happens inside of a network: gradients and activations, layer by layer.
//!
//! A [`Trace`] is handed through a network's forward pass ([`Network::forward`](crate::model::Network::forward)). Off,
//! it does nothing. On, every layer's pre-activations and activations are reduced on the device they are on, and
//! [`report`] fetches all figures in one read-back. Weights and their gradients are read from the parameters of any
//! Burn module.

mod reduce;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Device, Gradients, Tensor, TensorData},
};
use rectify::{FusedConv2d, FusedLinear};

pub use self::reduce::Moved;
use self::reduce::{moments, norm};
use crate::{
    activation::Activation,
    results::{Histogram, Layer},
};

/// Saturated is where |φ′| is under this part of its maximum.
pub const SATURATION: f64 = 0.05;

/// What a [`Trace`] looks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// The intervals of z where |φ′(z)| is under [`SATURATION`] of its maximum; `None` where φ does not saturate.
    flat: Option<Vec<(f64, f64)>>,
}

impl Probe {
    /// Finds where the activation is flat, from its own derivative on a grid of step 0.001 over −50..50. What holds at
    /// the grid's ends is taken to hold beyond them.
    pub fn new(activation: &Activation) -> Self {
        if !activation.saturates() {
            return Self::default();
        }
        let grid: Vec<f64> = (-50_000..=50_000).map(|i| f64::from(i) * 1e-3).collect();
        let device = Device::flex().autodiff();
        let data = TensorData::new(grid.clone(), [grid.len()]);
        let z = Tensor::<1>::from_data(data, (&device, DType::F64)).require_grad();
        let gradients = activation.init(&device).forward(z.clone()).sum().backward();
        let slopes: Vec<f64> = match z.grad(&gradients) {
            Some(slopes) => slopes.into_data().iter::<f64>().map(f64::abs).collect(),
            // The output does not depend on z: a constant has nothing to lose.
            None => return Self::default(),
        };
        let limit = SATURATION * slopes.iter().copied().fold(0.0, f64::max);

        let mut flat: Vec<(f64, f64)> = Vec::new();
        let mut begin = None;
        for (i, (&z, &slope)) in grid.iter().zip(&slopes).enumerate() {
            match (slope < limit, begin) {
                (true, None) => begin = Some(if i == 0 { f64::NEG_INFINITY } else { z }),
                (false, Some(low)) => {
                    flat.push((low, z));
                    begin = None;
                }
                _ => {}
            }
        }
        flat.extend(begin.map(|low| (low, f64::INFINITY)));
        Self { flat: Some(flat) }
    }
}

/// Watches one forward pass.
#[derive(Debug, Default)]
pub struct Trace {
    watch: Option<Watch>,
    layers: Vec<Observed>,
}

#[derive(Debug)]
struct Watch {
    probe: Probe,
    gradients: bool,
    histogram: bool,
}

/// One layer's figures for one batch, still on the device.
#[derive(Debug)]
struct Observed {
    name: String,
    values: usize,
    /// Σz, Σz², Σa, Σa², and how many z are where φ is flat.
    sums: Tensor<1>,
    /// For each unit the number of activations that are not zero.
    alive: Tensor<1>,
    /// A zero that was added to the pre-activations: its gradient is theirs.
    leaf: Option<Tensor<2>>,
    /// The gradient of the pre-activations.
    gradient: Option<Tensor<1>>,
    sample: Option<Tensor<1>>,
}

/// Activations that a histogram is made of, at most.
const HISTOGRAM_SAMPLE: usize = 1 << 15;
const HISTOGRAM_BINS: usize = 48;

impl Trace {
    /// Watches nothing and costs nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Watches activations.
    pub fn activations(probe: &Probe) -> Self {
        Self::watching(probe, false, false)
    }

    /// Watches activations, and keeps some of them for a histogram.
    pub fn histogram(probe: &Probe) -> Self {
        Self::watching(probe, false, true)
    }

    /// Watches activations and, where the pass is differentiated, the gradients of the pre-activations.
    pub fn gradients(probe: &Probe) -> Self {
        Self::watching(probe, true, false)
    }

    fn watching(probe: &Probe, gradients: bool, histogram: bool) -> Self {
        Self { watch: Some(Watch { probe: probe.clone(), gradients, histogram }), layers: Vec::new() }
    }

    /// Passes the pre-activations `z` of the layer `name` through `phi`, watching both sides.
    ///
    /// The layer's units lie along the last dimension of `z`; of four dimensions, as of a 2-D convolution, along the
    /// second.
    pub fn layer<const D: usize>(
        &mut self,
        name: &str,
        mut z: Tensor<D>,
        phi: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let Some(watch) = &self.watch else {
            return phi(z);
        };
        let values = z.shape().num_elements();
        let leaf = (watch.gradients && z.is_autodiff()).then(|| {
            let leaf = Tensor::<2>::zeros([1, values], (&z.device(), z.dtype())).require_grad();
            z = z.clone() + leaf.clone().reshape(z.dims());
            leaf
        });
        let activation = phi(z.clone());
        self.observe(name, z, activation.clone(), leaf);
        activation
    }

    /// [`layer`](Self::layer) for a layer that is one operation. Watched or not, its output has the same bits.
    pub fn fused_linear(&mut self, name: &str, x: Tensor<2>, layer: &FusedLinear) -> Tensor<2> {
        if self.watch.is_none() {
            return layer.forward(x);
        }
        let ([batch, _], weight) = (x.dims(), layer.weight.val());
        let [_, units] = weight.dims();
        self.fused(name, [batch, units], &weight, |tap| layer.forward_watched(x, tap))
    }

    /// [`layer`](Self::layer) for a convolution that is one operation. Watched or not, its output has the same bits.
    pub fn fused_conv2d(&mut self, name: &str, x: Tensor<4>, layer: &FusedConv2d) -> Tensor<4> {
        if self.watch.is_none() {
            return layer.forward(x);
        }
        let ([batch, _, height, width], weight) = (x.dims(), layer.weight.val());
        let [channels, ..] = weight.dims();
        self.fused(name, [batch, channels, height, width], &weight, |tap| layer.forward_watched(x, tap))
    }

    /// Watches `pass`, which takes a tap of the output's `shape` and gives pre-activations and output.
    fn fused<const D: usize, const W: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        weight: &Tensor<W>,
        pass: impl FnOnce(Tensor<D>) -> (Tensor<D>, Tensor<D>),
    ) -> Tensor<D> {
        let gradients = self.watch.as_ref().is_some_and(|watch| watch.gradients) && weight.is_autodiff();
        let options = (&weight.device(), weight.dtype());
        let leaf = gradients.then(|| Tensor::<2>::zeros([1, shape.iter().product()], options).require_grad());
        let tap = match &leaf {
            Some(leaf) => leaf.clone().reshape(shape),
            None => Tensor::zeros([1; D], options),
        };
        let (z, activation) = pass(tap);
        self.observe(name, z, activation.clone(), leaf);
        activation
    }

    /// Takes the pre-activations' gradients from a backward pass by autodiff.
    pub fn take_gradients(&mut self, gradients: &Gradients) {
        for layer in &mut self.layers {
            let gradient = layer.leaf.take().and_then(|leaf| leaf.grad(gradients));
            layer.gradient = gradient.map(|gradient| gradient.reshape([layer.values]));
        }
    }

    /// Takes a layer's pre-activations' gradient from a backward pass that is written by hand.
    pub fn set_gradient<const D: usize>(&mut self, name: &str, gradient: Tensor<D>) {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.name == name) {
            layer.gradient = Some(gradient.reshape([layer.values]));
        }
    }

    fn observe<const D: usize>(&mut self, name: &str, z: Tensor<D>, a: Tensor<D>, leaf: Option<Tensor<2>>) {
        let Some(watch) = &self.watch else {
            return;
        };
        let values = z.shape().num_elements();
        // Sums in f32 at least: a half type would run over.
        let planes = |x: Tensor<D>| -> Tensor<3> {
            let x = x.without_autodiff();
            let x = if x.dtype() == DType::F64 { x } else { x.cast(DType::F32) };
            let dims = x.dims();
            let unit_dim = if D == 4 { 1 } else { D - 1 };
            let product = |dims: &[usize]| dims.iter().product();
            x.reshape([product(&dims[..unit_dim]), dims[unit_dim], product(&dims[unit_dim + 1..])])
        };
        let (z, a) = (planes(z), planes(a));
        let flat = watch.probe.flat.as_deref().unwrap_or_default();
        let (sums, alive) = moments(z, a.clone(), flat);
        self.layers.push(Observed {
            name: name.to_owned(),
            values,
            sums,
            alive,
            leaf,
            gradient: None,
            sample: watch.histogram.then(|| a.reshape([values]).narrow(0, 0, values.min(HISTOGRAM_SAMPLE))),
        });
    }
}

/// Which units of each layer were zero on every sample that the passes saw: by layer, by unit.
pub fn dead_units(passes: &[Trace]) -> Vec<Vec<bool>> {
    let layers = passes.first().map_or(0, |pass| pass.layers.len());
    let mut figures = Figures::default();
    for i in 0..layers {
        let alive = passes.iter().filter_map(|pass| pass.layers.get(i)).map(|layer| layer.alive.clone());
        alive.reduce(|a, b| a + b).map(|alive| figures.push(alive));
    }
    figures.read().into_iter().map(|layer| layer.into_iter().map(|alive| alive == 0.0).collect()).collect()
}

/// The weights of a module (parameters of rank 2 and more), flattened, with their paths.
pub type Weights = Vec<(String, Tensor<1>)>;

/// Reads a module's weights; the tensors are handles, not copies.
pub fn weights<M: Module>(module: &M) -> Weights {
    read(module, None)
}

/// Reads the gradients of a module's weights.
pub fn weight_gradients<M: Module>(module: &M, gradients: &GradientsParams) -> Weights {
    read(module, Some(gradients))
}

fn read<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Weights {
    struct Reader<'a> {
        gradients: Option<&'a GradientsParams>,
        path: Vec<String>,
        weights: Weights,
    }
    impl ModuleVisitor for Reader<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D < 2 {
                return;
            }
            let tensor = match self.gradients {
                Some(gradients) => gradients.get::<D>(param.id),
                None => Some(param.val()),
            };
            if let Some(tensor) = tensor {
                let values = tensor.shape().num_elements();
                self.weights.push((self.path.join("."), tensor.without_autodiff().reshape([values])));
            }
        }
    }
    let mut reader = Reader { gradients, path: Vec::new(), weights: Vec::new() };
    module.visit(&mut reader);
    reader.weights
}

/// What a backward pass left behind.
pub struct Backward<'a> {
    /// The traces of the passes that were differentiated, with their gradients.
    pub passes: &'a [Trace],
    /// [`weight_gradients`] of the network, summed over the passes.
    pub weights: Weights,
}

/// What an update did to each of a module's weights, by path.
pub type Update = Vec<(String, Moved)>;

/// What led from `before` to `after`, both [`weights`] of the same module.
pub fn update_between(before: Weights, after: Weights) -> Update {
    let moved = |((path, before), (_, after))| Some((path, Moved::between(before, after)?));
    before.into_iter().zip(after).filter_map(moved).collect()
}

/// What belongs to the weights of a layer.
fn of_layer<'a, T>(weights: &'a [(String, T)], layer: &str) -> impl Iterator<Item = &'a T> {
    let layer = format!(".{layer}.");
    weights.iter().filter(move |(path, _)| format!(".{path}.").contains(&layer)).map(|(_, value)| value)
}

/// Figures of every layer, fetched in one read-back.
///
/// `passes` are traces of one or many batches, whose figures are joined: a unit is dead if it is zero in all of them.
pub fn report(passes: &[Trace], backward: Option<&Backward>, update: Option<&Update>) -> Vec<Layer> {
    let Some(first) = passes.first() else {
        return Vec::new();
    };
    let mut figures = Figures::default();

    struct Columns {
        sums: Vec<usize>,
        alive: usize,
        sample: Option<usize>,
        weight_gradient: Option<(usize, usize)>,
        gradient: Option<(usize, usize)>,
        update: Vec<(usize, usize)>,
    }
    let columns: Vec<Columns> = (0..first.layers.len())
        .map(|i| {
            let batches = || passes.iter().filter_map(|pass| pass.layers.get(i));
            let name = &first.layers[i].name;
            let sums = batches().map(|layer| figures.push(layer.sums.clone())).collect();
            let alive = batches().map(|layer| layer.alive.clone()).reduce(|a, b| a + b);
            let alive = figures.push(alive.unwrap_or_else(|| first.layers[i].alive.clone()));
            let sample = batches().find_map(|layer| layer.sample.clone()).map(|sample| figures.push(sample));

            let weight_gradient = backward.and_then(|backward| {
                let tensors: Vec<Tensor<1>> = of_layer(&backward.weights, name).cloned().collect();
                let values = tensors.iter().map(|tensor| tensor.shape().num_elements()).sum();
                Some((figures.push(norm(tensors)?), values))
            });
            let gradient = backward.and_then(|backward| {
                let of_pass = |trace: &Trace| trace.layers.get(i)?.gradient.clone();
                let parts = backward.passes.iter().map(of_pass).collect::<Option<Vec<_>>>()?;
                let values = parts.iter().map(|part| part.shape().num_elements()).sum();
                Some((figures.push(norm(parts)?), values))
            });
            let update = update.into_iter().flat_map(|update| of_layer(update, name));
            let update = update
                .map(|moved| (figures.push(moved.distance.clone()), figures.push(moved.length.clone())))
                .collect();
            Columns { sums, alive, sample, weight_gradient, gradient, update }
        })
        .collect();

    let figures = figures.read();
    let finite = |value: f64| value.is_finite().then_some(value);
    first
        .layers
        .iter()
        .zip(columns)
        .enumerate()
        .map(|(i, (layer, columns))| {
            let values: usize = passes.iter().filter_map(|pass| pass.layers.get(i)).map(|layer| layer.values).sum();
            let total = |k: usize| columns.sums.iter().map(|&column| figures[column][k]).sum::<f64>() / values as f64;
            let std = |mean: f64, square: f64| finite((square - mean * mean).max(0.0).sqrt());
            let alive = &figures[columns.alive];
            let length = |column: usize| figures[column][0] * figures[column][1].sqrt();
            let l2 = |(column, _): (usize, usize)| finite(length(column));
            let rms = |(column, values): (usize, usize)| finite(length(column) / (values as f64).sqrt());
            let saturates =
                passes.iter().any(|pass| pass.watch.as_ref().is_some_and(|watch| watch.probe.flat.is_some()));
            // Logits pass no activation: nothing there is zero, dead or saturated by one.
            let hidden = layer.name != "output";
            Layer {
                layer: layer.name.clone(),
                units: alive.len(),
                weight_grad_rms: columns.weight_gradient.and_then(rms),
                weight_grad_norm: columns.weight_gradient.and_then(l2),
                preactivation_grad_rms: columns.gradient.and_then(rms),
                preactivation_grad_norm: columns.gradient.and_then(l2),
                preactivation_mean: finite(total(0)),
                preactivation_std: std(total(0), total(1)),
                activation_mean: finite(total(2)),
                activation_std: std(total(2), total(3)),
                zero_fraction: hidden.then(|| 1.0 - alive.iter().sum::<f64>() / values as f64),
                dead_fraction: hidden
                    .then(|| alive.iter().filter(|&&alive| alive == 0.0).count() as f64 / alive.len() as f64),
                saturated_fraction: (hidden && saturates).then(|| total(4)),
                update_to_weight_ratio: {
                    let total = |figure: fn(&(usize, usize)) -> usize| {
                        columns.update.iter().map(|both| length(figure(both)).powi(2)).sum::<f64>().sqrt()
                    };
                    // Without weights 0 / 0, which is not finite.
                    finite(total(|both| both.0) / total(|both| both.1))
                },
                histogram: columns.sample.and_then(|column| histogram(&figures[column])),
            }
        })
        .collect()
}

fn histogram(values: &[f64]) -> Option<Histogram> {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    if !(low.is_finite() && high.is_finite()) {
        return None;
    }
    let mut counts = vec![0; HISTOGRAM_BINS];
    let width = (high - low) / HISTOGRAM_BINS as f64;
    for value in values {
        let bin = if width > 0.0 { ((value - low) / width) as usize } else { 0 };
        counts[bin.min(HISTOGRAM_BINS - 1)] += 1;
    }
    Some(Histogram { low, high, counts })
}

/// Tensors that are read back together.
#[derive(Default)]
struct Figures {
    tensors: Vec<Tensor<1>>,
}

impl Figures {
    fn push(&mut self, tensor: Tensor<1>) -> usize {
        self.tensors.push(tensor.without_autodiff());
        self.tensors.len() - 1
    }

    fn read(self) -> Vec<Vec<f64>> {
        let lengths: Vec<usize> = self.tensors.iter().map(|tensor| tensor.shape().num_elements()).collect();
        if lengths.is_empty() {
            return Vec::new();
        }
        let dtype = self.tensors[0].dtype();
        let tensors = self.tensors.into_iter().map(|tensor| tensor.cast(dtype)).collect();
        let mut values = Tensor::cat(tensors, 0).into_data().iter::<f64>().collect::<Vec<_>>().into_iter();
        lengths.into_iter().map(|length| values.by_ref().take(length).collect()).collect()
    }
}
