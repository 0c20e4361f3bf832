"""How exact PyTorch's and JAX's activations are in f32: their largest errors in units in the last place, as Markdown.

    benches/peers/.venv/bin/python benches/peers/accuracy.py

Both are asked for what `activation.py` times: PyTorch's kernels and JAX's compiled functions, and for sigmoid and tanh the
derivative from the output, as they compute it. The reference is SciPy's in f64. Each cell has the largest error for
2⁻²⁰ ≤ |x| ≤ 5 and, behind it, over every sign and exponent: where a tail or a subnormal number becomes 0, that is as many
units as it has, up to 2²⁴.
Rectify's own errors, against 320 bits, are in crates/rectify/src/activation/functions.md.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np
import torch
from scipy.special import expit, log_expit, ndtr

from activation import JAX_OF_OUTPUT, SELU, TORCH, jax_functions, torch_functions


def tanh_shrink(x):
    series = x**3 / 3 - 2 * x**5 / 15 + 17 * x**7 / 315
    return np.where(np.abs(x) < 0.01, series, x - np.tanh(x))


def u(x):
    return np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)


def mish_slope(x):
    soft = -log_expit(-x)
    return np.tanh(soft) + x * expit(x) / np.cosh(np.minimum(soft, 300)) ** 2


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


# φ and φ′ in f64.
EXACT = {
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "selu": (
        lambda x: SELU[1] * np.where(x > 0, x, SELU[0] * np.expm1(x)),
        lambda x: SELU[1] * np.where(x > 0, 1, SELU[0] * np.exp(x)),
    ),
    "gelu": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * density(x)),
    "gelu-tanh": (
        lambda x: x * expit(u(x)),
        lambda x: expit(u(x)) * (1 + x * expit(-u(x)) * np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * x * x)),
    ),
    "silu": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "mish": (lambda x: x * np.tanh(-log_expit(-x)), mish_slope),
    "softplus": (lambda x: -log_expit(-x), expit),
    "log-sigmoid": (log_expit, lambda x: expit(-x)),
    "sigmoid": (expit, lambda x: expit(x) * expit(-x)),
    "tanh": (np.tanh, lambda x: 4 * expit(2 * x) * expit(-2 * x)),
    "tanh-shrink": (tanh_shrink, lambda x: np.tanh(x) ** 2),
}


def torch_computed(name, x):
    aten, x = torch.ops.aten, torch.from_numpy(x)
    if name not in TORCH or TORCH[name][1] is None:
        x.requires_grad_()
        y = torch_functions()[name](x)
        y.sum().backward()
        return y.detach().numpy(), x.grad.numpy()
    (kernel, *values), backward = TORCH[name]

    def call(kernel, first, values, y=None):
        named = values.pop() if values and isinstance(values[-1], dict) else {}
        values = [{"x": x, "y": y}.get(value, value) if isinstance(value, str) else value for value in values]
        return getattr(aten, kernel)(first, *values, **named)

    y = call(kernel, x, list(values))
    kernel, *values = backward
    return y.numpy(), call(kernel, torch.ones_like(x), list(values), y).numpy()


def jax_computed(name, x):
    function = jax_functions()[name]
    y = jax.jit(function)(x)
    if name in JAX_OF_OUTPUT:
        return np.asarray(y), np.asarray(jax.jit(JAX_OF_OUTPUT[name])(y))
    return np.asarray(y), np.asarray(jax.jit(jax.vmap(jax.grad(function)))(x))


def ulps(found, exact):
    unit = np.maximum(np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64), 2.0**-149)
    error = np.abs(found.astype(np.float64) - exact) / unit
    return np.where(np.isnan(found), np.inf, error)


def written(error):
    return f"{error:.1f}" if error < 1000 else "NaN" if np.isinf(error) else f"{error:.0e}".replace("e+0", "e")


def main():
    exponents = np.ldexp(np.linspace(1, 2, 64, endpoint=False), np.arange(-149, 128)[:, None]).ravel()
    grid = np.linspace(-20, 20, 400_001)
    x = np.unique(np.concatenate([exponents, -exponents, grid]).astype(np.float32))
    near = (np.abs(x) >= 2.0**-20) & (np.abs(x) <= 5)
    print("| function | PyTorch, φ | φ′ | JAX, φ | φ′ |\n|---|---|---|---|---|")
    for name, exact in EXACT.items():
        cells = []
        for computed in torch_computed, jax_computed:
            for found, exactly in zip(computed(name, x.copy()), exact):
                with np.errstate(all="ignore"):
                    wide = exactly(x.astype(np.float64))
                    # Where f64 has no number, or f32 would have none.
                    known = np.isfinite(wide) & (np.abs(wide) < np.finfo(np.float32).max)
                    error = np.where(known, ulps(found, wide), 0)
                cells.append(f"{written(error[near].max())}, {written(error.max())}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
