"""The job of `rectify compare` as a PyTorch script: wall time, memory and accuracies, as a JSON line.

ReLU, sigmoid and tanh, 3 seeds each: MLP 784-128-128-128-128-128-10 on MNIST, 54000 samples for training and 6000 for
validation, batches of 128 (the last, smaller one included), SGD at 0.1, 5 epochs, validation and test accuracy after
each. Normal weights of variance g² / fan_in with the g of `--init auto`, zero biases. The data is one tensor and a batch is
a gather of it. No gradients are watched, which `rectify compare` does as well.
"""

import time

BEGIN = time.perf_counter()

import argparse
import itertools
import json
import multiprocessing
import resource
import statistics

EPOCHS, BATCH, RATE, VALIDATION = 5, 128, 0.1, 6000
ACTIVATIONS, SEEDS = ["relu", "sigmoid", "tanh"], [0, 1, 2]


def start(threads: int, compiled: bool):
    """Once a process: imports PyTorch and reads the data."""
    global torch, data, compile_steps
    import torch

    import mnist

    torch.set_num_threads(threads)
    train_x, train_y, test_x, test_y = (torch.from_numpy(array) for array in mnist.load())
    data, compile_steps = (train_x, train_y.long(), test_x, test_y.long()), compiled


def train(job: tuple[str, int]) -> dict:
    """One training: accuracies after each epoch, and the peak memory of the process so far."""
    from torch import nn
    from torch.nn import functional as F

    activation, seed = job
    train_x, train_y, test_x, test_y = data
    torch.manual_seed(seed)
    samples = torch.randperm(len(train_x))
    validation, training = samples[:VALIDATION], samples[VALIDATION:]
    validation_x, validation_y = train_x[validation], train_y[validation]

    phi = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[activation]
    widths = [784] + [128] * 5 + [10]
    net = nn.Sequential(*[layer for i, o in zip(widths, widths[1:]) for layer in (nn.Linear(i, o), phi())][:-1])
    # g² = 1 / √(E φ² E φ′²) for a standard normal input.
    z = torch.linspace(-10, 10, 20001, dtype=torch.float64, requires_grad=True)
    density = torch.exp(-z.detach() ** 2 / 2) / (2 * torch.pi) ** 0.5 * 1e-3
    value = phi()(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    gain = ((value**2 * density).sum() * (slope**2 * density).sum()).item() ** -0.25
    for layer in net[::2]:
        nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
        nn.init.zeros_(layer.bias)

    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)

    def eager_step(_, x, y):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    def loss_of(params, x, y):
        return F.cross_entropy(torch.func.functional_call(net, params, (x,)), y)

    @torch.compile(fullgraph=True, dynamic=False)
    def compiled_step(params, x, y):
        grads = torch.func.grad(loss_of)(params, x, y)
        for name, param in params.items():
            param.sub_(RATE * grads[name])

    params = {name: param.detach() for name, param in net.named_parameters()}
    step = compiled_step if compile_steps else eager_step

    def accuracy(x, y):
        with torch.no_grad():
            return (net(x).argmax(1) == y).float().mean().item()

    epochs = []
    for _ in range(EPOCHS):
        order = training[torch.randperm(len(training))]
        for batch in order.split(BATCH):
            step(params, train_x[batch], train_y[batch])
        epochs.append({"validation": accuracy(validation_x, validation_y), "test": accuracy(test_x, test_y)})
    process = multiprocessing.current_process().name
    return {"activation": activation, "epochs": epochs, "process": process, "peak_mb": peak_mb()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True, help="threads of each process")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the nine trainings")
    parser.add_argument("--compile", action="store_true", help="torch.compile the whole step")
    args = parser.parse_args()

    jobs = list(itertools.product(ACTIVATIONS, SEEDS))
    if args.processes == 1:
        start(args.threads, args.compile)
        results = [train(job) for job in jobs]
    else:
        context = multiprocessing.get_context("spawn")
        with context.Pool(args.processes, start, (args.threads, args.compile)) as pool:
            results = pool.map(train, jobs, chunksize=1)
    # Each process's largest figure, and the parent of several as one more.
    peaks = {"MainProcess": peak_mb()}
    for result in results:
        peaks[result["process"]] = max(peaks.get(result["process"], 0), result["peak_mb"])
    accuracy = {
        activation: statistics.mean(r["epochs"][-1]["test"] for r in results if r["activation"] == activation)
        for activation in ACTIVATIONS
    }
    who = "torch-compile" if args.compile else "torch"
    if args.processes > 1:
        who += f", {args.processes} processes"
    print(json.dumps({
        "who": who, "what": "compare", "threads": args.threads * args.processes,
        "seconds": time.perf_counter() - BEGIN, "peak_mb": sum(peaks.values()),
        "accuracy": accuracy,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
