#!/usr/bin/env python3
"""Long trainings, large data and deep networks, seconds and memory: large.py RECTIFY

Memory is that a tenth of the way, at the end, and the most. Needs Linux. Prints a table.
"""

import gzip
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(sys.argv[1]).resolve()


def resident(pid):
    """Megabytes, now; None where the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return None
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(kilobytes[0]) / 1024 if kilobytes else None


def run(*arguments):
    """Seconds, and the memory over time as (seconds, megabytes)."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as says:
        process = subprocess.Popen([PROGRAM, *arguments, "--quiet"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=says)
        memory = []
        while process.poll() is None:
            now = resident(process.pid)
            if now is not None:
                memory.append((time.monotonic() - began, now))
            time.sleep(0.02)
        if process.returncode != 0:
            says.seek(0)
            raise SystemExit(f"{arguments}: {says.read()}")
    return time.monotonic() - began, memory


def row(what, seconds, memory):
    tenth = [megabytes for at, megabytes in memory if at <= max(0.1 * seconds, 1.0)][-1]
    most = max(megabytes for _, megabytes in memory)
    print(f"| {what} | {seconds:.1f} | {tenth:.0f} | {memory[-1][1]:.0f} | {most:.0f} |", flush=True)


def ten_times_mnist(folder):
    source = ROOT / "datasets" / "mnist"
    for kind, header in [("images-idx3", 16), ("labels-idx1", 8)]:
        data = gzip.decompress((source / f"train-{kind}-ubyte.gz").read_bytes())
        magic, count = struct.unpack(">II", data[:8])
        with open(folder / f"train-{kind}-ubyte", "wb") as file:
            file.write(struct.pack(">II", magic, 10 * count) + data[8:header])
            for _ in range(10):
                file.write(data[header:])
        shutil.copy(source / f"t10k-{kind}-ubyte.gz", folder)


def main():
    print("| what | seconds | MB after a tenth | MB at the end | most |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        small = ["train", "--activation", "relu", "--hidden", "8", "--batch-size", "6", "--train-size", "50000"]
        row("100 000 steps, 12 epochs", *run(*small, "--steps", "100000", "--out", str(folder / "long")))
        deep = ["train", "--activation", "relu", "--hidden", ",".join(["32"] * 200), "--train-size", "10000"]
        row("200 hidden layers, one epoch", *run(*deep, "--epochs", "1", "--out", str(folder / "deep")))
        row("its diagnosis", *run("diagnose", str(folder / "deep")))
        row("its report", *run("report", str(folder / "deep")))
        data = folder / "data"
        data.mkdir()
        ten_times_mnist(data)
        large = ["train", "--activation", "relu", "--dataset", str(data), "--epochs", "1"]
        row("600 000 samples, one epoch", *run(*large, "--out", str(folder / "large")))


main()
