"""Passes over codes: plain and compiled ones agree to the bit, and follow their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels import loops_numpy
from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.loops import loops
from axsim.kernels.qparams import QParams
from axsim.numerics.integer_kernels import exponential_table


def passes():
    try:
        from axsim.kernels import loops_numba
    except ImportError:
        return [loops_numpy]
    return [loops_numpy, loops_numba]


def parameters(rng, dtype, scale):
    top = 255 if dtype == "u8" else 65535
    return QParams(float(np.float32(scale / top)), int(rng.choice([0, top // 3, top])), dtype)


def some(rng, q, shape):
    """Codes with both extremes among them."""
    values = rng.integers(0, q.high + 1, shape).astype(q.numpy)
    values[0, 0], values[-1, -1] = 0, q.high
    return values


DTYPES = st.tuples(*[st.sampled_from(["u8", "u16"])] * 3)


def both(name, y, shape, *arguments):
    """What the plain and the compiled pass write; arguments are fresh copies for each."""
    results = []
    for module in passes():
        out = np.zeros(shape, y.numpy)
        fresh = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        getattr(module, name)(*fresh, y, out)
        results.append(out)
    return results


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 5), width=st.integers(1, 70), kinds=DTYPES, seed=st.integers(0, 999))
def test_every_pass_gives_the_same_bits_plain_and_compiled(rows, width, kinds, seed):
    rng = np.random.default_rng(seed)
    shape = (rows, width)
    x, other, y = (parameters(rng, kind, rng.uniform(0.5, 9)) for kind in kinds)
    a, b = some(rng, x, shape), some(rng, other, shape)
    factor = rng.uniform(-2, 2, width).astype(np.float32)
    bias = rng.standard_normal(width).astype(np.float32)
    multiplier = rng.uniform(1e-6, 1e-2, width).astype(np.float32)
    correction = rng.integers(-(10**6), 10**6, width)
    acc = rng.integers(-(2**30), 2**30, shape).astype(np.int32)
    parts = rng.integers(-(2**30), 2**30, (2 * rows, 2 * width)).astype(np.int32)
    found = {
        "requantise": both("requantise", y, shape, acc, correction, multiplier),
        "requantise wide": both("requantise", y, shape, 1e4 * acc, 1e4 * correction, multiplier),
        "requantise_bytes": both(
            "requantise_bytes", y, shape, parts[:, :width].copy(), correction, multiplier
        ),
        "requantise_byte_pairs": both(
            "requantise_byte_pairs", y, shape, parts, 1e9 * rng.integers(-9, 9, rows),
            1e9 * rng.integers(-9, 9, width), multiplier / 1e6,
        ),
        "softmax": both("softmax", y, shape, a, exponential_table(x)),
        "layer_norm": both("layer_norm", y, shape, a, x, factor, bias, 1e-6),
        "add": both("add", y, shape, a, x, b, other),
        "scale_columns": both("scale_columns", y, shape, a, x, factor),
    }  # fmt: skip
    for name, results in found.items():
        for result in results[1:]:
            assert np.array_equal(result, results[0]), name


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 5), width=st.integers(1, 70), seed=st.integers(0, 999))
def test_fixed_point_gives_the_same_bits_plain_and_compiled(rows, width, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width)) * 10.0 ** rng.integers(-40, 38, (rows, width))
    x = x.clip(-3e38, 3e38).astype(np.float32)
    parts = rng.integers(-(2**30), 2**30, (3 * rows, width)).astype(np.int32)
    shares = 2.0**23 * rng.integers(-(10**6), 10**6, width)
    scale, bias = rng.uniform(0.1, 1, (2, width)).astype(np.float32)
    results = []
    for module in passes():
        codes, grid = np.empty((3 * rows, width), np.uint8), np.empty(rows, np.float32)
        module.to_fixed_point(x, codes, grid)
        y = np.zeros((rows + 2, width + 4), np.float32)
        module.from_fixed_point(parts, grid, shares, scale, bias, y, 1, 3, False)
        rounded = np.zeros_like(y)
        module.from_fixed_point(parts, grid, shares, scale, bias, rounded, 1, 3, True)
        assert np.array_equal(rounded, round_bf16(y))
        results.append((codes, grid, y))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("module", passes())
@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_look_up_and_split(module, dtype):
    q = QParams(0.1, 3, dtype)
    rng = np.random.default_rng(0)
    codes = some(rng, q, (5, 33))
    table = rng.permutation(q.high + 1).astype(np.uint16)
    out = np.empty(codes.shape, np.uint16)
    module.look_up(table, codes, out)
    assert np.array_equal(out, table[codes])
    high, low = np.empty((2, 5, 33), np.uint8)
    sums = np.empty(5)
    module.split_bytes(codes.astype(np.uint16), high, low, sums)
    assert sums.tolist() == codes.sum(axis=1, dtype=int).tolist()
    assert np.array_equal(256 * high.astype(int) + low, codes)


@pytest.mark.parametrize("module", passes())
def test_requantising_rounds_half_to_even_and_saturates(module):
    acc = np.array([[1, 3, 5, -1, 1000, -1000]], np.int32)
    out = np.empty(acc.shape, np.uint8)
    halves, nothing = np.full(6, 0.5, np.float32), np.zeros(6, np.int64)
    module.requantise(acc, nothing, halves, QParams(1.0, 4), out)
    assert out.tolist() == [[4, 6, 6, 4, 255, 0]]


@pytest.mark.parametrize("module", passes())
@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_layer_norm_is_within_one_code_of_float64(module, dtype):
    rng = np.random.default_rng(4)
    x, y = (
        parameters(rng, dtype, 12.0),
        QParams(8 / 255 if dtype == "u8" else 8 / 65535, 120, dtype),
    )
    codes = some(rng, x, (6, 1024))
    codes[2] = 77  # no spread at all: epsilon keeps the result finite
    scale, bias = rng.uniform(0.2, 1, 1024).astype(np.float32), rng.uniform(0, 1, 1024)
    value = (codes.astype(np.float64) - x.zero_point) * x.scale
    value -= value.mean(axis=1, keepdims=True)
    value /= np.sqrt((value**2).mean(axis=1, keepdims=True) + 1e-6)
    exact = (value * scale + bias) / y.scale + y.zero_point
    out = np.empty(codes.shape, y.numpy)
    module.layer_norm(codes, x, scale, bias.astype(np.float32), 1e-6, y, out)
    assert np.abs(out - np.clip(exact, 0, y.high)).max() <= 0.51 + 1e-6 * y.high


def test_compiled_passes_are_used_where_numba_is_installed():
    pytest.importorskip("numba")
    assert loops().__name__.endswith("loops_numba")
