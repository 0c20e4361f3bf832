"""Every activation, forward and backward, in PyTorch and JAX: nanoseconds an element, as JSON lines.

`forward` and `backward` return a new tensor. `-into` ones write to one that is there: PyTorch's `out=` and
`grad_input=`, JAX's donated argument. PyTorch's backward is its kernel alone, without the autograd graph around it;
functions that PyTorch composes of others have none. JAX's is the compiled vector-Jacobian product from the input.
Every call goes through Python, as users' calls do, and 2^0 elements show what that costs; divide by the elements.
"""

import argparse
import json
import statistics
import time
from typing import Callable, Iterator

SIZES = [0, *range(8, 25, 2)]
DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
SELU = (1.6732632423543772, 1.0507009873554805)
# By Rectify's name: PyTorch's forward kernel with its arguments, and its backward kernel with its arguments, where "y"
# and "x" stand for the output and the input that it takes.
TORCH = {
    "relu": (("clamp_min", 0), ("threshold_backward", "y", 0)),
    "leaky-relu": (("leaky_relu", 0.01), ("leaky_relu_backward", "x", 0.01, False)),
    "relu6": (("hardtanh", 0, 6), ("hardtanh_backward", "x", 0, 6)),
    "threshold": (("threshold", 1, 0), ("threshold_backward", "x", 1)),
    "elu": (("elu", 1), ("elu_backward", 1, 1, 1, False, "x")),
    "celu": (("elu", 1), ("elu_backward", 1, 1, 1, False, "x")),
    "selu": (("elu", *SELU), ("elu_backward", *SELU, 1, False, "x")),
    "gelu": (("gelu",), ("gelu_backward", "x")),
    "gelu-tanh": (("gelu", {"approximate": "tanh"}), ("gelu_backward", "x", {"approximate": "tanh"})),
    "silu": (("silu",), ("silu_backward", "x")),
    "mish": (("mish",), ("mish_backward", "x")),
    "softplus": (("softplus", 1, 20), ("softplus_backward", "x", 1, 20)),
    "sigmoid": (("sigmoid",), ("sigmoid_backward", "y")),
    "log-sigmoid": (("log_sigmoid",), None),
    "tanh": (("tanh",), ("tanh_backward", "y")),
    "hard-sigmoid": (("hardsigmoid",), ("hardsigmoid_backward", "x")),
    "hard-tanh": (("hardtanh", -1, 1), ("hardtanh_backward", "x", -1, 1)),
    "hard-swish": (("hardswish",), ("hardswish_backward", "x")),
    "hard-shrink": (("hardshrink", 0.5), ("hardshrink_backward", "x", 0.5)),
    "soft-shrink": (("softshrink", 0.5), ("softshrink_backward", "x", 0.5)),
}

# What is measured in rows: slopes that learn, one or one for each of 256 channels, and gates of 128.
CHANNELS = 256
SLOPES = {"prelu": 1, "prelu-by-channel": CHANNELS}

# JAX's derivatives that need the output alone, as PyTorch's kernels for the same.
JAX_OF_OUTPUT = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y}


def jax_functions() -> dict[str, Callable]:
    """By Rectify's name."""
    from jax import nn, numpy as jnp

    return {
        "relu": nn.relu, "leaky-relu": nn.leaky_relu, "relu6": nn.relu6, "elu": nn.elu, "celu": nn.celu,
        "threshold": lambda x: jnp.where(x > 1, x, 0),
        "selu": nn.selu, "gelu": lambda x: nn.gelu(x, approximate=False), "gelu-tanh": nn.gelu, "silu": nn.silu,
        "mish": nn.mish, "softplus": nn.softplus, "softsign": nn.soft_sign, "sigmoid": nn.sigmoid,
        "log-sigmoid": nn.log_sigmoid, "tanh": jnp.tanh, "hard-sigmoid": nn.hard_sigmoid, "hard-tanh": nn.hard_tanh,
        "hard-swish": nn.hard_swish, "squared-relu": lambda x: jnp.square(nn.relu(x)),
        "hard-shrink": lambda x: jnp.where(jnp.abs(x) > 0.5, x, 0),
        "soft-shrink": lambda x: x - jnp.clip(x, -0.5, 0.5), "tanh-shrink": lambda x: x - jnp.tanh(x),
    }  # fmt: skip


def torch_functions() -> dict[str, Callable]:
    """By Rectify's name, of tensors that autograd tracks."""
    from torch import relu
    from torch.nn import functional as F

    return {
        "silu": F.silu, "mish": F.mish, "softsign": F.softsign, "relu": relu, "leaky-relu": F.leaky_relu,
        "relu6": F.relu6, "elu": F.elu, "celu": F.celu, "selu": F.selu,
        "threshold": lambda x: F.threshold(x, 1, 0), "gelu": F.gelu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
        "softplus": F.softplus, "sigmoid": F.sigmoid, "log-sigmoid": F.logsigmoid, "tanh": F.tanh,
        "hard-sigmoid": F.hardsigmoid, "hard-tanh": F.hardtanh, "hard-swish": F.hardswish,
        "squared-relu": lambda x: relu(x).square(), "hard-shrink": F.hardshrink, "soft-shrink": F.softshrink,
        "tanh-shrink": F.tanhshrink,
    }  # fmt: skip


def torch_cases(threads: int, dtype: str, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
    import torch

    torch.set_num_threads(threads)
    aten = torch.ops.aten
    x = torch.randn(size).to(getattr(torch, DTYPES[dtype]))
    g = torch.randn(size).to(x.dtype)
    out = torch.empty_like(x)
    yield "copy", lambda: out.copy_(x)

    def bind(arguments, y=None):
        named = {}
        for argument in arguments:
            if isinstance(argument, dict):
                named = argument
        values = [{"x": x, "y": y}.get(a, a) if isinstance(a, str) else a for a in arguments if a is not named]
        return values, named

    for name, ((kernel, *arguments), backward) in TORCH.items():
        forward = getattr(aten, kernel)
        values, named = bind(arguments)
        # ReLU's own kernel has no `out=`.
        plain = torch.relu if name == "relu" else lambda x: forward(x, *values, **named)
        yield f"{name}-forward", lambda: plain(x)
        if "out" in forward.overloads():
            yield f"{name}-forward-into", lambda: forward.out(x, *values, **named, out=out)
        if backward:
            kernel, *arguments = backward
            derivative = getattr(aten, kernel)
            values, named = bind(arguments, plain(x))
            yield f"{name}-backward", lambda: derivative(g, *values, **named)
            if "grad_input" in derivative.overloads():
                yield f"{name}-backward-into", lambda: derivative.grad_input(g, *values, **named, grad_input=out)
    for name, function in torch_functions().items():
        # Composed of others.
        if name not in TORCH:
            yield f"{name}-forward", lambda: function(x)
    if size >= CHANNELS:
        yield from torch_cases_in_rows(x, g)


def torch_cases_in_rows(x, g) -> Iterator[tuple[str, Callable[[], None]]]:
    import torch
    from torch.nn import functional as F

    aten = torch.ops.aten
    x, g = x.view(-1, CHANNELS), g.view(-1, CHANNELS)
    for name, slopes in SLOPES.items():
        slope = torch.full((slopes,), 0.25, dtype=x.dtype)
        yield f"{name}-forward", lambda: F.prelu(x, slope)
        wide = slope.view(1, -1)

        def backward():
            by_slope = aten._prelu_kernel_backward(g, x, wide)[1]
            return by_slope.sum() if slopes == 1 else by_slope.sum(0)

        yield f"{name}-backward", backward
    half = g[:, : CHANNELS // 2].contiguous()
    yield "glu-forward", lambda: aten.glu(x, 1)
    yield "glu-backward", lambda: aten.glu_backward(half, x, 1)
    # Composed of others.
    for name, gate in [("swiglu", F.silu), ("geglu", F.gelu)]:

        def forward():
            a, b = x.chunk(2, 1)
            return a * gate(b)

        yield f"{name}-forward", forward


def jax_cases_in_rows(x, g) -> Iterator[tuple[str, Callable[[], None]]]:
    import jax
    from jax import nn, numpy as jnp

    x, g = x.reshape(-1, CHANNELS), g.reshape(-1, CHANNELS)

    def gated(gate):
        return lambda x: jnp.split(x, 2, 1)[0] * gate(jnp.split(x, 2, 1)[1])

    functions = {name: lambda x, slope: jnp.where(x > 0, x, slope * x) for name in SLOPES}
    functions |= {"glu": nn.glu, "swiglu": gated(nn.silu), "geglu": gated(lambda b: nn.gelu(b, approximate=False))}
    for name, function in functions.items():
        operands = (x, jnp.full(SLOPES[name], 0.25, x.dtype)) if name in SLOPES else (x,)
        grad = g if name in SLOPES else g[:, : CHANNELS // 2] + 0
        forward = jax.jit(function)
        backward = jax.jit(lambda g, *operands: jax.vjp(function, *operands)[1](g))
        yield f"{name}-forward", lambda: forward(*operands).block_until_ready()
        yield f"{name}-backward", lambda: jax.block_until_ready(backward(grad, *operands))


def jax_cases(threads: int, dtype: str, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
    import jax
    from jax import numpy as jnp

    x, g = (jax.random.normal(jax.random.key(seed), size, getattr(jnp, DTYPES[dtype])) for seed in (0, 1))
    for name, function in jax_functions().items():

        def backward(g, kept, function=function, name=name):
            if name in JAX_OF_OUTPUT:
                return g * JAX_OF_OUTPUT[name](kept)
            return jax.vjp(function, kept)[1](g)[0]

        kept = jax.jit(function)(x) if name in JAX_OF_OUTPUT else x
        for what, call, operands in [("forward", function, (x,)), ("backward", backward, (g, kept))]:
            plain, donated = jax.jit(call), jax.jit(call, donate_argnums=0)
            yield f"{name}-{what}", lambda: plain(*operands).block_until_ready()
            buffer = operands[0] + 0

            def into():
                nonlocal buffer
                buffer = donated(buffer, *operands[1:])
                buffer.block_until_ready()

            yield f"{name}-{what}-into", into
    if size >= CHANNELS:
        yield from jax_cases_in_rows(x, g)


def seconds_a_call(call: Callable[[], None]) -> float:
    """Median over rounds of about 10 ms."""
    call()
    begin = time.perf_counter()
    call()
    count = max(1, round(0.01 / max(time.perf_counter() - begin, 1e-7)))
    rounds = []
    for _ in range(7):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        rounds.append((time.perf_counter() - begin) / count)
    return statistics.median(rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--who", choices=["torch", "jax"], required=True)
    parser.add_argument("--threads", type=int, required=True, help="the process must be confined to as many processors")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="powers of two")
    args = parser.parse_args()
    cases = {"torch": torch_cases, "jax": jax_cases}[args.who]
    for power in args.sizes:
        for what, call in cases(args.threads, args.dtype, 1 << power):
            print(json.dumps({
                "who": args.who, "what": what, "dtype": args.dtype, "threads": args.threads,
                "elements": 1 << power, "ns_per_element": seconds_a_call(call) / (1 << power) * 1e9,
            }))  # fmt: skip


if __name__ == "__main__":
    main()
