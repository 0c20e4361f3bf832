//! One suite for all backends: each test runs on every backend that is compiled in and has something to run on.
//!
//! The reference is a few lines of plain Rust below, in f64. Where there is no GPU, not even a software one, the GPU's
//! tests say so and pass; with the environment variable `CI` set that is a failure.
#![allow(deprecated)] // Device::ndarray

#[path = "../parameters/mod.rs"]
mod parameters;
#[path = "../seeded/mod.rs"]
mod seeded;

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use rectify::{
    GradientRule, Relu, ReluConfig, Surrogate,
    gradcheck::{GradCheck, gradcheck, gradcheck_against},
};

/// Runs each test, a function of a device, on every backend.
macro_rules! on_every_backend {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            #[cfg(feature = "flex")]
            fn flex() {
                super::$test(&burn::tensor::Device::flex());
            }

            #[test]
            #[cfg(feature = "ndarray")]
            fn ndarray() {
                super::$test(&burn::tensor::Device::ndarray());
            }

            #[test]
            #[cfg(feature = "wgpu")]
            fn wgpu() {
                if let Some(device) = crate::gpu::wgpu() {
                    super::$test(&device);
                }
            }

            #[test]
            #[cfg(feature = "cpu")]
            fn cpu() {
                super::$test(&burn::tensor::Device::cpu());
            }
        }
    )*};
}

mod drop_in;
mod functions;
mod operands;
mod ruled;
mod slopes;

use ruled::{a_fused_layer_has_the_same_rule, each_rule_of_each_function_is_right};
use slopes::{
    checkpointing_gives_slopes_and_gates_the_same_gradients, gates_are_found_in_any_layout,
    gates_are_right_along_every_dimension, slopes_are_found_in_any_layout,
    slopes_at_awkward_numbers_are_those_of_the_definition, slopes_that_learn_are_right_however_many_there_are,
};

const RULES: [GradientRule; 9] = [
    GradientRule::Heaviside { at_zero: 0.0 },
    GradientRule::Heaviside { at_zero: 0.5 },
    GradientRule::Heaviside { at_zero: 1.0 },
    GradientRule::Leaky { slope: 0.01 },
    GradientRule::Leaky { slope: -3.0 },
    GradientRule::Surrogate(Surrogate::BSilu),
    GradientRule::Surrogate(Surrogate::NeLu { alpha: 0.1 }),
    GradientRule::Guided,
    GradientRule::Deconv,
];

/// max(0, x), written out.
fn reference(x: f64) -> f64 {
    if x.is_nan() || x > 0.0 { x } else { 0.0 }
}

/// The rule table of `GradientRule`, written out: what each makes of g at x.
fn reference_gradient(rule: GradientRule, x: f64, g: f64) -> f64 {
    if rule == GradientRule::Deconv {
        return reference(g);
    }
    if x.is_nan() {
        return x;
    }
    let on = x > 0.0;
    match rule {
        GradientRule::Heaviside { at_zero } if x == 0.0 && at_zero != 0.0 => at_zero * g,
        GradientRule::Heaviside { .. } => {
            if on {
                g
            } else {
                0.0
            }
        }
        GradientRule::Leaky { slope } => {
            if on {
                g
            } else {
                slope * g
            }
        }
        GradientRule::Surrogate(Surrogate::BSilu) => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            // Far out the product of ∞ and 0 is 0.
            let bump = if x.abs() > 700.0 { 0.0 } else { (x + 1.67) * sigmoid * (1.0 - sigmoid) };
            (sigmoid + bump) * g
        }
        GradientRule::Surrogate(Surrogate::NeLu { alpha }) => {
            let off = if x.is_infinite() { 0.0 } else { 2.0 * alpha * x / (1.0 + x * x).powi(2) };
            if on { g } else { off * g }
        }
        GradientRule::Guided => {
            if on {
                reference(g)
            } else {
                0.0
            }
        }
        GradientRule::Deconv => unreachable!("above"),
    }
}

fn relu(rule: GradientRule) -> Relu {
    ReluConfig::new().with_rule(rule).init().unwrap() // RULES are valid
}

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], dtype: DType, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

fn values<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
    x.to_data().iter::<f64>().collect()
}

/// The gradient at x when g flows into relu(x).
fn gradient<const D: usize>(relu: Relu, x: Tensor<D>, g: Tensor<D>) -> Tensor<D> {
    let x = x.autodiff().require_grad();
    let gradients = (relu.forward(x.clone()) * g.autodiff()).sum().backward();
    x.grad(&gradients).expect("x is tracked")
}

/// What a result may be off by, relative to it or to 1.
///
/// Kernels compute in f32 or, for f64, in f64, and round once to the dtype. WGSL grants exp(x) an error of 3 + 2|x|
/// units in the last place, which is what 64 of them for |x| up to 30 are for; everything else takes one or two.
fn rounding(dtype: DType) -> f64 {
    let single = 64.0 * f64::from(f32::EPSILON);
    match dtype {
        DType::F64 => 64.0 * f64::EPSILON,
        DType::F32 => single,
        DType::F16 => single + 2f64.powi(-10),
        DType::BF16 => single + 2f64.powi(-7),
        dtype => panic!("{dtype:?} is not tested here"),
    }
}

/// NaN for NaN, ∞ for ∞, and otherwise within rounding.
fn assert_close(found: f64, expected: f64, rounding: f64, what: impl FnOnce() -> String) {
    let close = match expected {
        _ if expected.is_nan() => found.is_nan(),
        _ if expected.is_infinite() => found == expected,
        _ => (found - expected).abs() <= rounding * expected.abs().max(1.0),
    };
    assert!(close, "{}: expected {expected:e}, found {found:e}", what());
}

/// Numbers that every float type holds, the awkward ones first, then some that it rounds.
fn awkward(dtype: DType) -> Vec<f64> {
    // The smallest subnormal and the smallest normal number.
    let (subnormal, normal) = match dtype {
        DType::F64 => (f64::from_bits(1), f64::MIN_POSITIVE),
        DType::F16 => (2f64.powi(-24), 2f64.powi(-14)),
        DType::BF16 => (2f64.powi(-133), 2f64.powi(-126)),
        _ => (f64::from(f32::from_bits(1)), f64::from(f32::MIN_POSITIVE)),
    };
    let positive = [0.0, subnormal, normal, 1e-3, 0.5, 1.0, 2.75, 30.0, 1024.0, f64::INFINITY];
    positive.into_iter().flat_map(|x| [x, -x]).chain([f64::NAN, -f64::NAN]).collect()
}

/// Whether the kernels are CubeCL's.
fn is_gpu(device: &Device) -> bool {
    format!("{device:?}").contains("Cube")
}

fn dtypes(device: &Device) -> impl Iterator<Item = DType> {
    [DType::F32, DType::F64, DType::F16, DType::BF16].into_iter().filter(|&dtype| device.supports_dtype(dtype))
}

fn forward_is_exact_at_awkward_numbers(device: &Device) {
    for dtype in dtypes(device) {
        let x = tensor(awkward(dtype), [awkward(dtype).len()], dtype, device);
        let inputs = values(&x);
        for (x, y) in inputs.into_iter().zip(values(&rectify::relu(x))) {
            let expected = reference(x);
            let same = if expected.is_nan() { y.is_nan() } else { y.to_bits() == expected.to_bits() };
            assert!(same, "relu({x:e}) in {dtype:?}: expected {expected:e}, found {y:e}");
        }
    }
}

fn each_rule_is_right_at_awkward_numbers(device: &Device) {
    let gradients = [1.0, -1.5, 0.0, -0.0, 1e-3, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for dtype in dtypes(device) {
        for rule in RULES {
            let surrogate = matches!(rule, GradientRule::Surrogate(_));
            let rounding = rounding(dtype);
            let (x, g): (Vec<f64>, Vec<f64>) = awkward(dtype)
                .into_iter()
                .flat_map(|x| gradients.map(|g| (x, g)))
                // Far out and close to 0 a surrogate's derivative is 0 only to rounding, so what becomes of ∞ is not said.
                .filter(|(x, g)| !(surrogate && g.is_infinite() && !(1e-3..=30.0).contains(&x.abs())))
                .unzip();
            let shape = [x.len()];
            let (x, g) = (tensor(x, shape, dtype, device), tensor(g, shape, dtype, device));
            let found = values(&gradient(relu(rule), x.clone(), g.clone()));
            for ((x, g), found) in values(&x).into_iter().zip(values(&g)).zip(found) {
                let expected = reference_gradient(rule, x, g);
                assert_close(found, expected, rounding, || format!("{rule} at x = {x:e}, g = {g:e} in {dtype:?}"));
            }
        }
    }
}

fn gradient_passes_unchanged_where_the_rule_says_so(device: &Device) {
    let numbers = [0.1, -7.3, 1e20, -1e-20, 123456.7];
    for rule in RULES.into_iter().filter(|rule| !matches!(rule, GradientRule::Surrogate(Surrogate::BSilu))) {
        let g = tensor(numbers.to_vec(), [5], DType::F32, device);
        let x = Tensor::ones([5], (device, DType::F32));
        for (g, found) in values(&g).into_iter().zip(values(&gradient(relu(rule), x, g))) {
            assert_eq!(found, reference_gradient(rule, 1.0, g), "{rule} at x = 1, g = {g}");
        }
    }
}

/// Forward and every rule's backward on `x` as it lies in memory, against the reference on its values.
fn check_layout<const D: usize>(x: Tensor<D>, what: &str) {
    let device = x.device();
    let dims = x.dims();
    let g = seeded::normal(dims, 1.0, &device);
    let inputs = values(&x);
    let outputs = rectify::relu(x.clone());
    assert_eq!(outputs.dims(), dims, "{what}");
    let expected: Vec<f64> = inputs.iter().map(|x| reference(*x)).collect();
    assert_eq!(values(&outputs), expected, "relu of {what} {dims:?}");
    assert_eq!(values(&x), inputs, "relu of {what} {dims:?} changed its input");
    for rule in RULES {
        let found = gradient(relu(rule), x.clone(), g.clone());
        assert_eq!(found.dims(), dims, "{what}");
        for ((x, g), found) in inputs.iter().zip(values(&g)).zip(values(&found)) {
            let expected = reference_gradient(rule, *x, g);
            assert_close(found, expected, rounding(DType::F32), || {
                format!("{rule} of {what} {dims:?} at x = {x:e}, g = {g:e}")
            });
        }
    }
}

fn random<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    seeded::normal(dims, 2.0, device)
}

fn any_rank_and_size_works(device: &Device) {
    for size in [1, 2, 3, 4, 5, 7, 8, 31, 1024, 1027] {
        check_layout(random([size], device), "a vector");
    }
    check_layout(random([3, 5], device), "a tensor");
    check_layout(random([2, 3, 4], device), "a tensor");
    check_layout(random([2, 1, 3, 8], device), "a tensor");
    check_layout(random([2, 1, 3, 1, 5], device), "a tensor");
    check_layout(random([1, 2, 3, 2, 1, 4], device), "a tensor");
}

fn any_layout_works(device: &Device) {
    check_layout(random([8, 12], device).swap_dims(0, 1), "a transposed matrix");
    check_layout(random([2, 8, 4, 4], device).permute([0, 2, 3, 1]), "a permuted tensor");
    check_layout(random([6, 16], device).narrow(0, 2, 3), "rows of a matrix");
    check_layout(random([6, 16], device).narrow(1, 4, 8), "columns of a matrix");
    check_layout(random([6, 17], device).narrow(1, 3, 5), "odd columns of a matrix");
    check_layout(random([6, 16], device).narrow(1, 4, 8).swap_dims(0, 1), "transposed columns");
    check_layout(random([4, 8], device).flip([0, 1]), "a flipped matrix");
    check_layout(random([1, 8], device).expand([5, 8]), "a row broadcast to a matrix");
    check_layout(random([5, 1], device).expand([5, 8]), "a column broadcast to a matrix");
    check_layout(random([1, 1], device).expand([5, 7]), "a number broadcast to a matrix");
    check_layout(random([4, 6], device).reshape([2, 12]).swap_dims(0, 1), "a reshaped and transposed matrix");
}

fn gradients_of_any_layout_work(device: &Device) {
    for rule in RULES {
        let x = random([6, 4], device);
        let g = random([4, 6], device);
        let leaf = x.clone().autodiff().require_grad();
        // The gradient reaches relu transposed.
        let y = relu(rule).forward(leaf.clone()).swap_dims(0, 1);
        let gradients = (y * g.clone().autodiff()).sum().backward();
        let found = values(&leaf.grad(&gradients).expect("leaf is tracked"));
        for ((x, g), found) in values(&x).into_iter().zip(values(&g.swap_dims(0, 1))).zip(found) {
            let expected = reference_gradient(rule, x, g);
            assert_close(found, expected, rounding(DType::F32), || {
                format!("{rule} at x = {x:e}, transposed g = {g:e}")
            });
        }

        // And here as one number for all.
        let leaf = x.clone().autodiff().require_grad();
        let gradients = relu(rule).forward(leaf.clone()).sum().backward();
        let found = values(&leaf.grad(&gradients).expect("leaf is tracked"));
        for (x, found) in values(&x).into_iter().zip(found) {
            let expected = reference_gradient(rule, x, 1.0);
            assert_close(found, expected, rounding(DType::F32), || format!("{rule} at x = {x:e}, g = 1 for all"));
        }
    }
}

fn empty_tensors_stay_empty(device: &Device) {
    for rule in RULES {
        let x = Tensor::<2>::zeros([0, 3], (device, DType::F32));
        let g = Tensor::<2>::zeros([0, 3], (device, DType::F32));
        assert_eq!(relu(rule).forward(x.clone()).dims(), [0, 3]);
        assert_eq!(gradient(relu(rule), x, g).dims(), [0, 3]);
    }
}

fn millions_of_elements_work(device: &Device) {
    // Odd, so that no vectors are loaded, and more than one row of a GPU's grid of 65535 groups of 256.
    let size = 17_000_001;
    let x = random([size], device);
    let y = rectify::relu(x.clone());
    // Each of these is right to the last bit however it is summed.
    let wrong = x.clone().clamp_min(0.0).not_equal(y.clone()).int().sum().into_scalar::<i64>();
    assert_eq!(wrong, 0);
    let last = size - 3..size;
    let expected: Vec<f64> = values(&x.slice([last.clone()])).into_iter().map(reference).collect();
    assert_eq!(values(&y.slice([last])), expected);
}

fn working_in_place_leaves_shared_tensors_alone(device: &Device) {
    for rule in RULES {
        let x = random([4, 8], device);
        let before = values(&x);
        let y = relu(rule).forward(x.clone());
        let once = values(&y);
        let _ = relu(rule).forward(y.clone() - 1.0);
        assert_eq!(values(&x), before, "{rule} changed its input");
        assert_eq!(values(&y), once, "{rule} changed its output later");
        // A tensor that nobody else holds, where the kernel may write over it.
        let expected: Vec<f64> = before.iter().map(|x| reference(2.0 * x)).collect();
        assert_eq!(values(&relu(rule).forward(x * 2.0)), expected);
    }
}

fn both_branches_get_their_gradient(device: &Device) {
    // One gradient flows into both: if the first changed it in place, the second would be wrong.
    let (leaky, guided) = (GradientRule::Leaky { slope: 0.01 }, GradientRule::Guided);
    let (x, g) = (random([4, 8], device), random([4, 8], device));
    let leaf = x.clone().autodiff().require_grad();
    let y = relu(leaky).forward(leaf.clone()) + relu(guided).forward(leaf.clone());
    let gradients = (y * g.clone().autodiff()).sum().backward();
    let found = values(&leaf.grad(&gradients).expect("leaf is tracked"));
    for ((x, g), found) in values(&x).into_iter().zip(values(&g)).zip(found) {
        let expected = reference_gradient(leaky, x, g) + reference_gradient(guided, x, g);
        assert_close(found, expected, rounding(DType::F32), || format!("x = {x:e}, g = {g:e}"));
    }
}

fn relu_of_relu_has_the_right_gradient(device: &Device) {
    // The inner output is kept for the backward pass and is the outer input.
    let rule = GradientRule::Leaky { slope: 0.5 };
    let (x, g) = (random([33], device), random([33], device));
    let leaf = x.clone().autodiff().require_grad();
    let gradients = (relu(rule).forward(relu(rule).forward(leaf.clone())) * g.clone().autodiff()).sum().backward();
    let found = values(&leaf.grad(&gradients).expect("leaf is tracked"));
    for ((x, g), found) in values(&x).into_iter().zip(values(&g)).zip(found) {
        let expected = reference_gradient(rule, x, reference_gradient(rule, reference(x), g));
        assert_close(found, expected, rounding(DType::F32), || format!("x = {x:e}, g = {g:e}"));
    }
}

fn checkpointing_gives_the_same_gradient(device: &Device) {
    for rule in RULES {
        let (x, g) = (random([4, 8], device), random([4, 8], device));
        let device = device.clone().autodiff().gradient_checkpointing();
        let leaf = Tensor::<2>::from_data(x.to_data(), &device).require_grad();
        let y = relu(rule).forward(leaf.clone() * 2.0);
        let gradients = (y * Tensor::from_data(g.to_data(), &device)).sum().backward();
        let found = values(&leaf.grad(&gradients).expect("leaf is tracked"));
        for ((x, g), found) in values(&x).into_iter().zip(values(&g)).zip(found) {
            let expected = 2.0 * reference_gradient(rule, 2.0 * x, g);
            assert_close(found, expected, rounding(DType::F32), || format!("{rule} at x = {x:e}, g = {g:e}"));
        }
    }
}

fn dtypes_that_the_device_lacks_are_refused(device: &Device) {
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        if is_gpu(device) && !device.supports_dtype(dtype) {
            let x = tensor(vec![1.0], [1], dtype, device);
            let panic = std::panic::catch_unwind(|| rectify::relu(x)).expect_err("a number would be a wrong one");
            let message = panic.downcast_ref::<String>().expect("the panic has a message");
            assert!(message.contains(&format!("does not compute in {}", dtype.name())), "{message}");
        }
    }
}

fn gradients_agree_with_differences(device: &Device) {
    let x = tensor(vec![-2.5, -1.0, -0.3, 0.0, 0.4, 1.5, 3.0, 20.0], [2, 4], DType::F32, device);
    let smooth = tensor(vec![-2.5, -1.0, -0.3, -0.1, 0.4, 1.5, 3.0, 20.0], [2, 4], DType::F32, device);
    let check = GradCheck::default();
    for rule in RULES {
        let f = |x| relu(rule).forward(x);
        let report = match rule {
            GradientRule::Heaviside { .. } => gradcheck(f, x.clone(), &check),
            GradientRule::Leaky { slope } => {
                gradcheck_against(f, |x| activation::leaky_relu(x, slope), smooth.clone(), &check)
            }
            GradientRule::Surrogate(Surrogate::BSilu) => {
                gradcheck_against(f, |x| (x.clone() + 1.67) * activation::sigmoid(x), x.clone(), &check)
            }
            GradientRule::Surrogate(Surrogate::NeLu { alpha }) => {
                let nelu = |x: Tensor<2>| {
                    let off = (x.clone() * x.clone() + 1.0).recip() * -alpha;
                    off.mask_where(x.clone().greater_elem(0.0), x)
                };
                gradcheck_against(f, nelu, smooth.clone(), &check)
            }
            // The gradients that gradcheck sends are positive, and these two stop only negative ones.
            GradientRule::Guided => gradcheck(f, x.clone(), &check),
            GradientRule::Deconv => gradcheck_against(f, |x| x, x.clone(), &check),
        };
        let report = report.unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert!(report.passed(), "{rule}: {report}");
    }
}

on_every_backend! {
    forward_is_exact_at_awkward_numbers
    each_rule_is_right_at_awkward_numbers
    gradient_passes_unchanged_where_the_rule_says_so
    any_rank_and_size_works
    any_layout_works
    gradients_of_any_layout_work
    empty_tensors_stay_empty
    millions_of_elements_work
    working_in_place_leaves_shared_tensors_alone
    both_branches_get_their_gradient
    relu_of_relu_has_the_right_gradient
    checkpointing_gives_the_same_gradient
    dtypes_that_the_device_lacks_are_refused
    gradients_agree_with_differences
    each_rule_of_each_function_is_right
    a_fused_layer_has_the_same_rule
    slopes_that_learn_are_right_however_many_there_are
    slopes_at_awkward_numbers_are_those_of_the_definition
    slopes_are_found_in_any_layout
    gates_are_right_along_every_dimension
    gates_are_found_in_any_layout
    checkpointing_gives_slopes_and_gates_the_same_gradients
}

#[cfg(feature = "wgpu")]
mod gpu {
    use std::{env, io::Write, sync::OnceLock};

    use burn::tensor::{Device, wgpu::WgpuBackend};

    /// The GPU, hardware or software; `None`, and a word about it, where there is none.
    pub fn wgpu() -> Option<Device> {
        static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
        let open = || {
            // Named, because `Auto` would try OpenGL as well, and that talks on stderr.
            let api = if cfg!(target_os = "macos") { WgpuBackend::Auto } else { WgpuBackend::Vulkan };
            match Device::wgpu_options().graphics_api(api).init() {
                Ok(device) => Some(device),
                Err(error) if env::var_os("CI").is_some() => panic!("with CI set there must be a GPU: {error}"),
                Err(error) => {
                    // Not `eprintln!`, which a passing test's output swallows.
                    let _ = writeln!(
                        std::io::stderr(),
                        "GPU tests skipped: {error} (Debian's mesa-vulkan-drivers is a GPU in software)"
                    );
                    None
                }
            }
        };
        DEVICE.get_or_init(open).clone()
    }
}
