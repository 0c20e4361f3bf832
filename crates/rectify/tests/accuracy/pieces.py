"""Writes crates/rectify/src/number/pieces/tables.rs: for each function eight polynomials in z = |x|, fitted from 40 digits.

    pip install mpmath numpy
    python pieces.py > ../../src/number/pieces/tables.rs

What f32 arithmetic makes of them goes to the standard error: the largest error of the fit, and in units in the last place
that of 1 000 numbers in each piece.
"""

import sys

import numpy as np
from mpmath import diff, erfc, exp, findroot, mp, mpf, pi, sqrt, tanh

mp.dps = 40
f32 = np.float32


def sigmoid(x):
    return 1 / (1 + exp(-x))


def sigmoid_slope(x):
    return sigmoid(x) * sigmoid(-x)


def q(z):
    return erfc(z / sqrt(mpf(2))) / 2


def density(z):
    return exp(-z * z / 2) / sqrt(2 * pi)


A = sqrt(8 / pi)
B = A * mpf("0.044715")


def argument(x):
    return x * (A + B * x * x)


def gelu_tanh_slope(x):
    s = sigmoid(argument(x))
    return s * (1 + x * (1 - s) * (A + 3 * B * x * x))


def silu_slope(x):
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


# How the function is made of its pieces, these as functions of z, their first term at 0 (power and factor) or a guess of
# their zero, where they end, the degree, and how pieces are laid out: 2^bits in each octave from
# `edge` on, in falling order where that is negative, the first without a part of it.
FUNCTIONS = {
    "TANH": ("Odd", tanh, (1, 1), None, 9.02, 7, (1, 1.5, 0)),
    "TANH_SLOPE": ("Even", lambda z: 4 * sigmoid_slope(2 * z), (0, 1), None, 4.5, 7, (3, 1, 0)),
    "SIGMOID_SLOPE": ("Even", sigmoid_slope, (0, mpf(1) / 4), None, 9, 7, (3, 1, 0)),
    "TANH_SHRINK": ("Cube", lambda z: (z - tanh(z)) / z**3, None, None, 5, 7, (2, 1.5, 0.3)),
    "TANH_SHRINK_SLOPE": ("Square", lambda z: (tanh(z) / z) ** 2, None, None, 5, 7, (2, 1.5, 0.3)),
    "GELU": ("Gate", lambda z: z * q(z), (1, mpf(1) / 2), None, 4.5, 8, (3, -1.625, 0.3)),
    "GELU_SLOPE": ("GateSlope", lambda z: q(z) - z * density(z), None, 0.75, 4, 8, (3, -2, 0.3)),
    "GELU_TANH": ("Gate", lambda z: z * sigmoid(-argument(z)), (1, mpf(1) / 2), None, 4.0, 8, (3, -1.625, 0.1)),
    "GELU_TANH_SLOPE": ("GateSlope", lambda z: gelu_tanh_slope(-z), None, 0.75, 3.75, 8, (3, -1.75, 0.2)),
    "SILU_SLOPE": ("GateSlope", lambda z: silu_slope(-z), None, 1.28, 9, 8, (3, 1.25, 0.35)),
}


def edges(bits, edge):
    """Numbers whose last `bits` bits before the rest are consecutive."""
    shift = 23 - bits
    first = int(np.array(abs(edge), f32).view(np.uint32)) >> shift
    found = [float(np.array((first + i) << shift, np.uint32).view(f32)) for i in range(9)]
    return shift, found[::-1] if edge < 0 else found


def fit(y, h, powers, weights):
    """Coefficients whose largest relative error is small: least squares, weighted anew by the errors."""
    scale = np.abs(h).max()
    rows = np.stack([(h / scale) ** power for power in powers], 1) / weights[:, None]
    right, w = y / weights, np.ones_like(y)
    for _ in range(12):
        found = np.linalg.lstsq(rows * w[:, None], right * w, rcond=None)[0]
        error = np.abs(rows @ found - right)
        w *= (error / max(error.max(), 1e-300) + 0.02) ** 0.5
        w /= w.max()
    return found / scale ** np.array(powers, float)


def centre_of(f, low, high):
    """A number in the middle at which f and its slope are f32, nearly (Gal 1986), so that rounding them loses nothing."""
    middle = f32((low + high) / 2)
    lost = lambda value: abs(float((value - mpf(float(f32(value)))) / np.spacing(f32(abs(value)))))
    candidates = []
    for i in range(-3000, 3000):
        c = mpf(float(f32(middle + i * f32((high - low) / 50000))))
        value = lost(f(c))
        if value < 0.03:
            candidates.append((max(value, lost(diff(f, c))), float(c)))
    return f32(min(candidates)[1])


def evaluate(coefficients, h):
    p = np.full_like(h, coefficients[-1])
    for c in coefficients[-2::-1]:
        # Fused, as far as a long double shows it.
        p = (p.astype(np.longdouble) * h.astype(np.longdouble) + np.longdouble(c)).astype(f32)
    return p


def exact(f, z):
    return np.array([float(f(mpf(float(t)))) for t in z])


def piece(f, low, high, degree, first, root, generator):
    x = np.cos(np.pi * (np.arange(200) + 0.5) / 200)
    z = np.unique(((low + high) / 2 + (high - low) / 2 * x).astype(f32)).astype(float)
    z = z[z > 2.0**-8 * high]
    known = {}
    if first:
        centre, known = f32(0), {power: f32(0) for power in range(first[0])} | {first[0]: f32(first[1])}
    elif root:
        centre = f32(root)
        known = {0: f32(f(mpf(float(centre))))}
    else:
        centre = centre_of(f, low, high)
        known = {0: f32(f(mpf(float(centre)))), 1: f32(diff(f, mpf(float(centre))))}
    y, h = exact(f, z), z - float(centre)
    weights = np.abs(y)
    rest = y - sum(float(c) * h**power for power, c in known.items())
    # Each is rounded before the next ones are fitted.
    coefficients = dict(known)
    for top in range(degree, max(known), -1):
        powers = list(range(max(known) + 1, top + 1))
        c = f32(fit(rest, h, powers, weights)[-1])
        coefficients[top] = c
        rest = rest - float(c) * h**top
    table = [coefficients[power] for power in range(degree + 1)]
    sample = generator.uniform(low, high, 1000).astype(f32)
    if first:
        sample = np.concatenate([sample, (high * 2.0 ** generator.uniform(-20, 0, 300)).astype(f32)])
    if root:
        sample = np.concatenate([sample, (root + generator.choice([-1, 1], 300) * 2.0 ** generator.uniform(-24, -3, 300)).astype(f32)])
    truth = exact(f, sample)
    unit = np.exp2(np.floor(np.log2(np.abs(truth))) - 23)
    error = np.abs(evaluate(table, (sample - centre).astype(f32)) - truth) / unit
    return centre, table, np.abs(rest / weights).max(), error.max()


def rows(values):
    return ", ".join(np.format_float_positional(v, unique=True, trim="0") if 1e-3 < abs(v) < 1e6 or v == 0 else str(v) for v in values)


print("//! Made by `tests/accuracy/pieces.py`.\n\nuse super::{Pieces, Side};")
for name, (side, f, first, guess, end, degree, (bits, edge, without)) in FUNCTIONS.items():
    root = float(findroot(f, mpf(guess))) if guess else None
    shift, numbers = edges(bits, edge)
    start = f32(numbers[0] + without * (numbers[1] - numbers[0]))
    # The end itself is within the last piece, also when it is rounded.
    scale = f32((numbers[8] - start) / (1.001 * end))
    # Pieces stand where the last three bits say.
    places = [int(np.array(min(numbers[k], numbers[k + 1]), f32).view(np.uint32)) >> shift & 7 for k in range(8)]
    place_of = lambda z: int(f32(z * float(scale) + float(start)).view(np.uint32)) >> shift & 7
    assert (place_of(0), place_of(end)) == (places[0], places[7]), name
    centres, table, generator = [None] * 8, [None] * 8, np.random.default_rng(0)
    print(f"{name}:", file=sys.stderr)
    for k in range(8):
        low, high = (max((numbers[i] - float(start)) / float(scale), 0.0) for i in (k, k + 1))
        has_root = root is not None and low <= root <= high
        centre, found, error, units = piece(f, low, high, degree, first if k == 0 else None, root if has_root else None, generator)
        centres[places[k]], table[places[k]] = centre, found
        print(f"    {low:.3f} to {high:.3f}: 2^{np.log2(error):.1f}, {units:.2f} units", file=sys.stderr)
    print(f"""
pub(crate) static {name}: Pieces = Pieces {{
    side: Side::{side},
    bound: {'f32::INFINITY' if name == 'TANH' else f'{end:.2f}'},
    end: {end:.2f},
    scale: {rows([scale])},
    start: {rows([start])},
    shift: {shift},
    centre: [{rows(centres)}],
    coefficients: &[""")
    for power in range(degree, -1, -1):
        print(f"        [{rows([table[k][power] for k in range(8)])}],")
    print("    ],\n};")
