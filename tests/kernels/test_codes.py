"""Passes over codes: plain and compiled ones agree to the bit, and follow their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels import codes as passes
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import compiled
from axsim.numerics.integer_kernels import exponential_table
from tests.kernels.twins import both


def parameters(rng, dtype, scale):
    top = 255 if dtype == "u8" else 65535
    return QParams(float(np.float32(scale / top)), int(rng.choice([0, top // 3, top])), dtype)


def some(rng, q, shape):
    """Codes with both extremes among them."""
    values = rng.integers(0, q.high + 1, shape).astype(q.numpy)
    values[0, 0], values[-1, -1] = 0, q.high
    return values


DTYPES = st.tuples(*[st.sampled_from(["u8", "u16"])] * 3)


def results(name, y, shape, *arguments):
    """What the plain and the compiled pass write; arguments are fresh copies for each."""
    written = []
    for function in both(getattr(passes, name)):
        out = np.zeros(shape, y.numpy)
        fresh = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        function(*fresh, y, out)
        written.append(out)
    return written


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 5), width=st.integers(1, 70), kinds=DTYPES, seed=st.integers(0, 999))
def test_every_pass_gives_the_same_bits_plain_and_compiled(rows, width, kinds, seed):
    rng = np.random.default_rng(seed)
    shape = (rows, width)
    x, other, y = (parameters(rng, kind, rng.uniform(0.5, 9)) for kind in kinds)
    a, b = some(rng, x, shape), some(rng, other, shape)
    factor = rng.uniform(-2, 2, width).astype(np.float32)
    bias = rng.standard_normal(width).astype(np.float32)
    found = {
        "softmax": results("softmax", y, shape, a, exponential_table(x)),
        "layer_norm": results("layer_norm", y, shape, a, x, factor, bias, 1e-6),
        "add": results("add", y, shape, a, x, b, other),
        "scale_columns": results("scale_columns", y, shape, a, x, factor),
    }
    for name, written in found.items():
        assert np.array_equal(*written), name


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 5), width=st.integers(1, 70), seed=st.integers(0, 999))
def test_whole_numbers_have_the_same_bits_plain_and_compiled(rows, width, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width)) * 10.0 ** rng.integers(-40, 38, (rows, width))
    x = x.clip(-3e38, 3e38).astype(np.float32)
    results = []
    for to_fixed_point in both(passes.to_fixed_point):
        codes, grid = np.empty((3 * rows, width), np.uint8), np.empty(rows, np.float32)
        to_fixed_point(x, codes, grid)
        results.append((codes, grid))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("look_up", both(passes.look_up))
@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_look_up(look_up, dtype):
    q = QParams(0.1, 3, dtype)
    rng = np.random.default_rng(0)
    codes = some(rng, q, (5, 33))
    table = rng.permutation(q.high + 1).astype(np.uint16)
    out = np.empty(codes.shape, np.uint16)
    look_up(table, codes, out)
    assert np.array_equal(out, table[codes])


@pytest.mark.parametrize("split_bytes", both(passes.split_bytes))
def test_split_bytes(split_bytes):
    codes = some(np.random.default_rng(0), QParams(0.1, 3, "u16"), (5, 33))
    high, low = np.empty((2, 5, 33), np.uint8)
    split_bytes(codes, high, low)
    assert np.array_equal(256 * high.astype(int) + low, codes)


@pytest.mark.parametrize("layer_norm", both(passes.layer_norm))
@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_layer_norm_is_within_one_code_of_float64(layer_norm, dtype):
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
    layer_norm(codes, x, scale, bias.astype(np.float32), 1e-6, y, out)
    assert np.abs(out - np.clip(exact, 0, y.high)).max() <= 0.51 + 1e-6 * y.high


def test_compiled_passes_are_used_where_numba_is_installed():
    pytest.importorskip("numba")
    assert compiled("axsim.kernels.codes_numba") is not None
