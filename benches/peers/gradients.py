#!/usr/bin/env python3
"""Rectify's gradients beside PyTorch's, on the same weights and samples.

    cargo bench --bench peers -- gradients /tmp/gradients
    benches/peers/.venv/bin/python benches/peers/gradients.py /tmp/gradients

The network is 784-128x6-10 with ReLU and PyTorch's default initialisation, untrained; the samples are the first of the
validation set, as many as the record names. Prints, for each layer, the root mean square of the gradient of the mean
loss over all samples, and the mean over batches of that of a batch, with the relative difference to PyTorch's; ends
with 1 where one is over 1e-4.
"""

import json
import sys
from pathlib import Path

import numpy
import torch

LIMIT = 1e-4
folder = Path(sys.argv[1])
measured = json.loads((folder / "measured.json").read_text())
layers, batch = measured["layers"], measured["gradient"]["batch_size"]


def read(name, *shape):
    return torch.from_numpy(numpy.fromfile(folder / name, dtype="<f4").reshape(*shape).copy())


modules = []
for i, layer in enumerate(layers):
    linear = torch.nn.Linear(layer["fan_in"], layer["units"])
    with torch.no_grad():
        # Here a weight is [fan_in, fan_out], there [fan_out, fan_in].
        linear.weight.copy_(read(f"weight.{i}", layer["fan_in"], layer["units"]).T)
        linear.bias.copy_(read(f"bias.{i}", layer["units"]))
    modules += [linear, torch.nn.ReLU()]
network = torch.nn.Sequential(*modules[:-1])
linears = [module for module in network if isinstance(module, torch.nn.Linear)]
labels = read("labels", -1).long()
images = read("images", len(labels), -1)
samples = measured["gradient"]["samples"]
images, labels = images[:samples], labels[:samples]


def rms(images, labels):
    network.zero_grad()
    torch.nn.functional.cross_entropy(network(images), labels).backward()
    return numpy.array([linear.weight.grad.double().square().mean().sqrt().item() for linear in linears])


whole = rms(images, labels)
full = [range(begin, begin + batch) for begin in range(0, len(labels) - batch + 1, batch)]
steps = numpy.mean([rms(images[batch], labels[batch]) for batch in full], axis=0)

worst = 0.0
print(f"{len(labels)} samples, batches of {batch}; PyTorch {torch.__version__}")
print("layer      of the mean loss: here, PyTorch, difference   of a batch: here, PyTorch, difference")
for layer, torch_whole, torch_step in zip(layers, whole, steps):
    here, step = layer["weight_grad_rms"], layer["batch_weight_grad_rms"]
    differences = [abs(here / torch_whole - 1), abs(step / torch_step - 1)]
    worst = max(worst, *differences)
    print(
        f"{layer['layer']:<10} {here:.6e} {torch_whole:.6e} {differences[0]:.1e}"
        f"   {step:.6e} {torch_step:.6e} {differences[1]:.1e}"
    )
print(f"largest relative difference {worst:.1e}, allowed {LIMIT:.0e}")
sys.exit(int(worst > LIMIT))
