//! Burn's own activations, by the names of this crate's.

use burn::tensor::{Tensor, activation};

pub const BURNS: [(&str, fn(Tensor<1>) -> Tensor<1>); 12] = [
    ("relu", activation::relu),
    ("leaky_relu", |x| activation::leaky_relu(x, 0.01)),
    ("elu", |x| activation::elu(x, 1.0)),
    ("gelu", activation::gelu),
    ("gelu_tanh", activation::gelu_approximate),
    ("silu", activation::silu),
    ("mish", activation::mish),
    ("softplus", |x| activation::softplus(x, 1.0)),
    ("sigmoid", activation::sigmoid),
    ("log_sigmoid", activation::log_sigmoid),
    ("tanh", activation::tanh),
    ("hard_swish", activation::hard_swish),
];
