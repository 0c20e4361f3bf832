"""ReLU, sigmoid and tanh, forward and backward, in PyTorch and JAX: nanoseconds an element, as JSON lines.

`forward` and `backward` return a new tensor. `-into` ones write to one that is there: PyTorch's `out=` and
`grad_input=`, JAX's donated argument. PyTorch's backward is its kernel alone, without the autograd graph around it.
Every call goes through Python, as users' calls do, and 2^0 elements show what that costs; divide by the elements.
"""

import argparse
import json
import statistics
import time
from typing import Callable, Iterator

SIZES = [0, *range(10, 25, 2)]
DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


def torch_cases(threads: int, dtype: str, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
    import torch

    torch.set_num_threads(threads)
    aten = torch.ops.aten
    x = torch.randn(size).to(getattr(torch, DTYPES[dtype]))
    g = torch.randn(size).to(x.dtype)
    out = torch.empty_like(x)
    yield "copy", lambda: out.copy_(x)
    relu, sigmoid, tanh = torch.relu(x), torch.sigmoid(x), torch.tanh(x)
    yield "relu-forward", lambda: torch.relu(x)
    # ReLU itself has no `out=`.
    yield "relu-forward-into", lambda: torch.clamp_min(x, 0, out=out)
    yield "relu-backward", lambda: aten.threshold_backward(g, relu, 0)
    yield "relu-backward-into", lambda: aten.threshold_backward.grad_input(g, relu, 0, grad_input=out)
    yield "sigmoid-forward", lambda: torch.sigmoid(x)
    yield "sigmoid-forward-into", lambda: torch.sigmoid(x, out=out)
    yield "sigmoid-backward", lambda: aten.sigmoid_backward(g, sigmoid)
    yield "sigmoid-backward-into", lambda: aten.sigmoid_backward.grad_input(g, sigmoid, grad_input=out)
    yield "tanh-forward", lambda: torch.tanh(x)
    yield "tanh-forward-into", lambda: torch.tanh(x, out=out)
    yield "tanh-backward", lambda: aten.tanh_backward(g, tanh)
    yield "tanh-backward-into", lambda: aten.tanh_backward.grad_input(g, tanh, grad_input=out)


def jax_cases(threads: int, dtype: str, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
    import jax
    from jax import numpy as jnp

    x, g = (jax.random.normal(jax.random.key(seed), size, getattr(jnp, DTYPES[dtype])) for seed in (0, 1))
    # Each from the forward's output alone, as PyTorch's kernels.
    derivatives = {"relu": lambda y: y > 0, "sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y}
    for name, derivative in derivatives.items():
        forward = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}[name]

        def backward(g, y, derivative=derivative, name=name):
            return jnp.where(derivative(y), g, 0) if name == "relu" else g * derivative(y)

        y = jax.jit(forward)(x)
        for what, function, operands in [("forward", forward, (x,)), ("backward", backward, (g, y))]:
            plain, donated = jax.jit(function), jax.jit(function, donate_argnums=0)
            yield f"{name}-{what}", lambda: plain(*operands).block_until_ready()
            buffer = operands[0] + 0

            def into():
                nonlocal buffer
                buffer = donated(buffer, *operands[1:])
                buffer.block_until_ready()

            yield f"{name}-{what}-into", into


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
    args = parser.parse_args()
    cases = {"torch": torch_cases, "jax": jax_cases}[args.who]
    for power in SIZES:
        for what, call in cases(args.threads, args.dtype, 1 << power):
            print(json.dumps({
                "who": args.who, "what": what, "dtype": args.dtype, "threads": args.threads,
                "elements": 1 << power, "ns_per_element": seconds_a_call(call) / (1 << power) * 1e9,
            }))  # fmt: skip


if __name__ == "__main__":
    main()
