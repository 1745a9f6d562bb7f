import numpy as np
import pytest

from axsim.kernels.arithmetic import round_bf16
from axsim.numerics.fixed_point import PackedMatrix, product
from axsim.numerics.matrix import quantise_matrix
from tests.kernels.test_products import backend, backends  # noqa: F401  (a fixture)
from tests.kernels.twins import kind  # noqa: F401  (a fixture)


def bf16(rng, *shape, spread=1.0):
    return round_bf16((rng.standard_normal(shape) * spread).astype(np.float32))


def matrix(rng, out=70, inner=300):
    return quantise_matrix(rng.standard_normal((out, inner)).astype(np.float32))


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.usefixtures("kind")
def test_sums_of_bf16_numbers_are_exact(backend, rows):  # noqa: F811
    """Numbers down to 2^-15 of the row's largest lie on the grid: only the end is rounded."""
    rng = np.random.default_rng(rows)
    x = np.clip(np.abs(bf16(rng, rows, 300)), 2.0**-12, 6) * rng.choice([-1, 1], (rows, 300))
    x = round_bf16(x.astype(np.float32))
    m, bias = matrix(rng), rng.standard_normal(70).astype(np.float32)
    sums = (x.astype(np.float64) @ m.codes.T.astype(np.float64)).astype(np.float32)
    found = product(x, PackedMatrix(m, backend), bias)
    assert np.array_equal(found, sums * m.scale + bias)


@pytest.mark.usefixtures("kind")
def test_extremes_are_exact(backend):  # noqa: F811
    inner = 4096
    m = quantise_matrix(np.full((6, inner), -1, np.float32))
    m.codes[:] = -128
    m.codes[3:] = 127
    x = np.full((2, inner), 255 * 2.0**90, np.float32)
    x[1] *= -1
    sums = (x.astype(np.float64) @ m.codes.T.astype(np.float64)).astype(np.float32)
    assert np.array_equal(product(x, PackedMatrix(m, backend), None), sums * m.scale)


@pytest.mark.usefixtures("kind")
def test_small_numbers_lose_what_float32_sums_would(backend):  # noqa: F811
    rng = np.random.default_rng(5)
    x = bf16(rng, 20, 300)
    x[:, ::7] *= np.float32(2.0**-20)
    x[:, 3] *= 1000  # one channel far above the rest, as in language models
    m = matrix(rng)
    exact = x.astype(np.float64) @ m.dequantise().T.astype(np.float64)
    found = product(x, PackedMatrix(m, backend), None)
    reach = np.abs(x).max(axis=1, keepdims=True) * np.abs(m.dequantise()).sum(axis=1)
    assert np.all(np.abs(found - exact) <= reach * 2.0**-22)


@pytest.mark.usefixtures("kind")
def test_rows_of_zeros_tiny_numbers_and_no_numbers(backend):  # noqa: F811
    m = matrix(np.random.default_rng(1), 5, 8)
    x = np.ones((5, 8), np.float32)
    x[0], x[1], x[2, 3], x[3, 0] = 0, 1e-42, np.inf, np.nan
    bias = np.arange(5, dtype=np.float32)
    found = product(x, PackedMatrix(m, backend), bias)
    assert np.array_equal(found[0], bias)
    assert np.allclose(found[1], bias)
    assert np.isnan(found[2:4]).all()
    assert np.isfinite(found[4]).all()


def test_bits_are_the_same_on_any_backend_and_number_of_threads(monkeypatch):
    rng = np.random.default_rng(9)
    x, m = bf16(rng, 50, 300, spread=7), matrix(rng)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("AXSIM_THREADS", threads)
        results += [product(x, PackedMatrix(m, each), None) for each in backends()]
        results += [np.vstack([product(row[None], PackedMatrix(m, each), None) for row in x])
                    for each in backends()]  # fmt: skip
    assert all(np.array_equal(result, results[0]) for result in results)
