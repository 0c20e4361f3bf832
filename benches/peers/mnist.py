"""MNIST from gzipped IDX, standardised with the mean and deviation of the training file's pixels."""

import gzip
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "datasets" / "mnist"


def _idx(name: str, magic: int, dimensions: int) -> np.ndarray:
    raw = gzip.decompress((FOLDER / f"{name}.gz").read_bytes())
    header = np.frombuffer(raw, ">i4", 1 + dimensions)
    if header[0] != magic:
        raise ValueError(f"{FOLDER / name}.gz: magic {header[0]}, expected {magic}")
    return np.frombuffer(raw, np.uint8, offset=header.nbytes).reshape(header[1:])


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images [60000, 784] f32, training labels [60000] i32, test images [10000, 784], test labels."""
    train = _idx("train-images-idx3-ubyte", 2051, 3)
    test = _idx("t10k-images-idx3-ubyte", 2051, 3)
    # By counts of the 256 values: `train.std()` would copy the whole set to f64.
    counts = np.bincount(train.ravel(), minlength=256)
    mean = counts @ np.arange(256) / train.size
    std = np.sqrt(counts @ (np.arange(256) - mean) ** 2 / train.size)
    standard = ((np.arange(256) - mean) / std).astype(np.float32)
    standardised = [standard[part.reshape(len(part), -1)] for part in (train, test)]
    labels = [_idx(f"{part}-labels-idx1-ubyte", 2049, 1).astype(np.int32) for part in ("train", "t10k")]
    return standardised[0], labels[0], standardised[1], labels[1]
