"""Reads what Rectify exports with the tools that it is for.

    read_back.py METRICS.csv RESULTS.json RUN_FOLDER [METRICS.parquet]
"""

import json
import math
import sys

import pandas
import polars
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def check_table(rows, results):
    """`rows` are dictionaries, one a row of the table."""
    epochs = [row for row in rows if row["kind"] == "epoch"]
    expected = [(run, epoch) for run in results["runs"] for epoch in run["epochs"]]
    assert len(epochs) == len(expected) > 0
    for row, (run, epoch) in zip(epochs, expected):
        assert (row["activation"], row["seed"], row["epoch"]) == (run["activation"], run["seed"], epoch["epoch"])
        for name in ("test_accuracy", "validation_loss", "train_loss"):
            assert row[name] == epoch[name], (name, row[name], epoch[name])
    layers = [row for row in rows if row["kind"] == "layer"]
    expected = [layer for _, epoch in expected for layer in epoch["layers"]]
    assert [row["layer"] for row in layers[: len(expected)]] == [layer["layer"] for layer in expected]
    assert [row["weight_grad_rms"] for row in layers] == [layer["weight_grad_rms"] for layer in expected]
    steps = [row for row in rows if row["kind"] == "step"]
    assert len(steps) == sum(run["steps"] for run in results["runs"])
    assert all(row["batch_loss"] > 0 for row in steps)


def check_tensorboard(folder, run):
    events = EventAccumulator(folder, size_guidance={"scalars": 0, "histograms": 0}).Reload()
    scalars = lambda tag: [(event.step, event.value) for event in events.Scalars(tag)]
    for metric in ("test_accuracy", "validation_loss"):
        expected = [(epoch["step"], epoch[metric]) for epoch in run["epochs"]]
        found = scalars(f"epoch/{metric}")
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert all(math.isclose(a, b, rel_tol=1e-6) for (_, a), (_, b) in zip(found, expected))
    assert [step for step, _ in scalars("step/batch_loss")] == list(range(1, run["steps"] + 1))
    layer = run["epochs"][-1]["layers"][0]
    last = scalars(f"weight_grad_rms/{layer['layer']}")[-1][1]
    assert math.isclose(last, layer["weight_grad_rms"], rel_tol=1e-6)
    histogram = events.Histograms(f"activation/{layer['layer']}")[-1].histogram_value
    assert histogram.num == sum(layer["histogram"]["counts"]) > 0
    assert list(histogram.bucket) == layer["histogram"]["counts"]
    print(f"tensorboard: {len(events.Tags()['scalars'])} scalars, {len(events.Tags()['histograms'])} histograms")


def main(csv, results, folder, parquet=None):
    results = json.load(open(results))
    check_table(pandas.read_csv(csv, float_precision="round_trip").to_dict("records"), results)
    check_table(polars.read_csv(csv, infer_schema_length=None).to_dicts(), results)
    if parquet:
        check_table(pandas.read_parquet(parquet).to_dict("records"), results)
        check_table(polars.read_parquet(parquet).to_dicts(), results)
    check_tensorboard(folder, results["runs"][0])


main(*sys.argv[1:])
