//! What happens inside of a network: gradients and activations, layer by layer.
//!
//! A [`Trace`] is handed through a network's forward pass ([`Network::forward`](crate::network::Network::forward)). Off,
//! it does nothing. On, every layer's pre-activations and activations are reduced on the device they are on, and
//! [`report`] fetches all figures in one read-back. Weights and their gradients are read from the parameters of any
//! Burn module.

mod reduce;

use std::ops::Range;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Device, Gradients, Tensor, TensorData},
};
use rectify::{FusedConv2d, FusedLinear};

pub(crate) use self::reduce::host;
use self::reduce::{Figure, moments, read};
pub use self::reduce::{Moved, Norm};
use crate::{
    activation::Activation,
    record::{Histogram, Layer},
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

/// One layer's figures for one batch.
#[derive(Debug)]
struct Observed {
    name: String,
    values: usize,
    /// Σz, Σz², Σa, Σa², and how many z are where φ is flat.
    sums: Figure,
    /// For each unit the number of activations that are not zero.
    alive: Figure,
    /// A zero that was added to the pre-activations: its gradient is theirs.
    leaf: Option<Tensor<2>>,
    /// Of the gradient of the pre-activations.
    gradient: Option<Norm>,
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
            layer.gradient = gradient.map(|gradient| Norm::of(gradient.reshape([layer.values])));
        }
    }

    /// Takes a layer's pre-activations' gradient from a backward pass that is written by hand.
    pub fn set_gradient<const D: usize>(&mut self, name: &str, gradient: Tensor<D>) {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.name == name) {
            layer.gradient = Some(Norm::of(gradient.reshape([layer.values])));
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
        let [sums, alive] = moments(z, a.clone(), flat);
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
    let columns: Vec<_> = (0..layers).map(|i| figures.push_all(passes, i, |layer| &layer.alive)).collect();
    let figures = read(figures.0);
    columns.into_iter().map(|columns| sum(&figures[columns]).into_iter().map(|alive| alive == 0.0).collect()).collect()
}

/// The weights of a module (parameters of rank 2 and more), flattened, with their paths.
pub type Weights = Vec<(String, Tensor<1>)>;

/// Reads a module's weights; the tensors are handles, not copies.
pub fn weights<M: Module>(module: &M) -> Weights {
    collect(module, None)
}

/// Norms of the gradients of a module's weights, with the weights' paths.
pub type WeightGradients = Vec<(String, Norm)>;

/// Measures the gradients of a module's weights.
pub fn weight_gradients<M: Module>(module: &M, gradients: &GradientsParams) -> WeightGradients {
    collect(module, Some(gradients)).into_iter().map(|(path, gradient)| (path, Norm::of(gradient))).collect()
}

fn collect<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Weights {
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
    /// [`weight_gradients`] of the network, from the gradients' sum over the passes.
    pub weights: WeightGradients,
    /// The same of single batches, each with the share of all samples that it has and its gradients are scaled by.
    pub batches: &'a [(f64, WeightGradients)],
}

/// What an update did to each of a module's weights, by path.
pub type Update = Vec<(String, Moved)>;

/// What led from `before` to `after`, both [`weights`] of the same module.
pub fn update_between(before: Weights, after: Weights) -> Update {
    let moved = |((path, before), (_, after))| (path, Moved::between(before, after));
    before.into_iter().zip(after).map(moved).collect()
}

/// What belongs to the weights of a layer.
fn of_layer<'a, T>(weights: &'a [(String, T)], layer: &str) -> impl Iterator<Item = &'a T> {
    let begins =
        move |path: &str| path.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    weights
        .iter()
        .filter(move |(path, _)| {
            let mut inner = std::iter::successors(Some(path.as_str()), |path| Some(path.split_once('.')?.1));
            inner.any(begins)
        })
        .map(|(_, value)| value)
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
        sums: Range<usize>,
        alive: Range<usize>,
        sample: Option<usize>,
        weight_gradient: Lengths,
        /// By batch, with its share.
        batches: Vec<(f64, Lengths)>,
        gradient: Lengths,
        distance: Lengths,
        length: Lengths,
    }
    let columns: Vec<Columns> = (0..first.layers.len())
        .map(|i| {
            let name = &first.layers[i].name;
            let sums = figures.push_all(passes, i, |layer| &layer.sums);
            let alive = figures.push_all(passes, i, |layer| &layer.alive);
            let sample = passes.iter().find_map(|pass| pass.layers.get(i)?.sample.clone());
            let sample = sample.map(|sample| figures.push(Figure::on_device(sample)));

            let weights = backward.iter().flat_map(|backward| of_layer(&backward.weights, name));
            let weight_gradient = figures.push_norms(weights);
            let batches = backward.iter().flat_map(|backward| backward.batches);
            let batches =
                batches.map(|(share, weights)| (*share, figures.push_norms(of_layer(weights, name)))).collect();
            let passes = backward.iter().flat_map(|backward| backward.passes);
            let gradient = figures.push_norms(passes.filter_map(|pass| pass.layers.get(i)?.gradient.as_ref()));
            let update = || update.into_iter().flat_map(|update| of_layer(update, name));
            let distance = figures.push_norms(update().map(|moved| &moved.distance));
            let length = figures.push_norms(update().map(|moved| &moved.length));
            Columns { sums, alive, sample, weight_gradient, batches, gradient, distance, length }
        })
        .collect();

    let figures = read(figures.0);
    let finite = |value: f64| value.is_finite().then_some(value);
    first
        .layers
        .iter()
        .zip(columns)
        .enumerate()
        .map(|(i, (layer, columns))| {
            let values: usize = passes.iter().filter_map(|pass| pass.layers.get(i)).map(|layer| layer.values).sum();
            let sums = sum(&figures[columns.sums]);
            let total = |k: usize| sums[k] / values as f64;
            let std = |mean: f64, square: f64| finite((square - mean * mean).max(0.0).sqrt());
            let alive = sum(&figures[columns.alive]);
            // Without values 0 / 0, which is not finite.
            let l2 = |of: &Lengths| of.length(&figures).and_then(finite);
            let rms = |of: &Lengths| finite(of.length(&figures)? / (of.values as f64).sqrt());
            let saturates =
                passes.iter().any(|pass| pass.watch.as_ref().is_some_and(|watch| watch.probe.flat.is_some()));
            // Logits pass no activation: nothing there is zero, dead or saturated by one.
            let hidden = layer.name != "output";
            Layer {
                layer: layer.name.clone(),
                units: alive.len(),
                weight_grad_rms: rms(&columns.weight_gradient),
                weight_grad_norm: l2(&columns.weight_gradient),
                batch_weight_grad_rms: match columns.batches.as_slice() {
                    [] => None,
                    batches => batches
                        .iter()
                        .map(|(share, lengths)| Some(rms(lengths)? / share))
                        .sum::<Option<f64>>()
                        .map(|sum| sum / batches.len() as f64),
                },
                preactivation_grad_rms: rms(&columns.gradient),
                preactivation_grad_norm: l2(&columns.gradient),
                preactivation_mean: finite(total(0)),
                preactivation_std: std(total(0), total(1)),
                activation_mean: finite(total(2)),
                activation_std: std(total(2), total(3)),
                zero_fraction: hidden.then(|| 1.0 - alive.iter().sum::<f64>() / values as f64),
                dead_fraction: hidden
                    .then(|| alive.iter().filter(|&&alive| alive == 0.0).count() as f64 / alive.len() as f64),
                saturated_fraction: (hidden && saturates).then(|| total(4)),
                update_to_weight_ratio: l2(&columns.distance).zip(l2(&columns.length)).and_then(|(d, w)| finite(d / w)),
                histogram: columns.sample.and_then(|column| histogram(&figures[column])),
                ..Layer::default()
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

/// Figures that are read back together.
#[derive(Default)]
struct Figures(Vec<Figure>);

impl Figures {
    fn push(&mut self, figure: Figure) -> usize {
        self.0.push(figure);
        self.0.len() - 1
    }

    fn push_norms<'a>(&mut self, norms: impl Iterator<Item = &'a Norm>) -> Lengths {
        let (begin, mut values) = (self.0.len(), 0);
        for norm in norms {
            self.0.push(norm.figure.clone());
            values += norm.values;
        }
        Lengths { columns: begin..self.0.len(), values }
    }

    /// A layer's figure from each pass that has the layer.
    fn push_all(&mut self, passes: &[Trace], layer: usize, figure: fn(&Observed) -> &Figure) -> Range<usize> {
        let begin = self.0.len();
        self.0.extend(passes.iter().filter_map(|pass| pass.layers.get(layer)).map(figure).cloned());
        begin..self.0.len()
    }
}

/// Columns of the norms of tensors that count as one, and how many values these have.
struct Lengths {
    columns: Range<usize>,
    values: usize,
}

impl Lengths {
    /// The L2 norm of all of them together. `None` without tensors.
    fn length(&self, figures: &[Vec<f64>]) -> Option<f64> {
        let norms = &figures[self.columns.clone()];
        let length = |norm: &Vec<f64>| norm[0] * norm[1].sqrt();
        (!norms.is_empty()).then(|| norms.iter().map(|norm| length(norm).powi(2)).sum::<f64>().sqrt())
    }
}

/// The numbers of all figures added up, place by place.
fn sum(figures: &[Vec<f64>]) -> Vec<f64> {
    let add = |sum: Vec<f64>, more: &Vec<f64>| sum.iter().zip(more).map(|(a, b)| a + b).collect();
    match figures {
        [] => Vec::new(),
        [first, others @ ..] => others.iter().fold(first.clone(), add),
    }
}
