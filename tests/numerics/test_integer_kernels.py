"""Products of codes against their definition on int64 sums, with plain and with fast passes."""

import numpy as np
import pytest

from axsim.kernels.qparams import QParams
from axsim.numerics.integer_kernels import IntegerMatrix, bias_codes, by_codes, gemm
from tests.kernels.test_products import backend, codes  # noqa: F401  (a fixture)
from tests.kernels.twins import kind  # noqa: F401  (a fixture)

TOP = {"u8": 255, "u16": 65535}


def expected(acc, multiplier, y):
    steps = np.rint(acc.astype(np.float32) * multiplier) + np.float32(y.zero_point)
    return np.clip(steps, y.low, y.high).astype(np.int64)


def numpy_dtype(name):
    return np.uint8 if name == "u8" else np.uint16


@pytest.mark.parametrize("dtype", ["u8", "u16"])
@pytest.mark.parametrize("result", ["u8", "u16"])
@pytest.mark.parametrize("extreme", [True, False])
@pytest.mark.usefixtures("kind")
def test_gemm_follows_the_definition(backend, dtype, result, extreme):  # noqa: F811
    rng = np.random.default_rng(3)
    top = TOP[dtype]
    a = codes(rng, 0, top, (9, 4096), extreme).astype(numpy_dtype(dtype))
    w = codes(rng, -128, 127, (8, 4096), extreme).astype(np.int8)
    a[0], w[0], w[1] = top, -128, 127
    x = QParams(float(np.float32(0.01)), top // 3, dtype)
    scale = rng.uniform(1e-3, 2e-3, 8).astype(np.float32)
    bias = rng.standard_normal(8).astype(np.float32)
    wide = w.astype(np.int64)
    acc = (a.astype(np.int64) - x.zero_point) @ wide.T
    acc += bias_codes(bias, np.float32(x.scale) * scale)
    y = QParams(float(np.float32(np.abs(acc).max() * 1e-5 / TOP[result])), TOP[result] // 2, result)
    matrix = IntegerMatrix(backend.pack(w), scale)
    found = gemm(a, matrix, bias, x, y)
    multiplier = np.float32(x.scale) * scale / np.float32(y.scale)
    assert np.array_equal(found, expected(acc, multiplier, y))


@pytest.mark.parametrize("inner", [4096, 4099])
def test_one_row_is_what_it_is_among_many(backend, inner, monkeypatch):  # noqa: F811
    rng = np.random.default_rng(5)
    monkeypatch.setenv("AXSIM_THREADS", "3")
    a = rng.integers(0, 256, (9, inner)).astype(np.uint8)
    w = rng.integers(-128, 128, (1200, inner)).astype(np.int8)
    x, y = QParams(0.01, 77, "u8"), QParams(0.5, 128, "u8")
    matrix = IntegerMatrix(backend.pack(w), rng.uniform(1e-3, 2e-3, 1200).astype(np.float32))
    bias = rng.standard_normal(1200).astype(np.float32)
    many = gemm(a, matrix, bias, x, y)
    for rows in (1, 2):
        assert np.array_equal(gemm(a[:rows], matrix, bias, x, y), many[:rows])


@pytest.mark.parametrize("kinds", [("u8", "u8"), ("u16", "u16"), ("u8", "u16"), ("u16", "u8")])
@pytest.mark.parametrize("result", ["u8", "u16"])
@pytest.mark.parametrize("inner", [64, 1025, 4096])
@pytest.mark.parametrize("zeros", [(0.5, 0.3, 0.1), (0.0, 0.4, 0.0), (0.7, 1.0, 1.0)])
@pytest.mark.usefixtures("kind")
def test_products_of_activations_follow_the_definition(backend, kinds, result, inner, zeros):  # noqa: F811
    rng = np.random.default_rng(inner)
    tops = [TOP[dtype] for dtype in kinds]
    a = rng.integers(0, tops[0] + 1, (6, inner)).astype(numpy_dtype(kinds[0]))
    b = rng.integers(0, tops[1] + 1, (inner, 5)).astype(numpy_dtype(kinds[1]))
    a[0], a[1], b[:, 0] = tops[0], 0, tops[1]
    qa, qb = (
        QParams(float(np.float32(0.01)), int(zero * top), dtype)
        for zero, top, dtype in zip(zeros, tops, kinds, strict=False)
    )
    acc = (a.astype(np.int64) - qa.zero_point) @ (b.astype(np.int64) - qb.zero_point)
    reach = float(np.float32(np.abs(acc).max() * 1e-4 / TOP[result]))
    y = QParams(reach, int(zeros[2] * TOP[result]), result)
    found = np.empty(acc.shape, y.numpy)
    by_codes(backend, b, qa, qb, y)(a, found)
    multiplier = np.float32(qa.scale) * np.float32(qb.scale) / np.float32(y.scale)
    assert np.array_equal(found, expected(acc, multiplier, y))
