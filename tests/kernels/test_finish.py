"""Finishes: plain and compiled ones agree to the bit, and follow their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.finish import FromFixedPoint, Requantise, finished
from axsim.kernels.qparams import QParams
from tests.kernels.test_codes import parameters
from tests.kernels.twins import both

BYTES = st.sampled_from([1, 2])


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 5), width=st.integers(1, 70), left=BYTES, right=BYTES,
    kind=st.sampled_from(["u8", "u16"]), seed=st.integers(0, 999),
)  # fmt: skip
def test_requantising_gives_the_same_bits_plain_and_compiled(rows, width, left, right, kind, seed):
    rng = np.random.default_rng(seed)
    sums = rng.integers(-(2**30), 2**30, (left * rows, right, width)).astype(np.int32)
    shift = rng.integers(-(10**6), 10**6, width)
    multiplier = rng.uniform(1e-6, 1e-2, width).astype(np.float32)
    multiplier /= np.float32(256.0 ** (left + right - 2))
    finish = Requantise(shift, multiplier, parameters(rng, kind, 3.0))
    results = np.zeros((2, rows, width + 4), finish.y.numpy)
    for function, out in zip(both(finished), results, strict=True):
        function(finish, sums.copy(), out, 3)
    assert np.array_equal(*results)
    planes = sums.astype(object).reshape(left, rows, right, width)
    exact = sum(
        256 ** (left + right - 2 - p - q) * planes[p, :, q]
        for p in range(left)
        for q in range(right)
    )
    steps = np.rint((exact + shift).astype(np.float32) * multiplier) + finish.y.zero_point
    assert np.array_equal(results[0][:, 3:-1], np.clip(steps, finish.y.low, finish.y.high))
    assert not results[0][:, :3].any()
    assert not results[0][:, -1].any()


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 5), width=st.integers(1, 70), seed=st.integers(0, 999))
def test_fixed_point_gives_the_same_bits_plain_and_compiled(rows, width, seed):
    rng = np.random.default_rng(seed)
    parts = rng.integers(-(2**30), 2**30, (3 * rows, 1, width)).astype(np.int32)
    grid = 2.0 ** rng.integers(-122, 90, rows)
    shares = 2.0**23 * rng.integers(-(10**6), 10**6, width)
    scale, bias = rng.uniform(0.1, 1, (2, width)).astype(np.float32)
    results = []
    for function in both(finished):
        y, rounded = np.zeros((2, rows, width + 4), np.float32)
        vectors = grid.astype(np.float32), -shares, scale, bias
        function(FromFixedPoint(*vectors), parts.copy(), y, 3)
        function(FromFixedPoint(*vectors, to_bf16=True), parts.copy(), rounded, 3)
        assert np.array_equal(rounded, round_bf16(y))
        results.append(y)
    assert np.array_equal(*results)


@pytest.mark.parametrize("function", both(finished))
def test_requantising_rounds_half_to_even_and_saturates(function):
    acc = np.array([[[1, 3, 5, -1, 1000, -1000]]], np.int32)
    out = np.empty((1, 6), np.uint8)
    halves, nothing = np.full(6, 0.5, np.float32), np.zeros(6, np.int64)
    function(Requantise(nothing, halves, QParams(1.0, 4)), acc, out)
    assert out.tolist() == [[4, 6, 6, 4, 255, 0]]
