"""Integer products against int64 arithmetic, at the extremes where narrow accumulators fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels.arithmetic import MAX_INNER_BYTES, MAX_INNER_U8
from axsim.kernels.finish import Requantise
from axsim.kernels.products import NumpyProducts
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import compiled


def backends():
    yield NumpyProducts()
    vectors = compiled("axsim.kernels.vectors.integers")
    if vectors is not None and vectors.supported():
        yield vectors.VectorProducts()
    try:
        from axsim.kernels.onnx_products import OnnxProducts
    except ImportError:
        return
    yield OnnxProducts()
    yield OnnxProducts(signed=False)


@pytest.fixture(params=list(backends()), ids=lambda b: f"{b.name}-{getattr(b, '_right', '')}")
def backend(request):
    return request.param


def codes(rng, low, high, shape, extreme):
    if extreme:
        return rng.choice(np.array([low, high]), shape)
    return rng.integers(low, high + 1, shape)


@pytest.mark.parametrize("inner", [1, 2, 63, 513, 514, 588, 1025, 4096])
@pytest.mark.parametrize("extreme", [True, False])
def test_weight_sums_are_exact(backend, inner, extreme):
    rng = np.random.default_rng(inner)
    a = codes(rng, 0, 255, (5, inner), extreme).astype(np.uint8)
    w = codes(rng, -128, 127, (7, inner), extreme).astype(np.int8)
    a[0], w[0] = 255, -128
    expected = a.astype(np.int64) @ w.astype(np.int64).T
    packed = backend.pack(w)
    assert np.array_equal(packed.sums(a), expected[:, None])
    assert packed.totals.tolist() == w.sum(axis=1, dtype=int).tolist()


@pytest.mark.parametrize("inner", [1, 64, 257, 258, 259, 1025, 4096])
@pytest.mark.parametrize("zero", [0, 30001, 65535])
def test_activation_products_are_exact(backend, inner, zero):
    rng = np.random.default_rng(inner)
    a = rng.integers(0, 256, (5, inner)).astype(np.uint8)
    b = rng.integers(0, 65536, (inner, 7)).astype(np.uint16)
    a[0], b[:, 0] = 255, 65535
    parts = zip(np.divmod(b.astype(np.int64), 256), divmod(zero, 256), strict=True)
    expected = [a.astype(np.int64) @ (part - less) for part, less in parts]
    packed = backend.pack(b.T, zero)
    assert np.array_equal(packed.sums(a), np.stack(expected, axis=1))
    assert packed.totals.tolist() == (b.astype(int) - zero).sum(axis=0).tolist()


def test_longest_inner_sizes_are_exact_and_longer_ones_are_refused(backend):
    w = np.full((1, MAX_INNER_U8), -128, np.int8)
    a = np.full((2, MAX_INNER_U8), 255, np.uint8)
    assert backend.pack(w).sums(a)[1, 0, 0] == -255 * 128 * MAX_INNER_U8
    with pytest.raises(ValueError, match="overflows S32"):
        backend.pack(np.zeros((1, MAX_INNER_U8 + 1), np.int8))
    for code, zero in ((255, 0), (0, 255)):
        b = np.full((1, MAX_INNER_BYTES), code, np.uint8)
        sums = backend.pack(b, zero).sums(np.ascontiguousarray(a[:, :MAX_INNER_BYTES]))
        assert sums[1, 0, 0] == (code - zero) * 255 * MAX_INNER_BYTES
    with pytest.raises(ValueError, match="overflows S32"):
        backend.pack(np.zeros((1, MAX_INNER_BYTES + 1), np.uint8))


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 9), inner=st.integers(1, 300), columns=st.integers(1, 90),
    kinds=st.tuples(*[st.sampled_from([np.uint8, np.uint16])] * 3),
    zeros=st.tuples(*[st.integers(0, 255)] * 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_fast_and_plain_backends_agree_to_the_bit(rows, inner, columns, kinds, zeros, seed):
    plain, *fast = backends()
    rng = np.random.default_rng(seed)
    left, right, result = kinds
    a = rng.integers(0, np.iinfo(left).max + 1, (rows, inner)).astype(left)
    b = rng.integers(0, np.iinfo(right).max + 1, (columns, inner)).astype(right)
    y = QParams(1.0, zeros[1], {np.uint8: "u8", np.uint16: "u16"}[result])
    reach = a.max() * float(b.max()) * inner + 1
    multiplier = rng.uniform(0.1, 1, columns).astype(np.float32) * np.float32(y.high / reach)
    finish = Requantise(rng.integers(-(10**6), 10**6, columns), multiplier, y)
    expected, found = np.zeros((2, rows, columns + 3), result)
    plain.pack(b, zeros[0]).into(a, finish, expected, 2)
    for backend in fast:
        backend.pack(b, zeros[0]).into(a, finish, found, 2)
        assert np.array_equal(found, expected)


def test_the_probe_rejects_saturating_kernels(monkeypatch):
    pytest.importorskip("onnxruntime")
    from axsim.kernels import onnx_products

    def saturating(session, feed, out):
        np.clip(session.run(None, feed)[0], -32768, 32767, out=out)

    monkeypatch.setattr(onnx_products, "_run", saturating)
    with pytest.raises(ArithmeticError):
        onnx_products.OnnxProducts()
