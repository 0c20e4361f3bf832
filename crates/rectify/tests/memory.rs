//! What ReLU holds on to, counted: every allocation of this program goes through the allocator below.
//!
//! A test measures on one tensor of a size that nothing else has, so that the graph's own small allocations do not
//! matter, and tests run one at a time, since the counts are the whole program's. Burn lets go of a graph that was never
//! run backward only when another is, so each test ends with a backward pass.
#![cfg(feature = "flex")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicIsize, Ordering::SeqCst},
    },
};

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, activation},
};
use rectify::{
    Activation, FusedActivation, FusedLinearConfig, Gelu, GradientRule, LeakyRelu, Relu, ReluConfig, Surrogate, prelu,
    swiglu,
};

/// Counts the blocks of one or several tensors' size: those that live, and those ever made.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static MADE: AtomicIsize = AtomicIsize::new(0);

/// No power of two: a matrix product keeps a block of the size of a processor's cache for each thread, and a test's
/// thread lets go of it when it ends, while the next test counts.
const SIDE: usize = 520;
/// Bytes of a tensor of the tests: SIDE × SIDE numbers of 4 bytes.
const TENSOR: usize = SIDE * SIDE * 4;

fn holds_tensors(layout: Layout) -> bool {
    layout.size() >= TENSOR && layout.size().is_multiple_of(TENSOR)
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if holds_tensors(layout) {
            LIVE.fetch_add(1, SeqCst);
            MADE.fetch_add(1, SeqCst);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if holds_tensors(layout) {
            LIVE.fetch_sub(1, SeqCst);
        }
        // SAFETY: as the caller promises; every block is from `alloc` above, and so the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed has left nothing behind that the next one reads.
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Tensors alive beyond those before, after `build`, as long as what it built is held; and tensors made meanwhile.
fn tensors<T>(build: impl FnOnce() -> T) -> (isize, isize, T) {
    let (live, made) = (LIVE.load(SeqCst), MADE.load(SeqCst));
    let built = build();
    (LIVE.load(SeqCst) - live, MADE.load(SeqCst) - made, built)
}

const OUTPUT: [GradientRule; 3] =
    [GradientRule::Heaviside { at_zero: 0.0 }, GradientRule::Leaky { slope: 0.01 }, GradientRule::Guided];
const INPUT: [GradientRule; 3] = [
    GradientRule::Heaviside { at_zero: 0.5 },
    GradientRule::Surrogate(Surrogate::BSilu),
    GradientRule::Surrogate(Surrogate::NeLu { alpha: 0.1 }),
];

fn relu(rule: GradientRule) -> Relu {
    ReluConfig::new().with_rule(rule).init().expect("the rule is in range")
}

fn leaf() -> Tensor<2> {
    let device = Device::flex();
    // Made and warmed up on the plain device, so that nothing but the tensor itself is counted.
    (Tensor::<2>::ones([SIDE, SIDE], &device) * 0.5).autodiff().require_grad()
}

/// A tracked tensor that nobody else holds, as a layer's pre-activation is, and whose own backward step keeps nothing.
fn preactivation(leaf: &Tensor<2>) -> Tensor<2> {
    leaf.clone() - 0.25
}

#[test]
fn the_allocator_counts_tensors() {
    let _guard = one_at_a_time();
    let leaf = leaf();
    let (live, made, y) = tensors(|| preactivation(&leaf));
    assert_eq!((live, made), (1, 1));
    let (live, made, both) = tensors(|| (y.clone(), y.clone() * 2.0));
    assert_eq!((live, made), (1, 1));
    let (live, _, _) = tensors(|| drop(both));
    assert_eq!(live, -1);
    y.sum().backward();
}

#[test]
fn rules_that_look_at_the_output_keep_nothing_beside_it() {
    let _guard = one_at_a_time();
    for rule in OUTPUT {
        let leaf = leaf();
        let (live, made, y) = tensors(|| relu(rule).forward(preactivation(&leaf)));
        // The pre-activation itself, which has become the output.
        assert_eq!((live, made), (1, 1), "{rule}");
        y.sum().backward();
    }
}

#[test]
fn burns_own_relu_keeps_its_input_as_well() {
    let _guard = one_at_a_time();
    let leaf = leaf();
    // What the tests above are worth: the same measure finds the second tensor where there is one.
    let (live, made, y) = tensors(|| activation::relu(preactivation(&leaf)));
    assert_eq!((live, made), (2, 2));
    y.sum().backward();
}

#[test]
fn rules_that_look_at_the_input_keep_it() {
    let _guard = one_at_a_time();
    for rule in INPUT {
        let leaf = leaf();
        let (live, made, y) = tensors(|| relu(rule).forward(preactivation(&leaf)));
        assert_eq!((live, made), (2, 2), "{rule}");
        y.sum().backward();
    }
}

#[test]
fn slopes_that_learn_and_gates_keep_their_input_alone() {
    let _guard = one_at_a_time();
    let device = Device::flex().autodiff();
    for slopes in [1, SIDE] {
        let leaf = leaf();
        let alpha = Tensor::<1>::full([slopes], 0.25, &device).require_grad();
        let (live, made, y) = tensors(|| prelu(preactivation(&leaf), alpha.clone()));
        assert_eq!((live, made), (2, 2), "{slopes} slopes");
        let (_, made, gradients) = tensors(|| y.sum().backward());
        // The sum's gradient, over which one slope's own is written.
        assert_eq!(made, if slopes == 1 { 1 } else { 2 }, "{slopes} slopes");
        assert!(alpha.grad(&gradients).is_some() && leaf.grad(&gradients).is_some());
    }
    let wide = Tensor::cat(vec![leaf(), leaf()], 0).detach().require_grad();
    let (live, made, y) = tensors(|| swiglu(preactivation(&wide), 0));
    assert_eq!((live, made), (2, 2));
    let (_, made, gradients) = tensors(|| y.sum().backward());
    // The sum's gradient, and that of both halves in one.
    assert_eq!(made, 2);
    assert!(wide.grad(&gradients).is_some());
}

#[test]
fn deconv_keeps_nothing() {
    let _guard = one_at_a_time();
    let leaf = leaf();
    let (live, _, loss) = tensors(|| relu(GradientRule::Deconv).forward(preactivation(&leaf)).sum());
    assert_eq!(live, 0);
    let (live, _, gradients) = tensors(|| loss.backward());
    assert!(leaf.grad(&gradients).is_some());
    assert_eq!(live, 1, "the gradient itself");
}

#[test]
fn the_output_is_kept_for_the_backward_pass_and_let_go_by_it() {
    let _guard = one_at_a_time();
    for rule in OUTPUT {
        let leaf = leaf();
        let (live, _, loss) = tensors(|| relu(rule).forward(preactivation(&leaf)).sum());
        assert_eq!(live, 1, "{rule}");
        // The gradient comes, and the output goes.
        let (live, made, gradients) = tensors(|| loss.backward());
        assert_eq!(live, 0, "{rule}");
        // The sum's gradient, over which the rule's own is written.
        assert_eq!(made, 1, "{rule}");
        assert!(leaf.grad(&gradients).is_some());
    }
}

#[test]
fn untracked_tensors_keep_nothing() {
    let _guard = one_at_a_time();
    let device = Device::flex();
    for rule in OUTPUT.into_iter().chain(INPUT).chain([GradientRule::Deconv]) {
        // On a plain device, and on an autodiff device without a leaf that asks for gradients.
        for device in [device.clone(), device.clone().autodiff()] {
            let x = Tensor::<2>::ones([SIDE, SIDE], &device);
            let (live, made, y) = tensors(|| relu(rule).forward(x));
            assert_eq!((live, made), (0, 0), "{rule}: in place, over the input");
            let (live, _, _sum) = tensors(|| y.sum());
            assert_eq!(live, -1, "{rule}: the output goes with its last holder");
        }
    }
}

#[test]
fn a_shared_tensor_is_not_written_over() {
    let _guard = one_at_a_time();
    let x = Tensor::<2>::ones([SIDE, SIDE], &Device::flex()) * -1.0;
    let (live, made, y) = tensors(|| rectify::relu(x.clone()));
    assert_eq!((live, made), (1, 1));
    assert_eq!(x.into_data().iter::<f32>().next(), Some(-1.0));
    assert_eq!(y.into_data().iter::<f32>().next(), Some(0.0));
}

#[test]
fn views_cost_one_tensor_and_no_more() {
    let _guard = one_at_a_time();
    let device = Device::flex();
    let x = Tensor::<2>::ones([SIDE, SIDE], &device);
    let wide = Tensor::<2>::ones([2 * SIDE, SIDE], &device);
    for view in [x.clone().transpose(), wide.clone().narrow(0, SIDE / 2, SIDE)] {
        let (live, made, _y) = tensors(|| rectify::relu(view));
        assert_eq!((live, made), (1, 1));
    }
}

#[test]
fn gradient_checkpointing_computes_the_output_again_rather_than_keep_it() {
    let _guard = one_at_a_time();
    let device = Device::flex();
    for rule in OUTPUT.into_iter().chain(INPUT) {
        let held = |device: &Device| {
            let leaf =
                Tensor::<2>::from_data(Tensor::<2>::ones([SIDE, SIDE], device).into_data(), device).require_grad();
            let twice = |x: Tensor<2>| relu(rule).forward(relu(rule).forward(x - 0.25) * 2.0).sum();
            let (live, _, loss) = tensors(|| twice(leaf.clone()));
            let gradients = loss.backward();
            assert!(leaf.grad(&gradients).is_some());
            live
        };
        assert_eq!(held(&device.clone().autodiff()), 2, "{rule}: what each of the two keeps");
        assert_eq!(held(&device.clone().autodiff().gradient_checkpointing()), 0, "{rule}");
    }
}

#[test]
fn activations_keep_what_they_say() {
    let _guard = one_at_a_time();
    for activation in Activation::all() {
        let leaf = leaf();
        let (live, made, y) = tensors(|| activation.forward(preactivation(&leaf)));
        let kept = if activation.needs_input() { 2 } else { 1 };
        assert_eq!((live, made), (kept, kept), "{activation:?}");
        y.sum().backward();
    }
}

#[test]
fn a_fused_layer_keeps_its_preactivations_where_its_activation_needs_them() {
    let _guard = one_at_a_time();
    let device = Device::flex().autodiff();
    for (activation, kept) in [(Gelu.into(), 2), (FusedActivation::Tanh, 1), (LeakyRelu::default().into(), 1)] {
        let layer = FusedLinearConfig::new(SIDE, SIDE, activation).with_bias(false).init(&device).expect("in range");
        let x = leaf();
        // The first product warms up thread-local buffers of the matrix kernels.
        drop(layer.forward(x.clone()).sum().backward());
        let (live, made, y) = tensors(|| layer.forward(x));
        assert_eq!((live, made), (kept, kept), "{activation:?}");
        y.sum().backward();
        let untracked = Tensor::<2>::ones([SIDE, SIDE], &Device::flex());
        let plain = layer.clone().valid();
        let (live, made, _y) = tensors(|| plain.forward(untracked.clone()));
        assert_eq!((live, made), (1, 1), "{activation:?}, untracked");
    }
}

#[derive(Module, Debug)]
struct Deep {
    layers: Vec<Linear>,
}

impl Deep {
    fn new(device: &Device) -> Self {
        Self { layers: (0..4).map(|_| LinearConfig::new(SIDE, SIDE).with_bias(false).init(device)).collect() }
    }

    fn forward(&self, x: Tensor<2>, relu: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |x, layer| relu(layer.forward(x)))
    }
}

#[test]
fn a_deep_network_holds_one_tensor_a_layer_where_burns_relu_holds_two() {
    let _guard = one_at_a_time();
    let device = Device::flex();
    let model = Deep::new(&device.clone().autodiff());
    let layers = model.layers.len() as isize;
    let run = |relu: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        let x = Tensor::<2>::ones([SIDE, SIDE], &device).autodiff();
        // The first products warm up thread-local buffers of the matrix kernels.
        drop(model.forward(x.clone(), relu).sum().backward());
        let (live, _, loss) = tensors(|| model.forward(x, relu).sum());
        loss.backward();
        live
    };
    let ours = run(&|x| rectify::relu(x));
    let burns = run(&|x| activation::relu(x));
    // Each layer's output is the next one's input, which the product keeps anyway.
    assert_eq!(ours, layers);
    // A second tensor for each layer but the last, whose output nobody keeps.
    assert_eq!(burns, 2 * layers - 1);
}
