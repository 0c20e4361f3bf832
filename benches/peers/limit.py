"""This machine's limits, as JSON lines: copy bandwidth by array size, and the 14 matrix products of an MLP step.

The products are timed in Intel MKL (inside PyTorch) and OpenBLAS (inside NumPy), each with its own threads inside every
product, and with the batch split over threads that join once a step.
"""

import argparse
import ctypes
import json
import statistics
import subprocess
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
BATCH, FLOP = 128, 2 * 128 * (2 * 784 * 128 + 3 * 3 * 128 * 128 + 3 * 128 * 10)


def build() -> ctypes.CDLL:
    library = HERE / ".venv" / "liblimit.so"
    flags = ["-O3", "-mavx2", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(HERE / "limit.c"), "-o", str(library)], check=True)
    limit = ctypes.CDLL(str(library))
    limit.copy_seconds.restype = limit.products_seconds.restype = ctypes.c_double
    return limit


def aligned(floats: int) -> np.ndarray:
    """Random numbers at a multiple of 64 bytes."""
    buffer = np.random.default_rng(0).standard_normal(floats + 16, np.float32)
    return buffer[-buffer.ctypes.data % 64 // 4 :][:floats]


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def copies(limit: ctypes.CDLL, threads: int):
    for power in range(10, 25, 2):
        n = 1 << power
        source, target = aligned(n), aligned(n)
        repeats = max(3, (1 << 26) // n // 4)

        def once(count: int, streaming: int) -> float:
            return limit.copy_seconds(pointer(target), pointer(source), ctypes.c_int64(n), count, streaming, repeats)

        # Whatever is fastest here is the limit: ordinary or streaming stores, one thread or all.
        ways = [(count, streaming) for count in {1, threads} for streaming in (0, 1)]
        seconds = min(statistics.median(once(*way) for _ in range(5)) for way in ways)
        yield {
            "who": "copy", "what": "copy", "dtype": "f32", "elements": n,
            "ns_per_element": seconds / n * 1e9, "gb_per_second": 8 * n / seconds / 1e9,
        }  # fmt: skip


def products(limit: ctypes.CDLL, threads: int):
    import torch

    mkl = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    openblas = ctypes.CDLL(str(next((Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas64_*"))))
    libraries = {
        "MKL": (mkl.sgemm_, torch.set_num_threads),
        "OpenBLAS": (openblas.scipy_sgemm_64_, openblas.scipy_openblas_set_num_threads64_),
    }
    memory = aligned(threads << 20)
    for name, (sgemm, set_threads) in libraries.items():
        for parts in sorted({1, threads}):
            # A split batch has its threads already.
            set_threads(threads if parts == 1 else 1)

            def once() -> float:
                function = ctypes.cast(sgemm, ctypes.c_void_p)
                return limit.products_seconds(function, ctypes.c_int64(BATCH), parts, pointer(memory), 200)

            seconds = statistics.median(once() for _ in range(7))
            how = "" if threads == 1 else ", threads inside each product" if parts == 1 else ", batch split"
            yield {
                "who": name + how, "what": "mlp-products",
                "median_ms": seconds * 1e3, "gflops": FLOP / seconds / 1e9,
            }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True, help="the process must be confined to as many processors")
    args = parser.parse_args()
    limit = build()
    for measure in (copies, products):
        for line in measure(limit, args.threads):
            print(json.dumps(line | {"threads": args.threads}), flush=True)


if __name__ == "__main__":
    main()
