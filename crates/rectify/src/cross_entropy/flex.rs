//! The CPU kernels on Flex, in f32: the loss and, below it, its gradient. Other types take the defaults.

use burn::{
    backend::{
        Flex, TensorMetadata,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::DType,
};
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::backward::{CrossEntropyOps, default};
use crate::host::{arch, dense, tensor};

impl CrossEntropyOps for Flex {
    fn rectify_cross_entropy(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        let Some(classes) = classes(&logits, &labels) else {
            return default::cross_entropy::<Self>(logits, labels);
        };
        let logits = dense(logits);
        let loss = arch().dispatch(Loss { logits: logits.storage(), labels: &classes });
        tensor(vec![loss], [1])
    }

    fn rectify_cross_entropy_backward(
        logits: FloatTensor<Self>,
        labels: IntTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let Some(classes) = classes(&logits, &labels) else {
            return default::cross_entropy_backward::<Self>(logits, labels, grad);
        };
        let shape = logits.shape().dims::<2>();
        let (logits, grad) = (dense(logits), dense(grad));
        let mut gradient = logits.storage::<f32>().to_vec();
        let scale = f64::from(grad.storage::<f32>()[0]) / shape[0] as f64;
        arch().dispatch(LossGradient { logits: &mut gradient, labels: &classes, scale });
        tensor(gradient, shape)
    }
}

/// Each sample's class. `None` where the kernels do not apply: another type, an empty batch, a label that is no class.
fn classes(logits: &FlexTensor, labels: &FlexTensor) -> Option<Vec<usize>> {
    let [batch, classes] = logits.shape().dims();
    let labels: Vec<usize> = match labels.dtype() {
        DType::I64 => dense(labels.clone()).storage::<i64>().iter().map(|&label| label as usize).collect(),
        DType::I32 => dense(labels.clone()).storage::<i32>().iter().map(|&label| label as usize).collect(),
        _ => return None,
    };
    let fit = batch > 0 && labels.len() == batch && labels.iter().all(|&label| label < classes);
    (fit && logits.dtype() == DType::F32).then_some(labels)
}

/// exp(z − max z), which does not run over, for a row of logits; the sum of these, and max z.
///
/// In f64: the gradient of a sample that is classified well is a small difference of numbers near 1.
#[inline(always)]
fn exponentials(z: &[f32], row: &mut [f64]) -> (f64, f64) {
    let largest = f64::from(z.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    row.iter_mut().zip(z).for_each(|(e, z)| *e = exp(f64::from(*z) - largest));
    (row.iter().sum(), largest)
}

/// eˣ for x ≤ 0, to 3e-10 of it, without a branch, so that loops over it vectorise: 2ⁿ times Taylor's polynomial of the
/// rest, which is ½ ln 2 at most. Never under 1e-304.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // Adding it leaves n, rounded, in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // NaN stays NaN.
    let x = x.clamp(-700.0, 0.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let rest = x - n * std::f64::consts::LN_2;
    let mut p = 1.0 / 40320.0;
    for factorial in [5040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        p = p * rest + 1.0 / factorial;
    }
    p * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

// Functors and not closures, which the compiler need not inline into the code for the processor's vectors.
struct Loss<'a> {
    logits: &'a [f32],
    labels: &'a [usize],
}

impl NullaryFnOnce for Loss<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        let mut row = vec![0.0; self.logits.len() / self.labels.len()];
        let mut sum = 0.0;
        for (z, &label) in self.logits.chunks_exact(row.len()).zip(self.labels) {
            let (all, largest) = exponentials(z, &mut row);
            sum += all.ln() - (f64::from(z[label]) - largest);
        }
        (sum / self.labels.len() as f64) as f32
    }
}

/// scale · (softmax(z) − onehot(label)) in place of z.
struct LossGradient<'a> {
    logits: &'a mut [f32],
    labels: &'a [usize],
    scale: f64,
}

impl NullaryFnOnce for LossGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { logits, labels, scale } = self;
        let mut row = vec![0.0; logits.len() / labels.len()];
        for (z, &label) in logits.chunks_exact_mut(row.len()).zip(labels) {
            let (all, _) = exponentials(z, &mut row);
            row.iter_mut().for_each(|p| *p *= scale / all);
            row[label] -= scale;
            z.iter_mut().zip(&row).for_each(|(z, p)| *z = *p as f32);
        }
    }
}
