#!/usr/bin/env python3
"""Draws the test accuracy by epoch of each activation of an experiment, as one figure.

    rectify compare --out runs/mine
    examples/learning_curves.py runs/mine accuracy.png

Needs pandas and matplotlib. `rectify export runs/mine --metrics metrics.csv` gives the same numbers as one table.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd


def epochs(run: Path) -> pd.DataFrame:
    """The epochs of a run, as it measured them."""
    lines = pd.read_json(run / "metrics.jsonl", lines=True)
    # As in relu-seed0.
    activation, _, seed = run.name.rpartition("-seed")
    return lines[lines["kind"] == "epoch"].assign(activation=activation, seed=int(seed))


def main(folder: str, figure: str) -> None:
    runs = sorted((Path(folder) / "runs").iterdir())
    table = pd.concat(epochs(run) for run in runs if (run / "metrics.jsonl").exists())
    by_epoch = table.groupby(["activation", "epoch"])["test_accuracy"].agg(["mean", "min", "max"]).reset_index()
    _, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for activation, curve in by_epoch.groupby("activation"):
        (line,) = axes.plot(curve["epoch"], curve["mean"], marker="o", label=activation)
        axes.fill_between(curve["epoch"], curve["min"], curve["max"], color=line.get_color(), alpha=0.2)
    axes.set(xlabel="epoch", ylabel="test accuracy, mean and range over seeds")
    axes.legend()
    plt.savefig(figure, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
