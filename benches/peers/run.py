#!/usr/bin/env python3
"""Rectify beside PyTorch and JAX: the same work, the same processors, in turn, as Markdown tables.

    benches/peers/run.py --bench 'COMMAND' --rectify target/release/rectify > table.md

installs the peers into benches/peers/.venv when they are not there, then measures, in rounds: in each round everyone
has one turn, so that a slow minute of the machine hits all alike, and the median over rounds counts. A process is
confined to as many processors as it may use threads.

COMMAND is Rectify's own harness. It is called as

    COMMAND step --model mlp|cnn --activation NAME --threads N
    COMMAND activation --dtype f32|bf16|f16 --threads N
    COMMAND limit --threads N

and prints JSON objects, one a line, as step.py, activation.py and limit.py beside this file do, whose docs say what the
work is:

    {"who": "rectify", "what": "mlp-step", "activation": "relu", "threads": 2, "median_ms": 0.6, "min_ms": 0.59,
     "loss": 1.15887, "accuracy": 0.95}
    {"who": "rectify", "what": "relu-forward", "dtype": "f32", "threads": 2, "elements": 1024, "ns_per_element": 0.03}
    {"who": "gemm, batch split", "what": "mlp-products", "threads": 2, "median_ms": 0.37, "gflops": 245}

`rectify compare` is run as it is, with its probes and its report. Without --bench or --rectify the peers run alone.
"""

import argparse
import collections
import hashlib
import itertools
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / "bin" / "python"
# Losses after the first steps agree to rounding when everyone does the same work.
LOSS_TOLERANCE = 1e-4


def install():
    requirements = HERE / "requirements.txt"
    stamp = VENV / f"installed-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
    if stamp.exists():
        return
    print("installing the peers (6 GB) ...", file=sys.stderr)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement", requirements]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    stamp.touch()


def machine_seconds() -> float:
    """Processor seconds that all processes of the machine have used since it started."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


# For each turn, how many processors others kept busy meanwhile.
others_busy = []


def measure(command: list, processors: int) -> tuple[list[dict], float, float]:
    """Runs a command on that many processors: the JSON lines it prints, its seconds, its peak memory in MB."""
    print("  " + shlex.join(map(str, command)), file=sys.stderr, flush=True)
    # The last ones: the first one of a machine also serves its interrupts.
    chosen = sorted(os.sched_getaffinity(0))[-processors:]
    threads = {f"{library}_NUM_THREADS": str(processors) for library in ("OMP", "MKL", "OPENBLAS", "RAYON")}
    # Compiled graphs stay between rounds, as they would between runs of a user's script.
    environment = os.environ | threads | {"TORCHINDUCTOR_CACHE_DIR": str(VENV / "inductor")}
    with tempfile.TemporaryFile("w+") as output:
        begin, machine = time.perf_counter(), machine_seconds()
        process = subprocess.Popen(
            command, stdout=output, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, chosen)
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        others = machine_seconds() - machine - usage.ru_utime - usage.ru_stime
        others_busy.append(max(0.0, others) / seconds)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"run.py: exit code {process.returncode} from: {shlex.join(map(str, command))}")
        output.seek(0)
        lines = [json.loads(line) for line in output if line.startswith("{")]
    return lines, seconds, usage.ru_maxrss / 1024


def compare_rectify(command: list[str], processors: int) -> dict:
    """`rectify compare` with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        _, seconds, peak = measure([*command, "compare", "--quiet", "--out", f"{folder}/compare"], processors)
        results = json.loads(Path(folder, "compare", "results.json").read_text())
    final = collections.defaultdict(list)
    for run in results["runs"]:
        final[run["activation"]].append(run["epochs"][-1]["test_accuracy"])
    accuracy = {name: statistics.mean(values) for name, values in final.items()}
    return {
        "who": "rectify", "what": "compare", "threads": processors,
        "seconds": seconds, "peak_mb": peak, "accuracy": accuracy,
    }  # fmt: skip


def turns(args) -> list:
    """Everything of one round, in order: functions that measure and give their lines."""
    bench, rectify = shlex.split(args.bench or ""), shlex.split(args.rectify or "")
    commands = []

    def add(script: str, *arguments, processors: int):
        commands.append(lambda: measure([PYTHON, HERE / script, *arguments], processors)[0])

    def add_ours(*arguments, processors: int):
        if bench:
            commands.append(lambda: measure([*bench, *arguments], processors)[0])

    for threads in args.threads:
        with_threads = ("--threads", str(threads))
        for model, activation in itertools.product(args.models, args.activations) if "step" in args.only else []:
            options = ("--model", model, "--activation", activation, *with_threads)
            add_ours("step", *options, processors=threads)
            # XLA runs convolutions inside a loop naively, ten times slower than PyTorch: no peer.
            for who in ["torch", "torch-compile", "jax"] + ["jax-loop"] * (model == "mlp"):
                add("step.py", "--who", who, *options, processors=threads)
        if "limit" in args.only:
            add_ours("limit", *with_threads, processors=threads)
            add("limit.py", *with_threads, processors=threads)
        for dtype in args.dtypes if "activation" in args.only else []:
            add_ours("activation", "--dtype", dtype, *with_threads, processors=threads)
            for who in ("torch", "jax"):
                add("activation.py", "--who", who, "--dtype", dtype, *with_threads, processors=threads)
    if "compare" in args.only:
        threads = max(args.threads)
        if rectify:
            commands.append(lambda: [compare_rectify(rectify, threads)])
        for options in ([], ["--compile"]):
            add("compare.py", "--threads", str(threads), *options, processors=threads)
            if threads > 1:
                split = ("--threads", "1", "--processes", str(threads))
                add("compare.py", *split, *options, processors=threads)
    return commands


GROUPED_BY = ("what", "activation", "threads", "who", "dtype", "elements")


def medians(lines: list[dict]) -> list[dict]:
    """One line for each thing measured, its figures the medians over the rounds, in order of first appearance."""
    groups = collections.defaultdict(list)
    for line in lines:
        groups[tuple(line.get(key) for key in GROUPED_BY)].append(line)
    figures = ("median_ms", "seconds", "peak_mb", "ns_per_element", "gb_per_second", "gflops")
    return [
        group[0]
        | {key: statistics.median(line[key] for line in group) for key in figures if key in group[0]}
        | {"min_ms": min(line.get("min_ms", math.inf) for line in group)}
        | {"times": [line.get("median_ms", line.get("seconds")) for line in group]}
        for group in groups.values()
    ]


def table(head: list[str], rows: list[list]):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def ratio_to_peers(line: dict, group: list[dict], key: str) -> str:
    peers = [other[key] for other in group if other["who"] != "rectify"]
    return f"{line[key] / min(peers):.2f}"


def steps(lines: list[dict], model: str) -> list[list[dict]]:
    """The lines of one activation and as many threads, together."""
    groups = collections.defaultdict(list)
    for line in lines:
        if line["what"] == f"{model}-step":
            groups[line["activation"], line["threads"]].append(line)
    return list(groups.values())


def wrong_loss(line: dict, group: list[dict]) -> bool:
    expected = statistics.median_low(line["loss"] for line in group)
    return abs(line["loss"] / expected - 1) > LOSS_TOLERANCE


def print_steps(groups: list[list[dict]]):
    rows = []
    for group in groups:
        for line in group:
            rows.append([
                line["who"], line["threads"], f"{line['median_ms']:.3f}",
                f"{min(line['times']):.3f} to {max(line['times']):.3f}", f"{line['min_ms']:.3f}",
                ratio_to_peers(line, group, "median_ms"),
                f"{line['loss']:.5f}" + " DIFFERS" * wrong_loss(line, group), f"{line['accuracy']:.3f}",
            ])  # fmt: skip
    head = ["who", "threads", "ms a step", "over rounds", "best block", "of the fastest peer"]
    head += ["test loss, 6 steps", "accuracy, 556"]
    table(head, rows)


def print_steps_by_activation(groups: list[list[dict]]):
    """Milliseconds a step."""
    who = list(dict.fromkeys(line["who"] for group in groups for line in group))
    rows = []
    for group in groups:
        times = {line["who"]: line for line in group}
        ours = [line for line in group if line["who"] == "rectify"]
        rows.append([
            group[0]["activation"], group[0]["threads"],
            *(f"{times[name]['median_ms']:.3f}" + " LOSS DIFFERS" * wrong_loss(times[name], group) for name in who),
            *(ratio_to_peers(line, group, "median_ms") for line in ours),
        ])  # fmt: skip
    table(["activation", "threads", *who] + ["rectify, of the fastest peer"] * ("rectify" in who), rows)


def print_compare(lines: list[dict]):
    group = [line for line in lines if line["what"] == "compare"]
    print("### Three activations, three seeds, five epochs\n")
    plain = next(line for line in group if line["who"] == "torch")
    table(
        ["who", "threads", "seconds", "over rounds", "of torch", "peak MB", "of torch", *plain["accuracy"]],
        [
            [
                line["who"], line["threads"], f"{line['seconds']:.1f}",
                f"{min(line['times']):.1f} to {max(line['times']):.1f}", f"{line['seconds'] / plain['seconds']:.2f}",
                f"{line['peak_mb']:.0f}", f"{line['peak_mb'] / plain['peak_mb']:.2f}",
                *(f"{line['accuracy'][name]:.3f}" for name in plain["accuracy"]),
            ]
            for line in group
        ],
    )  # fmt: skip


def print_products(lines: list[dict]):
    print("### The limit: the 14 matrix products of an MLP step\n")
    rows = [
        [line["who"], line["threads"], f"{line['median_ms']:.3f}", f"{line['gflops']:.0f}"]
        for line in lines if line["what"] == "mlp-products"
    ]  # fmt: skip
    table(["who", "threads", "ms", "GFLOP/s"], rows)


def print_ratios(lines: list[dict], dtype: str, threads: int):
    """Rectify's time over that of the fastest peer, whose training is its forward and its backward pass."""
    times = collections.defaultdict(dict)
    for line in lines:
        if line.get("dtype") == dtype and line["threads"] == threads:
            times[line["elements"], line["who"]][line["what"]] = line["ns_per_element"]
    sizes = [1 << power for power in (10, 14, 20) if (1 << power, "rectify") in times]
    peers = sorted({who for _, who in times} - {"rectify"})

    def ratio(size, name, what):
        ours = times[size, "rectify"].get(f"{name}-{what}")
        parts = ["forward", "backward"] if what == "training" else [what]
        theirs = [
            sum(times[size, who][f"{name}-{part}"] for part in parts)
            for who in peers if all(f"{name}-{part}" in times[size, who] for part in parts)
        ]  # fmt: skip
        return f"{ours / min(theirs):.2f}" if ours and theirs else ""

    what = ["forward", "forward-into", "backward", "backward-into", "training"]
    names = {key.removesuffix("-forward") for size in sizes for key in times[size, "rectify"] if key.endswith("-forward")}
    rows = [[name, *(ratio(size, name, part) for part in what for size in sizes)] for name in sorted(names)]
    if rows and peers:
        print(f"### Of the fastest peer's time, {dtype}, threads: {threads}\n")
        table(["function", *(f"{part} 2^{size.bit_length() - 1}" for part in what for size in sizes)], rows)


def print_by_size(lines: list[dict], dtype: str, threads: int):
    group = [line for line in lines if line.get("dtype") == dtype and line["threads"] == threads]
    if not group:
        return
    sizes = sorted({line["elements"] for line in group})
    print(f"### Nanoseconds an element, {dtype}, threads: {threads}\n")
    rows = {}
    for line in sorted(group, key=lambda line: (line["what"], line["who"] != "rectify")):
        cells = rows.setdefault((line["what"], line["who"]), dict.fromkeys(sizes, ""))
        cells[line["elements"]] = f"{line['ns_per_element']:.3g}"
    table(
        ["what", "who", *(f"2^{size.bit_length() - 1}" for size in sizes)],
        [[*key, *cells.values()] for key, cells in rows.items()],
    )


def main():
    parts = ["step", "compare", "limit", "activation"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", metavar="COMMAND", help="Rectify's harness")
    parser.add_argument("--rectify", metavar="COMMAND", help="the program `rectify`")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--models", nargs="+", choices=["mlp", "cnn"], default=["mlp", "cnn"])
    parser.add_argument("--activations", nargs="+", default=["relu"], help="those of the training steps")
    parser.add_argument("--dtypes", nargs="+", choices=["f32", "bf16", "f16"], default=["f32", "bf16", "f16"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, len(os.sched_getaffinity(0))])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="append every line measured to this file")
    args = parser.parse_args()
    available = len(os.sched_getaffinity(0))
    if not all(1 <= threads <= available for threads in args.threads):
        parser.error(f"--threads: this process may use 1 to {available} processors")
    args.threads = sorted(set(args.threads))

    install()
    lines = []
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        for turn in turns(args):
            new = turn()
            lines += new
            if args.json:
                with args.json.open("a") as file:
                    file.writelines(json.dumps(line) + "\n" for line in new)

    print(f"Rounds: {args.rounds}. Meanwhile other processes kept {statistics.mean(others_busy):.2f} processors busy, ")
    print(f"at most {max(others_busy):.2f} in one turn.\n")
    if max(others_busy) > 0.1:
        print("**The machine was not idle: these figures are doubtful, those of several threads most of all.**\n")
    lines, agree = medians(lines), True
    for model in args.models if "step" in args.only else []:
        groups = steps(lines, model)
        agree &= not any(wrong_loss(line, group) for group in groups for line in group)
        many = len(args.activations) > 1
        print(f"### A training step, {model.upper()}, {'by activation' if many else args.activations[0]}, batch 128\n")
        (print_steps_by_activation if many else print_steps)(groups)
    if "compare" in args.only:
        print_compare(lines)
    if "limit" in args.only:
        print_products(lines)
    for dtype in ("f32", "bf16", "f16"):
        for threads in args.threads:
            print_ratios(lines, dtype, threads)
    for dtype in ("f32", "bf16", "f16"):
        for threads in args.threads:
            print_by_size(lines, dtype, threads)
    if not agree:
        sys.exit("run.py: the losses differ, so the work was not the same")


if __name__ == "__main__":
    main()
