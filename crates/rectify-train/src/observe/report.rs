//! From traces and parameters to a record of each layer.

use std::ops::Range;

use super::{
    Parameters, Trace, Update, WeightGradients,
    parameters::belongs,
    rank::effective_rank,
    reduce::{Norm, Numbers, Sums, finite, read},
    trace::Observed,
};
use crate::record::{Histogram, Layer, Role};

const HISTOGRAM_BINS: usize = 48;

/// What a backward pass left behind.
pub struct Backward<'a> {
    /// The traces of the passes that were differentiated, with their gradients.
    pub passes: &'a [Trace],
    /// [`weight_gradients`](super::weight_gradients) of the network, from the gradients' sum over the passes.
    pub weights: WeightGradients,
    /// The same of single batches, each with the share of all samples that its gradients are scaled by.
    pub batches: &'a [(f64, WeightGradients)],
}

/// Whether each unit of each hidden layer was zero on every sample that the passes saw: by layer, by unit.
pub fn dead_units(passes: &[Trace]) -> Vec<Vec<bool>> {
    let layers = passes.first().map_or(&[][..], |pass| &pass.layers);
    let mut unread = Unread::default();
    let hidden = layers.iter().enumerate().filter(|(_, layer)| layer.role == Role::Hidden);
    let columns: Vec<_> = hidden.map(|(i, _)| unread.push_all(passes, i, |layer| &layer.moments.nonzero)).collect();
    let numbers = read(unread.0);
    let dead = |columns| total(&numbers[columns]).into_iter().map(|nonzero| nonzero == 0.0).collect();
    columns.into_iter().map(dead).collect()
}

/// Every layer's metrics, fetched in one read-back.
///
/// `passes` are traces of one or many batches, whose metrics are joined: a unit is dead if it is zero in all of them.
/// What is not given leaves its metrics out: sizes of weights and fans without `parameters`, gradients without
/// `backward`, the ratio of update to weight without `update`.
pub fn report(
    passes: &[Trace],
    parameters: Option<&Parameters>,
    backward: Option<&Backward>,
    update: Option<&Update>,
) -> Vec<Layer> {
    let Some(first) = passes.first() else {
        return Vec::new();
    };
    let mut unread = Unread::default();
    let columns: Vec<Columns> = (0..first.layers.len())
        .map(|i| Columns::of_layer(i, &mut unread, passes, parameters, backward, update))
        .collect();
    let numbers = read(unread.0);
    let layers = first.layers.iter().zip(columns).enumerate();
    layers.map(|(i, (layer, columns))| columns.layer(layer, all_values(passes, i), &numbers)).collect()
}

fn all_values(passes: &[Trace], layer: usize) -> usize {
    passes.iter().filter_map(|pass| pass.layers.get(layer)).map(|layer| layer.values).sum()
}

/// Where a layer's numbers are among all that are read.
struct Columns {
    moments: Range<usize>,
    nonzero: Range<usize>,
    sizes: Range<usize>,
    /// Of pre-activations, activations and gradients.
    samples: [Option<usize>; 3],
    gradient: Norms,
    weight_gradients: Norms,
    /// By batch, with its share.
    batches: Vec<(f64, Norms)>,
    distance: Norms,
    length: Norms,
    weights: Norms,
    biases: Norms,
    /// Fan-in and fan-out.
    fans: Option<[usize; 2]>,
    /// Of its first weight.
    units: usize,
}

impl Columns {
    fn of_layer(
        i: usize,
        unread: &mut Unread,
        passes: &[Trace],
        parameters: Option<&Parameters>,
        backward: Option<&Backward>,
        update: Option<&Update>,
    ) -> Self {
        let name = &passes[0].layers[i].name;
        let of_layer = |(path, _): &&(String, _)| belongs(path, name);
        let weights: Vec<_> =
            parameters.into_iter().flatten().filter(of_layer).filter(|(_, weight)| weight.shape.len() > 1).collect();
        let is_bias = |path: &str, rank: usize| rank == 1 && path.rsplit('.').next() == Some("bias");
        let biases = parameters.into_iter().flatten();
        let biases = biases.filter(of_layer).filter(|(path, bias)| is_bias(path, bias.shape.len()));

        let forward = || passes.iter().filter_map(|pass| pass.layers.get(i));
        let differentiated =
            || backward.iter().flat_map(|backward| backward.passes).filter_map(|pass| pass.layers.get(i));
        let samples = [
            forward().find_map(|layer| layer.samples[0].clone()),
            forward().find_map(|layer| layer.samples[1].clone()),
            differentiated().find_map(|layer| layer.samples[2].clone()),
        ];
        let samples = samples.map(|sample| sample.map(|sample| unread.push(sample)));
        let of_layer = |(path, _): &&(String, Norm)| belongs(path, name);
        let weight_gradients = backward.iter().flat_map(|backward| &backward.weights).filter(of_layer);
        let batches = backward.iter().flat_map(|backward| backward.batches);
        let batches = batches
            .map(|(share, weights)| (*share, unread.push_norms(weights.iter().filter(of_layer).map(|(_, norm)| norm))))
            .collect();
        let update = || update.into_iter().flatten().filter(|(path, _)| belongs(path, name));
        Self {
            moments: unread.push_all(passes, i, |layer| &layer.moments.sums),
            nonzero: unread.push_all(passes, i, |layer| &layer.moments.nonzero),
            sizes: unread.push_all(passes, i, |layer| &layer.moments.sizes),
            samples,
            gradient: unread.push_norms(differentiated().filter_map(|layer| layer.gradient.as_ref())),
            weight_gradients: unread.push_norms(weight_gradients.map(|(_, norm)| norm)),
            batches,
            distance: unread.push_norms(update().map(|(_, moved)| &moved.distance)),
            length: unread.push_norms(update().map(|(_, moved)| &moved.length)),
            fans: match weights.as_slice() {
                [(_, weight)] => fans(&weight.shape),
                // Of several matrices, none is the layer's.
                _ => None,
            },
            units: weights.first().map_or(0, |(_, weight)| match weight.shape[..] {
                [_, units] => units,
                _ => weight.shape[0],
            }),
            weights: unread.push_norms(weights.iter().map(|(_, weight)| &weight.norm)),
            biases: unread.push_norms(biases.map(|(_, bias)| &bias.norm)),
        }
    }

    fn layer(self, layer: &Observed, values: usize, numbers: &[Vec<f64>]) -> Layer {
        let sums = |begin: usize| {
            let all = numbers[self.moments.clone()].iter().map(|numbers| Sums::from_slice(&numbers[begin..]));
            all.reduce(Sums::join).unwrap_or(Sums::ZERO)
        };
        let (z, a) = (sums(0), sums(Sums::NUMBERS));
        let flat: f64 = numbers[self.moments.clone()].iter().map(|numbers| numbers[2 * Sums::NUMBERS]).sum();
        let nonzero = total(&numbers[self.nonzero.clone()]);
        let units = if nonzero.is_empty() { self.units } else { nonzero.len() };

        // Outputs pass no activation: nothing there is zero, dead or saturated by one.
        let hidden = layer.role == Role::Hidden;
        let probe = layer.probe.as_ref().filter(|_| hidden);
        let zeros =
            hidden && !nonzero.is_empty() && a.nonfinite == 0.0 && probe.is_none_or(|probe| probe.counts_zeros());
        let saturates = z.nonfinite == 0.0 && probe.is_some_and(|probe| probe.flat.is_some());
        let fraction = |count: f64, of: usize| finite(count / of as f64);
        let dormant = hidden.then(|| dormant(&total(&numbers[self.sizes.clone()]))).flatten();
        let dead = nonzero.iter().filter(|&&nonzero| nonzero == 0.0).count() as f64;
        let sample = |which: usize| histogram(&numbers[self.samples[which]?]);
        let [weights, biases, weight_gradients, gradient, distance, length] =
            [&self.weights, &self.biases, &self.weight_gradients, &self.gradient, &self.distance, &self.length]
                .map(|norms| norms.sums(numbers));
        let nonfinite = |sums: Option<Sums>| sums.map_or(0, |sums| sums.nonfinite as u64);
        Layer {
            layer: layer.name.clone(),
            role: Some(layer.role),
            activation: probe.and_then(|probe| probe.activation.as_ref()).map(ToString::to_string),
            fan_in: self.fans.map(|[fan_in, _]| fan_in),
            fan_out: self.fans.map(|[_, fan_out]| fan_out),
            units,
            weight_rms: weights.and_then(|sums| sums.rms(self.weights.values)),
            bias_rms: biases.and_then(|sums| sums.rms(self.biases.values)),
            weight_grad_rms: weight_gradients.and_then(|sums| sums.rms(self.weight_gradients.values)),
            weight_grad_norm: weight_gradients.and_then(Sums::norm),
            batch_weight_grad_rms: self.batch_rms(numbers),
            preactivation_grad_rms: gradient.and_then(|sums| sums.rms(self.gradient.values)),
            preactivation_grad_norm: gradient.and_then(Sums::norm),
            preactivation_mean: z.mean(values),
            preactivation_std: z.std(values),
            activation_mean: a.mean(values),
            activation_std: a.std(values),
            zero_fraction: if zeros { finite(1.0 - nonzero.iter().sum::<f64>() / values as f64) } else { None },
            dead_fraction: if zeros { fraction(dead, units) } else { None },
            dormant_fraction: dormant,
            unit_nonzero_fraction: match zeros {
                true => nonzero.iter().map(|nonzero| (nonzero * units as f64 / values as f64) as f32).collect(),
                false => Vec::new(),
            },
            saturated_fraction: if saturates { fraction(flat, values) } else { None },
            update_to_weight_ratio: distance
                .and_then(Sums::norm)
                .zip(length.and_then(Sums::norm))
                .and_then(|(distance, length)| finite(distance / length)),
            nonfinite_weights: nonfinite(weights) + nonfinite(biases),
            nonfinite_gradients: nonfinite(weight_gradients),
            nonfinite_activations: a.nonfinite as u64,
            effective_rank: self.samples[1]
                .filter(|_| layer.plane == 1)
                .and_then(|place| effective_rank(&numbers[place], units)),
            histogram: sample(1),
            preactivation_histogram: sample(0),
            preactivation_grad_histogram: sample(2),
        }
    }
}

impl Columns {
    /// The mean over batches of the RMS of a batch's gradient; `None` without batches, or where one is not finite.
    fn batch_rms(&self, numbers: &[Vec<f64>]) -> Option<f64> {
        let rms = |(share, norms): &(f64, Norms)| Some(norms.sums(numbers)?.rms(norms.values)? / share);
        let sum = self.batches.iter().map(rms).sum::<Option<f64>>()?;
        finite(sum / self.batches.len() as f64)
    }
}

/// A unit is dormant whose activations are on average no larger than this part of the layer's.
const DORMANT: f64 = 0.025;

/// The fraction of units that are dormant (Sokar et al. 2023, *The dormant neuron phenomenon in deep reinforcement learning*,
/// definition 3.1), from each unit's Σ|a|. `None` where a layer is not finite, or 0 throughout, so that nothing stands out.
fn dormant(sizes: &[f64]) -> Option<f64> {
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let dormant = sizes.iter().filter(|size| **size <= DORMANT * mean).count();
    (mean.is_finite() && mean > 0.0).then(|| dormant as f64 / sizes.len() as f64)
}

/// Fan-in and fan-out of a weight `[in, out]` or, with a kernel, `[out, in, …]`.
fn fans(shape: &[usize]) -> Option<[usize; 2]> {
    match shape {
        [] | [_] => None,
        &[fan_in, fan_out] => Some([fan_in, fan_out]),
        [out, in_, kernel @ ..] => {
            let kernel: usize = kernel.iter().product();
            Some([in_ * kernel, out * kernel])
        }
    }
}

/// `None` without values, or where one is not finite.
fn histogram(values: &[f64]) -> Option<Histogram> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let mut counts = vec![0; HISTOGRAM_BINS];
    // Halves, as the difference of two large numbers would overflow.
    let bins = HISTOGRAM_BINS as f64 / (0.5 * high - 0.5 * low);
    for value in values {
        // Where all values are equal it is NaN, and as an integer 0.
        let bin = ((0.5 * value - 0.5 * low) * bins) as usize;
        counts[bin.min(HISTOGRAM_BINS - 1)] += 1;
    }
    Some(Histogram { low, high, counts })
}

/// Numbers that are read back together.
#[derive(Default)]
struct Unread(Vec<Numbers>);

impl Unread {
    fn push(&mut self, numbers: Numbers) -> usize {
        self.0.push(numbers);
        self.0.len() - 1
    }

    fn push_norms<'a>(&mut self, norms: impl Iterator<Item = &'a Norm>) -> Norms {
        let (begin, mut values) = (self.0.len(), 0);
        for norm in norms {
            self.0.push(norm.sums.clone());
            values += norm.values;
        }
        Norms { columns: begin..self.0.len(), values }
    }

    /// A layer's numbers from each pass that has the layer.
    fn push_all(&mut self, passes: &[Trace], layer: usize, numbers: fn(&Observed) -> &Numbers) -> Range<usize> {
        let begin = self.0.len();
        self.0.extend(passes.iter().filter_map(|pass| pass.layers.get(layer)).map(numbers).cloned());
        begin..self.0.len()
    }
}

/// Columns of the norms of tensors that count as one, and how many values these have.
struct Norms {
    columns: Range<usize>,
    values: usize,
}

impl Norms {
    /// Over all of the tensors. `None` without tensors.
    fn sums(&self, numbers: &[Vec<f64>]) -> Option<Sums> {
        numbers[self.columns.clone()].iter().map(|numbers| Sums::from_slice(numbers)).reduce(Sums::join)
    }
}

/// All rows added up, place by place.
fn total(rows: &[Vec<f64>]) -> Vec<f64> {
    let add = |sum: Vec<f64>, more: &Vec<f64>| sum.iter().zip(more).map(|(a, b)| a + b).collect();
    match rows {
        [] => Vec::new(),
        [first, others @ ..] => others.iter().fold(first.clone(), add),
    }
}

#[cfg(test)]
mod tests {
    use super::{dormant, fans, histogram};

    #[test]
    fn dormant_units_are_small_beside_the_layer() {
        // The mean is 0.505: 0.0126 is the limit.
        assert_eq!(dormant(&[1.0, 1.0, 0.02, 0.0]), Some(0.25));
        assert_eq!(dormant(&[10.0, 1.0, 1.0, 1.0, 0.0]), Some(0.2));
        // Of 50.5.
        assert_eq!(dormant(&[100.0, 1.0]), Some(0.5));
        for nothing in [&[0.0, 0.0][..], &[f64::NAN, 1.0], &[]] {
            assert_eq!(dormant(nothing), None);
        }
    }

    #[test]
    fn fans_are_of_a_matrix_or_of_kernels() {
        assert_eq!(fans(&[784, 128]), Some([784, 128]));
        assert_eq!(fans(&[16, 6, 5, 5]), Some([6 * 25, 16 * 25]));
        assert_eq!(fans(&[128]), None);
    }

    #[test]
    fn histograms_are_of_finite_values_however_large() {
        let found = histogram(&[-1e308, 0.0, 1e308, 1e308]).unwrap();
        assert_eq!((found.low, found.high), (-1e308, 1e308));
        assert_eq!((found.counts[0], found.counts[24], found.counts[47]), (1, 1, 2));
        assert_eq!(histogram(&[2.0; 3]).unwrap().counts[0], 3);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(histogram(&[0.0, bad, 1.0]), None, "{bad}");
        }
        assert_eq!(histogram(&[]), None);
    }
}
