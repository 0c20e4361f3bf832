//! ReLU whose slopes are a tensor, and gated units, on every backend, against the same in f64.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor};
use rectify::{Activation, Gated, HardTanh, Mish, Relu6, prelu, rrelu_with_slopes};

use super::{assert_close, awkward, dtypes, is_gpu, rounding, tensor, values};

/// Of both signs, and exact in every type.
fn ramp(len: usize, step: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * step + 5) % 97) as f64 / 8.0 - 6.0).collect()
}

fn leak(x: f64, slope: f64, v: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x > 0.0 {
        v
    } else {
        slope * v
    }
}

/// y and the gradients of x and of the slopes, when g flows into `f`.
fn passes<const D: usize, const S: usize>(
    f: impl Fn(Tensor<D>, Tensor<S>) -> Tensor<D>,
    [x, g]: [&Tensor<D>; 2],
    slopes: &Tensor<S>,
) -> (Vec<f64>, Vec<f64>, Option<Vec<f64>>) {
    let plain = values(&f(x.clone(), slopes.clone()));
    let (x, slopes) = (x.clone().autodiff().require_grad(), slopes.clone().autodiff().require_grad());
    let y = f(x.clone(), slopes.clone());
    assert!(values(&y).iter().zip(&plain).all(|(a, b)| a == b || a.is_nan() && b.is_nan()), "tracked and not");
    let gradients = (y * g.clone().autodiff()).sum().backward();
    let by_slopes = slopes.grad(&gradients).map(|grad| values(&grad));
    (plain, values(&x.grad(&gradients).expect("x is tracked")), by_slopes)
}

fn check_slopes<const D: usize>(dims: [usize; D], slopes: &[f64], dtype: DType, device: &Device) {
    let len: usize = dims.iter().product();
    let what = format!("{} slopes for {dims:?} in {dtype:?}", slopes.len());
    let [x, g] = [7, 31].map(|step| tensor(ramp(len, step), dims, dtype, device));
    let slopes = tensor::<1>(slopes.to_vec(), [slopes.len()], dtype, device);
    let (y, by_x, by_slopes) = passes(prelu, [&x, &g], &slopes);
    let (x, g, slopes) = (values(&x), values(&g), values(&slopes));
    let run: usize = if slopes.len() == 1 { len } else { dims[2..].iter().product() };
    let (mut sums, mut sizes) = (vec![0.0; slopes.len()], vec![0.0; slopes.len()]);
    for i in 0..len {
        let channel = i / run % slopes.len();
        let at = || format!("{what}, {} at {i}", x[i]);
        assert_close(y[i], leak(x[i], slopes[channel], x[i]), rounding(dtype), at);
        assert_close(by_x[i], leak(x[i], slopes[channel], g[i]), rounding(dtype), at);
        sums[channel] += if x[i] > 0.0 { 0.0 } else { x[i] * g[i] };
        sizes[channel] += if x[i] > 0.0 { 0.0 } else { (x[i] * g[i]).abs() };
    }
    let by_slopes = by_slopes.expect("the slopes are tracked");
    assert_eq!(by_slopes.len(), slopes.len(), "{what}");
    for ((found, expected), size) in by_slopes.into_iter().zip(sums).zip(sizes) {
        assert_close(found / size, expected / size, 2.0 * rounding(dtype), || format!("{what}, by a slope"));
    }
}

pub fn slopes_that_learn_are_right_however_many_there_are(device: &Device) {
    for dtype in dtypes(device) {
        check_slopes([3], &[0.25], dtype, device);
        check_slopes([7, 5, 41], &[-2.0], dtype, device);
        // In parts, the last one short.
        check_slopes([2, 3, 12_345], &[0.5], dtype, device);
        check_slopes([2, 3, 12_345], &[0.5, 0.0, 3.0], dtype, device);
        check_slopes([5, 3, 7, 7], &[0.25, -1.0, 1.5], dtype, device);
        check_slopes([300, 2], &[0.25, -1.0], dtype, device);
        check_slopes([70, 1], &[0.25], dtype, device);
        check_slopes([33, 1100], &ramp(1100, 3), dtype, device);
        check_slopes([2, 1, 9], &[0.125], dtype, device);
        check_slopes([1, 64], &ramp(64, 3), dtype, device);
    }
}

pub fn slopes_at_awkward_numbers_are_those_of_the_definition(device: &Device) {
    for dtype in dtypes(device) {
        let numbers = awkward(dtype);
        let gradients = [1.0, -2.0, 0.0, f64::INFINITY, f64::NAN];
        let (x, g): (Vec<f64>, Vec<f64>) = numbers.iter().flat_map(|x| gradients.map(|g| (*x, g))).unzip();
        let columns = x.len();
        // Flex has a kernel for one slope, one for each column and one for each row.
        let twice = |of: Vec<f64>| [of.clone(), of].concat();
        let [x, g] = [x, g].map(|of| tensor(twice(of), [2, columns], dtype, device));
        for slope in [0.25, -1.5, 0.0] {
            let check = |(y, by_x): (Vec<f64>, Vec<f64>), kind: &str| {
                for (((x, g), y), by_x) in values(&x).into_iter().zip(values(&g)).zip(y).zip(by_x) {
                    let what = || format!("{kind}, {slope} in {dtype:?} at {x:e}, gradient {g:e}");
                    assert_close(y, leak(x, slope, x), rounding(dtype), what);
                    assert_close(by_x, leak(x, slope, g), rounding(dtype), what);
                }
            };
            for (kind, count) in [("one", 1), ("by column", columns)] {
                let slopes = tensor::<1>(vec![slope; count], [count], dtype, device);
                let (y, by_x, _) = passes(prelu, [&x, &g], &slopes);
                check((y, by_x), kind);
            }
            let slopes = tensor(vec![slope; 2 * columns], [2, columns], dtype, device);
            let (y, by_x, by_slopes) = passes(rrelu_with_slopes, [&x, &g], &slopes);
            assert!(by_slopes.is_none(), "slopes that were drawn learn nothing");
            check((y, by_x), "drawn");
        }
    }
}

pub fn slopes_are_found_in_any_layout(device: &Device) {
    let x = tensor(ramp(6 * 35, 7), [6, 35], DType::F32, device);
    let slopes = tensor::<1>(ramp(35, 3), [35], DType::F32, device);
    let expected = values(&prelu(x.clone(), slopes.clone()));
    let transposed = tensor(values(&x.clone().transpose()), [35, 6], DType::F32, device).transpose();
    assert_eq!(values(&prelu(transposed, slopes.clone())), expected);
    let part = Tensor::cat(vec![x.clone(), x.clone()], 1).narrow(1, 35, 35);
    assert_eq!(values(&prelu(part, slopes.clone())), expected);
    let every_other = Tensor::stack::<2>(vec![slopes.clone(), slopes.clone()], 1).narrow(1, 1, 1).squeeze_dim::<1>(1);
    assert_eq!(values(&prelu(x, every_other)), expected);
    let (one, none) = (slopes.clone().narrow(0, 3, 1), Tensor::zeros([0], device));
    for (dims, slopes) in [([0, 35], slopes), ([0, 35], one.clone()), ([2, 0], one), ([2, 0], none)] {
        assert_eq!(prelu(Tensor::zeros(dims, device), slopes.clone()).dims(), dims);
        let x = Tensor::<2>::zeros(dims, &device.clone().autodiff()).require_grad();
        let gradients = prelu(x.clone(), slopes.autodiff().require_grad()).sum().backward();
        assert_eq!(x.grad(&gradients).expect("x is tracked").dims(), dims);
    }
}

fn gates() -> [Gated; 6] {
    let of = |gate: Activation| Gated { gate, dim: 0 };
    [
        Gated::glu(),
        Gated::swiglu(),
        Gated::geglu(),
        of(Mish.into()),
        of(HardTanh { min_value: -0.5, max_value: 0.25 }.into()),
        of(Relu6.into()),
    ]
}

fn check_gate<const D: usize>(gated: Gated, dims: [usize; D], dim: usize, dtype: DType, device: &Device) {
    let gated = Gated { dim: dim as isize, ..gated };
    let len: usize = dims.iter().product();
    let mut half = dims;
    half[dim] /= 2;
    let x = tensor(ramp(len, 7), dims, dtype, device);
    let g = tensor(ramp(len / 2, 31), half, dtype, device);
    let tracked = x.clone().autodiff().require_grad();
    let y = gated.forward(tracked.clone());
    assert_eq!(y.dims(), half);
    let gradients = (y.clone() * g.clone().autodiff()).sum().backward();
    let by_x = values(&tracked.grad(&gradients).expect("x is tracked"));
    let (x, y, g) = (values(&x), values(&y), values(&g));
    let row: usize = half[dim..].iter().product();
    let phi = gated.gate;
    // What is rounded more than once where there is no kernel. On a GPU Φ is right to 10⁻¹⁰ in f64.
    let rounding = match phi {
        Activation::Gelu(_) if is_gpu(device) => 2.0 * rounding(dtype).max(1e-9),
        _ => 2.0 * rounding(dtype),
    };
    for i in 0..len / 2 {
        let (at_a, at_b) = (i / row * 2 * row + i % row, i / row * 2 * row + row + i % row);
        let (a, b) = (x[at_a], x[at_b]);
        let what = || format!("{phi:?}, {dims:?} along {dim} in {dtype:?}, {a} and {b} at {i}");
        assert_close(y[i], a * phi.value(b), rounding, what);
        assert_close(by_x[at_a], g[i] * phi.value(b), rounding, what);
        assert_close(by_x[at_b], g[i] * a * phi.slope(b), rounding, what);
    }
}

pub fn gates_are_right_along_every_dimension(device: &Device) {
    for dtype in dtypes(device) {
        for gated in gates() {
            for dim in 0..3 {
                check_gate(gated, [2, 6, 4], dim, dtype, device);
            }
            check_gate(gated, [2], 0, dtype, device);
            check_gate(gated, [3, 2 * 1500], 1, dtype, device);
            check_gate(gated, [65, 128], 1, dtype, device);
        }
        // In parts, whose ends are no ends of rows.
        check_gate(Gated::swiglu(), [2, 70_001], 0, dtype, device);
        check_gate(Gated::glu(), [5, 2 * 20_001], 1, dtype, device);
    }
}

pub fn gates_are_found_in_any_layout(device: &Device) {
    let x = tensor(ramp(12 * 35, 7), [12, 35], DType::F32, device);
    let expected = values(&rectify::glu(x.clone(), 0));
    let transposed = tensor(values(&x.clone().transpose()), [35, 12], DType::F32, device).transpose();
    assert_eq!(values(&rectify::glu(transposed, 0)), expected);
    let part = Tensor::cat(vec![x.clone(), x], 1).narrow(1, 35, 35);
    assert_eq!(values(&rectify::glu(part, 0)), expected);
    for (dims, half) in [([0, 4], [0, 2]), ([4, 0], [4, 0])] {
        assert_eq!(rectify::glu(Tensor::<2>::zeros(dims, device), 1).dims(), half);
    }
}

/// Layers around them, which checkpointing computes again.
pub fn checkpointing_gives_slopes_and_gates_the_same_gradients(device: &Device) {
    let run = |device: Device| {
        let make = |len: usize, step| tensor::<1>(ramp(len, step), [len], DType::F32, &device).require_grad();
        let (x, slopes) = (make(40, 7), make(5, 3));
        let rows: Range<usize> = 0..8;
        let leaked = prelu(x.clone().reshape([rows.len(), 5]) * 0.5, slopes.clone());
        let y = rectify::swiglu(rrelu_with_slopes(leaked.clone(), leaked.ones_like() * 0.25) * 2.0, 0);
        let gradients = (y.clone() * y).sum().backward();
        [x.grad(&gradients), slopes.grad(&gradients)].map(|grad| values(&grad.expect("tracked")))
    };
    let autodiff = device.clone().autodiff();
    assert_eq!(run(autodiff.clone()), run(autodiff.gradient_checkpointing()));
}
