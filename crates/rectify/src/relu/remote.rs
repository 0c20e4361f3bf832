//! ReLU on a device elsewhere, by Burn's own operations, which the server has without knowing of this crate.

use burn::backend::{
    Backend, BoolDType, Remote, TensorMetadata, get_or_init_device_settings,
    tensor::{BoolTensor, FloatTensor},
};

use super::{backward::ReluOps, gradient::GradientRule};
use crate::formula::operations::multiply;

impl ReluOps for Remote {
    fn rectify_relu(x: FloatTensor<Self>, _rule: GradientRule) -> FloatTensor<Self> {
        f::<Self>(x)
    }

    fn rectify_relu_backward(
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rule: GradientRule,
    ) -> FloatTensor<Self> {
        df::<Self>(kept, grad, rule)
    }
}

/// max(0, x), NaN for NaN, 0.0 for −0.0.
fn f<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let off = B::float_lower_equal_elem(x.clone(), 0.0.into(), mask_type::<B>(&x));
    B::float_mask_fill(x, off, 0.0.into())
}

fn df<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>, rule: GradientRule) -> FloatTensor<B> {
    let mask = mask_type::<B>(&x);
    let off = |x: &FloatTensor<B>| B::float_lower_equal_elem(x.clone(), 0.0.into(), mask);
    let times = |grad: &FloatTensor<B>, factor: f64| B::float_mul_scalar(grad.clone(), factor.into());
    match rule {
        GradientRule::Deconv => f::<B>(grad),
        GradientRule::Guided => select::<B>(x.clone(), f::<B>(grad), off(&x), None),
        GradientRule::Heaviside { at_zero: 0.0 } => select::<B>(x.clone(), grad, off(&x), None),
        GradientRule::Heaviside { at_zero } => {
            let at_kink = B::float_equal_elem(x.clone(), 0.0.into(), mask);
            let elsewhere = B::float_mask_fill(times(&grad, at_zero), B::bool_not(at_kink), 0.0.into());
            select::<B>(x.clone(), grad, off(&x), Some(elsewhere))
        }
        GradientRule::Leaky { slope } => {
            let leaked = times(&grad, slope);
            select::<B>(x.clone(), grad, off(&x), Some(leaked))
        }
        GradientRule::Surrogate(surrogate) => multiply::<B>(&surrogate.program::<false>(), None, x, grad),
    }
}

/// `on` for x > 0, `elsewhere` or 0 where it is `off`, NaN for NaN.
fn select<B: Backend>(
    x: FloatTensor<B>,
    on: FloatTensor<B>,
    off: BoolTensor<B>,
    elsewhere: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let nan = B::bool_not(B::float_equal(x.clone(), x.clone(), mask_type::<B>(&x)));
    let selected = match elsewhere {
        Some(elsewhere) => B::float_mask_where(on, off, elsewhere),
        None => B::float_mask_fill(on, off, 0.0.into()),
    };
    B::float_mask_fill(selected, nan, f64::NAN.into())
}

fn mask_type<B: Backend>(x: &FloatTensor<B>) -> BoolDType {
    get_or_init_device_settings::<B>(&x.device()).bool_dtype
}
