"""Computes a network's logits from its exported weights, in NumPy or with --torch in PyTorch, and compares.

    logits.py WEIGHTS.safetensors SEQUENTIAL.txt EXPECTED.json [--torch]

SEQUENTIAL.txt is what `rectify export --weights` prints; EXPECTED.json has "inputs", rows of standardised numbers, their
"shape" as images, and the "logits" that Rectify computes of them.
"""

import ast
import json
import math
import sys

import numpy as np
from safetensors.numpy import load_file

TOLERANCE = 1e-5


def erf(x):
    return np.vectorize(math.erf)(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv2d(x, weight, bias, padding):
    """Cross-correlation of images with square kernels at stride 1."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    y = np.einsum("nchwij,ocij->nohw", windows, weight)
    return y if bias is None else y + bias[None, :, None, None]


def max_pool(x, size):
    n, c, h, w = x.shape
    x = x[:, :, : h // size * size, : w // size * size]
    return x.reshape(n, c, h // size, size, w // size, size).max(axis=(3, 5))


def normalised(x, axes, scale, bias, mean=None, variance=None):
    by_unit = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axes, keepdims=True) if mean is None else mean.reshape(by_unit)
    variance = x.var(axes, keepdims=True) if variance is None else variance.reshape(by_unit)
    return (x - mean) / np.sqrt(variance + 1e-5) * scale.reshape(by_unit) + bias.reshape(by_unit)


ACTIVATIONS = {
    "Identity": lambda x, *_: x,
    "ReLU": lambda x, *_: np.maximum(x, 0),
    "LeakyReLU": lambda x, slope: np.where(x > 0, x, slope * x),
    "RReLU": lambda x, lower, upper: np.where(x > 0, x, (lower + upper) / 2 * x),
    "ELU": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "GELU": lambda x, *_: x * (1 + erf(x / math.sqrt(2))) / 2,
    "SiLU": lambda x, *_: x * sigmoid(x),
    "Sigmoid": lambda x, *_: sigmoid(x),
    "Tanh": lambda x, *_: np.tanh(x),
}


def numpy_logits(modules, weights, x):
    """The modules one after the other, in f64."""
    for place, (name, arguments, keywords) in enumerate(modules):
        of = {key.split(".")[1]: value.astype(np.float64) for key, value in weights.items()
              if key.split(".")[0] == str(place)}
        if name == "Linear":
            x = x.reshape(len(x), -1) @ of["weight"].T + of.get("bias", 0)
        elif name == "Conv2d":
            x = conv2d(x, of["weight"], of.get("bias"), keywords["padding"])
        elif name in ("BatchNorm1d", "BatchNorm2d"):
            x = normalised(x, None, of["weight"], of["bias"], of["running_mean"], of["running_var"])
        elif name in ("LayerNorm", "GroupNorm"):
            x = normalised(x, tuple(range(1, x.ndim)), of["weight"], of["bias"])
        elif name == "PReLU":
            x = np.where(x > 0, x, of["weight"] * x)
        elif name == "MaxPool2d":
            x = max_pool(x, *arguments)
        elif name == "Flatten":
            x = x.reshape(len(x), -1)
        elif name != "Dropout":
            x = ACTIVATIONS[name](x, *arguments)
    return x


def torch_logits(text, weights, x):
    import torch
    from torch import nn

    model = eval(text, {"nn": nn})
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x.astype(np.float32))).numpy()


def main(weights, sequential, expected, *options):
    weights = load_file(weights)
    text = open(sequential).read()
    expected = json.load(open(expected))
    x = np.array(expected["inputs"])
    calls = ast.parse(text, mode="eval").body.args
    modules = [
        (call.func.attr, [ast.literal_eval(a) for a in call.args], {k.arg: ast.literal_eval(k.value) for k in call.keywords})
        for call in calls
    ]
    if modules[0][0] == "Conv2d":
        x = x.reshape(-1, *expected["shape"])
    found = torch_logits(text, weights, x) if "--torch" in options else numpy_logits(modules, weights, x)
    difference = np.abs(found - np.array(expected["logits"])).max()
    print(f"{len(modules)} modules, {len(weights)} tensors, largest difference {difference:.2e}")
    assert difference < TOLERANCE, difference


main(*sys.argv[1:])
