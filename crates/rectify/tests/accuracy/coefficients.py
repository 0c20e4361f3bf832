"""The coefficients of crates/rectify/src/number and of the roots in src/activation, from 50 digits.

    pip install mpmath
    python coefficients.py
"""

import struct

from mpmath import atanh, cos, diff, erfc, exp, findroot, linspace, log, lu_solve, matrix, mp, mpf, ncdf, pi, sqrt, tanh, taylor

mp.dps = 50


def nodes(low, high, count):
    return [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def polynomial(f, low, high, degree):
    """By interpolation in Chebyshev's nodes, which is near the best."""
    x = nodes(mpf(low), mpf(high), degree + 1)
    a = matrix([[value**power for power in range(degree + 1)] for value in x])
    return list(lu_solve(a, matrix([f(value) for value in x])))


def rational(f, low, high, above, below):
    """P / Q with Q(0) = 1, whose relative error is small: least squares, linearised about the last denominator."""
    x = nodes(mpf(low), mpf(high), 8 * (above + below))
    weights = [mpf(1)] * len(x)
    for _ in range(8):
        rows, right = [], []
        for value, weight in zip(x, weights):
            scale = weight / f(value)
            rows.append([scale * value**power for power in range(above + 1)]
                        + [-scale * f(value) * value**power for power in range(1, below + 1)])
            right.append(scale * f(value))
        solution = list(lu_solve(matrix(rows), matrix(right)))
        p, q = solution[: above + 1], [mpf(1)] + solution[above + 1 :]
        weights = [1 / evaluate(q, value) for value in x]
    return p, q


def evaluate(coefficients, x):
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def show(name, coefficients, digits=17):
    print(f"{name}: [" + ", ".join(mp.nstr(c, digits) for c in coefficients) + "]")


def worst(name, found, f, low, high):
    error = max(abs(found(x) / f(x) - 1) for x in linspace(mpf(low), mpf(high), 1001))
    print(f"    {name}: relative error 2^{mp.nstr(log(error, 2), 4)}")


half = log(mpf(2)) / 2
rest = lambda r: (exp(r) - 1 - r) / r**2 if abs(r) > mpf(10) ** -12 else mpf(1) / 2 + r / 6
for name, degree in [("exp, f32", 5), ("exp, wide", 6)]:
    p = polynomial(rest, -half, half, degree)
    show(name, p)
    worst(name, lambda r: 1 + r + r**2 * evaluate(p, r), exp, -half, half)

series = lambda z: (atanh(sqrt(z)) / sqrt(z) - 1) / z if z else mpf(1) / 3
for name, degree in [("log1p, f32", 4), ("log1p, wide", 7)]:
    p = polynomial(series, mpf(10) ** -20, mpf(1) / 9, degree)
    show(name, p)
    worst(name, lambda z: 1 + z * evaluate(p, z), lambda z: 1 + z * series(z), mpf(10) ** -20, mpf(1) / 9)

tail = lambda z: exp(z * z / 2) * erfc(z / sqrt(mpf(2))) / 2
for above, below in [(5, 6)]:
    p, q = rational(tail, 0, 15, above, below)
    show(f"normal tail {above}/{below}, above", p)
    show(f"normal tail {above}/{below}, below", q)
    worst("normal tail", lambda z: evaluate(p, z) / evaluate(q, z), tail, 0, 15)

single = lambda x: mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def single_polynomial(f, low, high, degree):
    """By least squares of the relative error, each coefficient rounded to f32 before the next ones are fitted."""
    x = nodes(mpf(low), mpf(high), 40)
    p = []
    for first in range(degree + 1):
        rows = matrix([[value ** power / f(value) for power in range(first, degree + 1)] for value in x])
        right = matrix([1 - evaluate(p, value) / f(value) for value in x])
        p.append(single(lu_solve(rows, right)[0]))
    return p


centre = mpf("0.140625")
zero = findroot(lambda z: tail(z) - z / sqrt(2 * pi), 0.75)
z = lambda v: 1 / (v + centre) - 4
for name, f in {
    "S": lambda v: tail(z(v)) / (v + centre),
    "K": lambda v: (tail(z(v)) - z(v) / sqrt(2 * pi)) / (zero - z(v)),
}.items():
    low, high = 1 / mpf("18.6") - centre, mpf(1) / 4 - centre
    p = single_polynomial(f, low, high, 9)
    show(f"gelu, f32, {name}", p, 9)
    worst(f"gelu, f32, {name}", lambda v: evaluate(p, v), f, low, high)

shrink = lambda z: (sqrt(z) - tanh(sqrt(z))) / z ** mpf("1.5")
for name, f, high, degree in [
    ("(x - tanh x) / x^3", shrink, mpf("0.81"), 7),
    ("(tanh x / x)^2", lambda z: tanh(sqrt(z)) ** 2 / z, mpf(1) / 16, 4),
]:
    p = single_polynomial(f, mpf(10) ** -9, high, degree)
    show(f"{name}, f32", p, 9)
    worst(f"{name}, f32", lambda z: evaluate(p, z), f, mpf(10) ** -9, high)

p, q = rational(shrink, mpf(10) ** -12, mpf("2.25"), 3, 4)
show("(x - tanh x) / x^3, above", [c / p[0] for c in p])
show("(x - tanh x) / x^3, below", [c / p[0] for c in q])
worst("(x - tanh x) / x^3", lambda z: evaluate(p, z) / evaluate(q, z), shrink, mpf(10) ** -12, mpf("2.25"))

sigmoid = lambda x: 1 / (1 + exp(-x))
functions = {
    "silu": (lambda x: x * sigmoid(x), -1.28),
    "gelu": (lambda x: x * ncdf(x), -0.75),
    "gelu_tanh": (lambda x: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + mpf("0.044715") * x**3))), -0.75),
    "mish": (lambda x: x * tanh(log(1 + exp(x))), -1.19),
}
for name, (f, guess) in functions.items():
    root = findroot(lambda x: diff(f, x), mpf(guess))
    high = mpf(float(root))
    show(f"{name}: root of the slope, in two", [high, root - high], 20)
    coefficients = taylor(f, root, 17)
    show(f"{name}: slope / (x - root)", [(n + 2) * coefficients[n + 2] for n in range(16)])
