"""Integer products against int64 arithmetic, at the extremes where narrow accumulators fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels import integer
from axsim.kernels.arithmetic import MAX_INNER_U8
from axsim.kernels.compiled import compiled


def backends():
    yield integer.NumpyBackend()
    vnni = compiled("axsim.kernels.vnni_numba")
    if vnni is not None and vnni.supported():
        from axsim.kernels.vnni_backend import VnniBackend

        yield VnniBackend()
    try:
        from axsim.kernels.onnx_backend import OnnxBackend
    except ImportError:
        return
    yield OnnxBackend()
    yield OnnxBackend(signed=False)


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
    assert np.array_equal(backend.pack(w).sums(a), expected)


@pytest.mark.parametrize("inner", [1, 64, 257, 258, 259, 1025, 4096])
def test_activation_products_are_exact(backend, inner):
    rng = np.random.default_rng(inner)
    a = rng.integers(0, 256, (5, inner)).astype(np.uint8)
    b = rng.integers(0, 65536, (inner, 7)).astype(np.uint16)
    a[0], b[:, 0] = 255, 65535
    high, low = (a.astype(np.int64) @ part for part in np.divmod(b.astype(np.int64), 256))
    assert np.array_equal(backend.pack_bytes(b).sums(a), np.hstack([high, low]))


def test_longest_inner_size_is_exact_and_a_longer_one_is_refused(backend):
    w = np.full((1, MAX_INNER_U8), -128, np.int8)
    a = np.full((2, MAX_INNER_U8), 255, np.uint8)
    assert backend.pack(w).sums(a)[1, 0] == -255 * 128 * MAX_INNER_U8
    with pytest.raises(ValueError, match="overflows S32"):
        backend.pack(np.zeros((1, MAX_INNER_U8 + 1), np.int8))


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 9), inner=st.integers(1, 300), columns=st.integers(1, 9),
    zeros=st.tuples(*[st.integers(0, 255)] * 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_fast_and_plain_backends_agree_to_the_bit(rows, inner, columns, zeros, seed):
    plain, *fast = backends()
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (rows, inner)).astype(np.uint8)
    b = rng.integers(0, 256, (inner, columns)).astype(np.uint8)
    expected, found = np.empty((2, rows, columns), np.uint8)
    plain.product_codes(b, zeros, 3e-4)(a, expected)
    for backend in fast:
        backend.product_codes(b, zeros, 3e-4)(a, found)
        assert np.array_equal(found, expected)


def test_the_probe_rejects_saturating_kernels(monkeypatch):
    pytest.importorskip("onnxruntime")
    from axsim.kernels import onnx_backend

    def saturating(session, feed, out):
        onnx_backend.np.clip(session.run(None, feed)[0], -32768, 32767, out=out)

    monkeypatch.setattr(onnx_backend, "_run", saturating)
    with pytest.raises(ArithmeticError):
        onnx_backend.OnnxBackend()
