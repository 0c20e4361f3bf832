//! Numbers that are the same in every run of a test.

use std::cell::RefCell;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

thread_local! {
    // Tests run on a thread each, so none shifts another's numbers.
    static RNG: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
}

/// The next numbers of N(0, `std`²), in f32.
pub fn normal<const D: usize>(shape: [usize; D], std: f64, device: &Device) -> Tensor<D> {
    let data = RNG.with_borrow_mut(|rng| TensorData::random::<f32, _, _>(shape, Distribution::Normal(0.0, std), rng));
    Tensor::from_data(data, device)
}
