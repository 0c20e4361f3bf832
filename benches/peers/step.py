"""One training step in PyTorch and JAX: milliseconds, and the loss reached, as a JSON line.

The work is fixed, so that every framework does the same: `weights` defines the initial network to the bit, step k
trains on samples 128 (k mod 468) onward of the training file, with SGD at 0.1 and the mean cross-entropy, in f32.
After 6 steps comes the test loss, on which all must agree to rounding. At the eighth, in f64, one of the MLP's
pre-activations is 5.5e-7 from 0: rounding decides which side of ReLU it is on and sends trainings apart, and only the
test accuracy at the end, after equally many steps, compares.

`mlp` is 784-128-128-128-128-10. `cnn` is LeNet-like: 5x5 convolution to 6 channels, 2x2 maximum, 5x5 convolution to
16, 2x2 maximum, then 784-120-84-10; the convolutions keep height and width (padding 2). The activation is the same
throughout.
"""

import argparse
import json
import math
import statistics
import time
from typing import Callable

import numpy as np

import mnist
from activation import jax_functions, torch_functions

BATCH, RATE = 128, 0.1
CHECK_STEPS = 6
BATCHES = 60000 // BATCH
MLP = [784, 128, 128, 128, 128, 10]
# Channels out, channels in, height, width.
CONVOLUTIONS = [(6, 1, 5, 5), (16, 6, 5, 5)]
CNN_LINEAR = [784, 120, 84, 10]


def weights(model: str) -> list[np.ndarray]:
    """He-uniform weights: convolutions [out, in, h, w], then linear layers [in, out]. Every bias begins at 0.

    Number i of the whole network, counted from 0 through the layers in row-major order, is
    (2 u - 1) sqrt(6 / fan_in), u being the upper 24 bits of splitmix64's i-th output (seed 0) over 2^24.
    """
    linear = MLP if model == "mlp" else CNN_LINEAR
    shapes = ([] if model == "mlp" else CONVOLUTIONS) + list(zip(linear, linear[1:]))
    layers, begin = [], 0
    for shape in shapes:
        fan_in = math.prod(shape[1:]) if len(shape) == 4 else shape[0]
        size = math.prod(shape)
        z = np.arange(begin + 1, begin + size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        u = ((z ^ (z >> np.uint64(31))) >> np.uint64(40)) / 2.0**24
        layers.append(((2 * u - 1) * math.sqrt(6 / fan_in)).astype(np.float32).reshape(shape))
        begin += size
    return layers


# What a framework gives: `run(first, count)` trains steps first to first + count and waits for them;
# `evaluate()` is the test set's loss and accuracy.
Trainer = tuple[Callable[[int, int], None], Callable[[], tuple[float, float]]]


def torch_trainer(model: str, activation: str, threads: int, compiled: bool) -> Trainer:
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    train_x, train_y, test_x, test_y = (torch.from_numpy(array) for array in mnist.load())
    train_y, test_y = train_y.long(), test_y.long()
    function = torch_functions()[activation]

    class Activation(nn.Module):
        def forward(self, x):
            return function(x)

    if model == "mlp":
        layers = [layer for i, o in zip(MLP, MLP[1:]) for layer in (nn.Linear(i, o), Activation())][:-1]
        net = nn.Sequential(*layers)
    else:
        net = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 6, 5, padding=2), Activation(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5, padding=2), Activation(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(784, 120), Activation(), nn.Linear(120, 84), Activation(), nn.Linear(84, 10),
        )  # fmt: skip
    with torch.no_grad():
        for layer, value in zip((l for l in net if hasattr(l, "weight")), weights(model), strict=True):
            layer.weight.copy_(torch.from_numpy(value if value.ndim == 4 else value.T))
            layer.bias.zero_()
    def loss_of(params, x, y):
        return F.cross_entropy(torch.func.functional_call(net, params, (x,)), y)

    # One graph of forward, backward and update: compiling the loss alone is a third slower.
    @torch.compile(fullgraph=True, dynamic=False)
    def compiled_step(params, x, y):
        grads = torch.func.grad(loss_of)(params, x, y)
        for name, param in params.items():
            param.sub_(RATE * grads[name])

    # The defaults: on these sizes `fused` and `foreach` are no faster on a CPU.
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)

    def eager_step(_, x, y):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    params = {name: param.detach() for name, param in net.named_parameters()}
    step = compiled_step if compiled else eager_step

    def run(first: int, count: int):
        for k in range(first, first + count):
            begin = k % BATCHES * BATCH
            step(params, train_x[begin : begin + BATCH], train_y[begin : begin + BATCH])

    def evaluate():
        with torch.no_grad():
            logits = net(test_x)
            return F.cross_entropy(logits, test_y).item(), (logits.argmax(1) == test_y).float().mean().item()

    return run, evaluate


def jax_trainer(model: str, activation: str, scan: bool) -> Trainer:
    import jax
    from jax import lax, nn
    from jax import numpy as jnp

    train_x, train_y, test_x, test_y = (jnp.asarray(array) for array in mnist.load())
    function = jax_functions()[activation]
    kernels = weights(model)
    if model == "cnn":
        # The same network with channels last, which is what XLA is fast at on a CPU.
        kernels[:2] = [kernel.transpose(2, 3, 1, 0) for kernel in kernels[:2]]
        kernels[2] = kernels[2].reshape(16, 7, 7, 120).transpose(1, 2, 0, 3).reshape(784, 120)
    params = [(jnp.asarray(kernel), jnp.zeros(kernel.shape[-1])) for kernel in kernels]

    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def pool(x):
        # XLA's gradient of a windowed maximum is far slower on a CPU than that of a maximum over axes.
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    def forward(params, x):
        if model == "cnn":
            (w0, b0), (w1, b1), *params = params
            x = pool(function(convolve(x.reshape(-1, 28, 28, 1), w0) + b0))
            x = pool(function(convolve(x, w1) + b1)).reshape(-1, 784)
        for w, b in params[:-1]:
            x = function(x @ w + b)
        w, b = params[-1]
        return x @ w + b

    def loss(params, x, y):
        return -jnp.take_along_axis(nn.log_softmax(forward(params, x)), y[:, None], 1).mean()

    def train(params, k, train_x, train_y):
        begin = k % BATCHES * BATCH
        x, y = (lax.dynamic_slice_in_dim(part, begin, BATCH) for part in (train_x, train_y))
        grads = jax.grad(loss)(params, x, y)
        return jax.tree.map(lambda p, g: p - RATE * g, params, grads)

    def train_many(params, first, train_x, train_y, count):
        return lax.fori_loop(first, first + count, lambda k, params: train(params, k, train_x, train_y), params)

    step = jax.jit(train, donate_argnums=0)
    steps = jax.jit(train_many, donate_argnums=0, static_argnames="count")

    def run(first: int, count: int):
        nonlocal params
        if scan:
            params = steps(params, first, train_x, train_y, count)
        else:
            for k in range(first, first + count):
                params = step(params, k, train_x, train_y)
        jax.block_until_ready(params)

    @jax.jit
    def evaluation(params):
        return loss(params, test_x, test_y), (forward(params, test_x).argmax(1) == test_y).mean()

    return run, lambda: tuple(map(float, evaluation(params)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--who", choices=["torch", "torch-compile", "jax", "jax-loop"], required=True)
    parser.add_argument("--model", choices=["mlp", "cnn"], required=True)
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--threads", type=int, required=True, help="the process must be confined to as many processors")
    parser.add_argument("--blocks", type=int, default=10, help="blocks to time")
    parser.add_argument("--block-steps", type=int, default=50, help="steps in a block")
    args = parser.parse_args()

    if args.who.startswith("torch"):
        run, evaluate = torch_trainer(args.model, args.activation, args.threads, args.who == "torch-compile")
    else:
        run, evaluate = jax_trainer(args.model, args.activation, args.who == "jax-loop")
    run(0, CHECK_STEPS)
    loss, _ = evaluate()
    # A block that is not timed: `jax-loop` compiles once more for another number of steps.
    run(CHECK_STEPS, args.block_steps)
    done, times = CHECK_STEPS + args.block_steps, []
    for _ in range(args.blocks):
        begin = time.perf_counter()
        run(done, args.block_steps)
        times.append((time.perf_counter() - begin) / args.block_steps * 1e3)
        done += args.block_steps
    _, accuracy = evaluate()
    print(json.dumps({
        "who": args.who, "what": f"{args.model}-step", "activation": args.activation, "threads": args.threads,
        "median_ms": statistics.median(times), "min_ms": min(times),
        "loss": loss, "accuracy": accuracy, "steps": done,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
