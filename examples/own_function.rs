//! An activation of one's own, checked against differences before anything is trained with it.
//!
//!     cargo run --release --example own_function

use std::error::Error;

use burn::tensor::{Device, Tensor, activation::softplus};
use rectify::{
    Formula, GradientRule, ReluConfig,
    gradcheck::{GradCheck, GradCheckReport, gradcheck},
};

/// x · erf(ln(1 + eˣ)), built from Burn's operations: Nag and Bhattacharyya 2021, *Serf: towards better training of deep
/// neural networks using log-softplus error activation function*.
fn serf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * softplus(x, 1.0).erf()
}

/// Points off 0, where rules of ReLU have a convention and not a derivative.
fn points() -> Tensor<1> {
    Tensor::from_floats([-3.0, -1.5, -0.25, 0.25, 0.5, 1.0, 2.5], &Device::flex())
}

/// The function as operations, the same as a formula, and a rule that is no derivative of what flows forward.
fn check() -> Result<[GradCheckReport; 3], Box<dyn Error>> {
    let formula = Formula::new("serf = x*erf(softplus(x))")?;
    let leaky = ReluConfig::new().with_rule(GradientRule::Leaky { slope: 0.1 }).init()?;
    Ok([
        gradcheck(serf, points(), &GradCheck::default())?,
        gradcheck(|x| formula.forward(x), points(), &GradCheck::default())?,
        gradcheck(|x| leaky.forward(x), points(), &GradCheck::default())?,
    ])
}

pub fn main() -> Result<(), Box<dyn Error>> {
    let [operations, formula, leaky] = check()?;
    println!("serf from operations:\n{operations}\nserf as a formula:\n{formula}\nReLU with a leak backward:\n{leaky}");
    Ok(())
}

#[test]
fn what_is_a_derivative_passes_and_what_is_none_does_not() {
    let [operations, formula, leaky] = check().unwrap();
    assert!(operations.passed() && formula.passed(), "{operations}\n{formula}");
    assert!(!leaky.passed(), "below 0 the slope is 0, and 0.1 flows back: {leaky}");
}
