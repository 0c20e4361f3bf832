//! All functions, and some with other parameters than they have by themselves.

use rectify::{Activation, Celu, Elu, HardTanh, LeakyRelu, Softplus, Swish};

pub fn activations() -> Vec<Activation> {
    let others: [Activation; 7] = [
        Elu { alpha: 0.75 }.into(),
        Celu { alpha: 1.5 }.into(),
        Softplus { beta: 2.5 }.into(),
        Swish { beta: 1.75 }.into(),
        HardTanh { min_value: -2.0, max_value: 0.5 }.into(),
        // No half type holds these bounds.
        HardTanh { min_value: -0.1, max_value: 0.3 }.into(),
        LeakyRelu { negative_slope: -0.5 }.into(),
    ];
    Activation::all().into_iter().chain(others).collect()
}
