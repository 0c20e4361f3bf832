#!/usr/bin/env python3
"""Processor time and memory of `rectify report`, `--resume` and `diagnose` with made records:
growth.py RECTIFY [sweep|seeds] [RUNS…]

One small training is run for real; its record is copied with other seeds and rates, sealed as Rectify seals it. Two shapes:
a sweep of rates with ten runs a point, and one experiment with so many seeds. Needs Linux. Prints a table.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = [100, 1_000, 10_000, 100_000]
SEEDS = 10
SMALL = "--train-size 256 --hidden 16,16 --epochs 2 --activations relu --quiet".split()


class Template:
    """A record that differs from run to run in seed and rate alone, written once: Python's JSON is slow."""

    SEED, RATE = 987654321, 0.123456789

    def __init__(self, record, metrics):
        record["experiment"]["seed"], record["experiment"]["lr"], record["run"]["seed"] = [self.SEED], self.RATE, self.SEED
        self.text, self.metrics = json.dumps(record, indent=2, ensure_ascii=False), metrics

    def write(self, folder, seed, rate):
        text = self.text.replace(str(self.SEED), str(seed)).replace(str(self.RATE), str(rate))
        digest = hashlib.sha256(text.encode()).hexdigest()
        run = folder / "runs" / f"relu-seed{seed}"
        run.mkdir(parents=True)
        (run / "run.json").write_text(text[:2] + f'  "sha256": "{digest}",\n' + text[2:])
        (run / "metrics.jsonl").write_bytes(self.metrics)


def read(folder):
    run = next((folder / "runs").iterdir())
    record = json.loads((run / "run.json").read_text())
    del record["sha256"]
    rate = record["experiment"]["lr"]
    return Template(record, (run / "metrics.jsonl").read_bytes()), rate


def measured(command):
    """Processor seconds and peak MB of a command that must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{error}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def make_sweep(rectify, work, runs):
    folder = work / "sweep"
    rates = [round(0.01 + i * 1e-6, 6) for i in range(runs // SEEDS)]
    subprocess.run([rectify, "compare", *SMALL, "--seeds", "1", "--sweep", "lr=0.01", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    point = folder / "points" / "lr=0.01"
    template, _ = read(point)
    config = (point / "config.toml").read_text().replace("seeds = 1", f"seeds = {SEEDS}")
    shutil.rmtree(folder / "points")
    for rate in rates:
        point = folder / "points" / f"lr={rate}"
        for seed in range(SEEDS):
            template.write(point, seed, rate)
        (point / "config.toml").write_text(config.replace("lr = 0.01", f"lr = {rate}"))
    root = (folder / "config.toml").read_text().replace("seeds = 1", f"seeds = {SEEDS}")
    (folder / "config.toml").write_text(root.replace("lr = [0.01]", f"lr = {rates}"))
    return folder


def make_grid(rectify, work, runs):
    folder = work / "grid"
    subprocess.run([rectify, "compare", *SMALL, "--seeds", "1", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    template, rate = read(folder)
    for seed in range(1, runs):
        template.write(folder, seed, rate)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("seeds = 1", f"seeds = {runs}"))
    return folder


def main():
    rectify = Path(sys.argv[1]).resolve()
    shapes = {"sweep": make_sweep, "seeds": make_grid}
    wanted = [name for name in sys.argv[2:] if name in shapes] or shapes
    sizes = [int(size) for size in sys.argv[2:] if size not in shapes] or RUNS
    keep = os.environ.get("GROWTH_KEEP")
    print("| shape | runs | report s | MB | --resume s | MB | diagnose s | MB | page MB | results MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in wanted:
        for size in sizes:
            work = Path(tempfile.mkdtemp(prefix="growth-"))
            try:
                folder = shapes[name](rectify, work, size)
                cells = []
                for command in (["report", folder, "--quiet"], ["compare", "--resume", folder, "--quiet"], ["diagnose", folder, "--quiet"]):
                    seconds, megabytes = measured([rectify, *command])
                    cells += [f"{seconds:.2f}", f"{megabytes:.0f}"]
                results = folder / ("sweep.json" if name == "sweep" else "results.json")
                cells += [f"{path.stat().st_size / 1e6:.1f}" for path in (folder / "report.html", results)]
                print(f"| {name} | {size} | " + " | ".join(cells) + " |", flush=True)
            finally:
                if not keep:
                    shutil.rmtree(work)


main()
