//! The CPU kernels of the NdArray backend, over its arrays in the order in which they lie in memory.

use burn::backend::{NdArray, TensorMetadata, tensor::FloatTensor};
use burn_ndarray::{NdArrayTensor, SharedArray};

use super::{
    backward::ReluOps,
    gradient::GradientRule,
    host::{Apply, df, f},
};
use crate::host::{Real, ndarray};

impl ReluOps for NdArray {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        match x {
            NdArrayTensor::F32(x) => forward(x.into_shared()).into(),
            NdArrayTensor::F64(x) => forward(x.into_shared()).into(),
            x => unreachable!("a float tensor of burn-ndarray is not of {:?}", x.dtype()),
        }
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        match (kept, grad) {
            (NdArrayTensor::F32(kept), NdArrayTensor::F32(grad)) => {
                df(rule, Pair { kept: kept.into_shared(), grad: grad.into_shared() }).into()
            }
            (NdArrayTensor::F64(kept), NdArrayTensor::F64(grad)) => {
                df(rule, Pair { kept: kept.into_shared(), grad: grad.into_shared() }).into()
            }
            (kept, grad) => unreachable!("a gradient of {:?} for a tensor of {:?}", grad.dtype(), kept.dtype()),
        }
    }
}

fn forward<F: Real>(x: SharedArray<F>) -> SharedArray<F> {
    ndarray::map(x, |x| x.iter_mut().for_each(|x| *x = f(*x)))
}

struct Pair<F> {
    kept: SharedArray<F>,
    grad: SharedArray<F>,
}

impl<F: Real> Apply<F> for Pair<F> {
    type Output = SharedArray<F>;

    fn apply(self, df: impl Fn(F, F) -> F + Sync) -> SharedArray<F> {
        ndarray::zip(self.kept, self.grad, |kept, grad| {
            kept.iter().zip(grad).for_each(|(x, g)| *g = df(*x, *g));
        })
    }
}
