"""Kernels against float64 references, small and large enough for several threads."""

from math import erf as exact_erf

import numpy as np
import pytest

from axsim.kernels import gates, parallel
from axsim.kernels.attention import attention
from axsim.kernels.blas import one_blas_thread
from axsim.kernels.dense import activated, added, linear, multiplied
from axsim.kernels.rowwise import layer_norm, rms_norm, softmax
from tests.kernels.twins import kind  # noqa: F401  (a fixture)

X = np.linspace(-12, 12, 100_001, dtype=np.float32)
PHI = np.array([(1 + exact_erf(v / 2**0.5)) / 2 for v in X.astype(float)])


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(params=[gates.gated, gates.activation], ids=["passes", "all cores"])
def apply(request):
    return request.param


def test_gelu(apply):
    assert np.abs(apply(X, gates.GELU) - X * PHI).max() <= 1e-6
    far = np.array([-3e38, -1e5, -60, 0, 60, 1e5, 3e38], np.float32)
    np.testing.assert_array_equal(apply(far, gates.GELU), np.maximum(far, 0))
    x = X.astype(float)
    tanh = x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2
    assert np.abs(apply(X, gates.GELU_TANH) - tanh).max() <= 2e-6


def test_swish_is_quiet_and_right_at_the_ends(apply):
    x = np.array([-1e4, -100, -1, 0, 1, 100], np.float32)
    expected = x / (1 + np.exp(-x.astype(float).clip(-700)))
    np.testing.assert_allclose(apply(x, gates.SWISH), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("gate", [gates.GELU, gates.GELU_TANH, gates.SWISH])
def test_in_place(gate):
    x = X.copy()
    expected = gates.gated(X, gate)
    assert gates.gated(x, gate, out=x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("shape", [(3, 5), (40, 2049), (2, 3, 4, 500)])
@pytest.mark.usefixtures("kind")
def test_softmax(shape):
    x = 30 * random(0, *shape)
    for axis in range(-1, len(shape)):
        e = np.exp(x - x.max(axis=axis, keepdims=True), dtype=np.float64)
        np.testing.assert_allclose(
            softmax(x, axis), e / e.sum(axis=axis, keepdims=True), rtol=1e-5, atol=1e-30
        )


def test_softmax_of_masked_scores():
    x = np.zeros((2, 4), np.float32)
    x[0, 2:] -= 65536
    x[1] -= 65536
    expected = [[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]]
    np.testing.assert_allclose(softmax(x), expected, atol=1e-30)


@pytest.mark.parametrize("rows", [3, 1025])
@pytest.mark.usefixtures("kind")
def test_norms(rows):
    x = random(1, rows, 200) * 3 + 1
    scale, bias = random(2, 200), random(3, 200)
    y, mean, inverse = layer_norm(x, scale, bias, 1e-6)
    wide = x.astype(float)
    deviation = np.sqrt(wide.var(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(mean, wide.mean(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(inverse, 1 / deviation, rtol=1e-6)
    expected = (wide - wide.mean(axis=1, keepdims=True)) / deviation * scale + bias
    np.testing.assert_allclose(y, expected, atol=5e-6)
    root = np.sqrt((wide**2).mean(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(rms_norm(x, scale, 1e-6), wide / root * scale, atol=5e-6)


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize(("rows", "keys"), [(5, 7), (1, 900), (450, 451), (100, 1024)])
@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [0.25, 2, 50], ids=["small", "medium", "large"])
@pytest.mark.usefixtures("kind")
def test_attention(group, rows, keys, width, masked, scale):
    q, k = random(4, 2, group, rows, width), random(5, 2, 1, width, keys) * 16 / width
    v = random(6, 2, 1, keys, width)
    mask = np.where(np.tri(rows, keys, keys - rows, dtype=bool), 0, -65536).astype(np.float32)
    scores = q.astype(float) @ k * scale + (mask if masked else 0)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = e / e.sum(axis=-1, keepdims=True) @ v
    got = attention(q, k, v, np.float32(scale), mask[None] if masked else None)
    assert got.shape == expected.shape
    # Scores reach a few hundred with the large scale, and their float32 rounding with them.
    np.testing.assert_allclose(got, expected, atol=1e-5 if scale < 50 else 1e-3)


@pytest.mark.parametrize(("rows", "width", "inner"), [(1, 70, 30), (40, 900, 500), (300, 1000, 64)])
@pytest.mark.usefixtures("kind")
def test_linear_with_stages(rows, width, inner):
    x, w, b = random(1, rows, inner), random(2, width, inner), random(3, width)
    scale, residual = random(4, width), random(5, rows, width)
    stages = [added(b), activated(gates.SWISH), multiplied(scale), added(residual)]
    stages += [multiplied(np.float32(2)), added(random(6, rows, 1))]
    y = x.astype(float) @ w.T.astype(float) + b
    expected = 2 * (y / (1 + np.exp(-y)) * scale + residual) + random(6, rows, 1)
    np.testing.assert_allclose(linear(x, w, stages), expected, atol=1e-3, rtol=1e-4)


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    q, k, v = random(4, 4, 300, 64), random(5, 4, 64, 300), random(6, 4, 300, 64)
    x, w = random(7, 200, 3000), random(8, 400, 3000)
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("AXSIM_THREADS", threads)
        assert parallel.threads() == int(threads)
        results.append([attention(q, k, v, None, None), softmax(x), rms_norm(x, x[0], 1e-6)])
        results[-1].append(linear(x, w, [activated(gates.GELU)]))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_failure_in_a_thread_is_raised():
    def task(i):
        if i == 3:
            raise ValueError("task 3")

    with pytest.raises(ValueError, match="task 3"):
        parallel.parallel(8, task)


def test_blas_threads_are_restored():
    from axsim.kernels.blas import _entry_points

    found = _entry_points()
    if found is None:
        pytest.skip("numpy's BLAS is not OpenBLAS")
    before = found[0]()
    with one_blas_thread():
        assert found[0]() == 1
    assert found[0]() == before
