"""Integer products against int64 arithmetic, at the extremes where narrow accumulators fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.quantization import integer
from axsim.quantization.arithmetic import MAX_INNER_U8


def backends():
    yield integer.NumpyBackend()
    try:
        from axsim.quantization.onnx_backend import OnnxBackend
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
    b = rng.integers(0, 256, (inner, 7)).astype(np.uint8)
    a[0], b[:, 0] = 255, 255
    expected = a.astype(np.int64) @ b.astype(np.int64)
    assert np.array_equal(backend.product(a, b), expected)


def test_longest_inner_size_is_exact_and_a_longer_one_is_refused(backend):
    w = np.full((1, MAX_INNER_U8), -128, np.int8)
    a = np.full((2, MAX_INNER_U8), 255, np.uint8)
    assert backend.pack(w).sums(a)[1, 0] == -255 * 128 * MAX_INNER_U8
    with pytest.raises(ValueError, match="overflows S32"):
        backend.pack(np.zeros((1, MAX_INNER_U8 + 1), np.int8))


def reference(acc, multiplier, zero, dtype):
    """The definition, from int64 sums."""
    y = np.rint(acc.astype(np.float32) * multiplier) + np.float32(zero)
    return np.clip(y, 0, 255 if dtype == "u8" else 65535).astype(np.int64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extreme", [True, False])
def test_gemm_with_correction_is_exact(backend, dtype, extreme):
    rng = np.random.default_rng(3)
    top = int(np.iinfo(dtype).max)
    a = codes(rng, 0, top, (9, 4096), extreme).astype(dtype)
    w = codes(rng, -128, 127, (8, 4096), extreme).astype(np.int8)
    a[0], w[0], w[1] = top, -128, 127
    zero = top // 3
    correction = rng.integers(-(10**6), 10**6, 8) - zero * w.sum(axis=1, dtype=np.int64)
    expected = a.astype(np.int64) @ w.astype(np.int64).T + correction
    acc = integer.gemm_sums(backend.pack(w), a, correction)
    assert np.array_equal(acc.astype(np.int64), expected)
    multiplier = rng.uniform(1e-6, 1e-3, 8).astype(np.float32)
    for name in ("u8", "u16"):
        found = integer.requantise(acc, multiplier, 17, name)
        assert np.array_equal(found, reference(expected, multiplier, 17, name))


@pytest.mark.parametrize("kinds", [("u8", "u8"), ("u16", "u16"), ("u8", "u16"), ("u16", "u8")])
@pytest.mark.parametrize("result", ["u8", "u16"])
@pytest.mark.parametrize("inner", [64, 1025])
def test_activation_product_codes_follow_the_definition(backend, kinds, result, inner):
    rng = np.random.default_rng(inner)
    tops = [255 if kind == "u8" else 65535 for kind in kinds]
    a = rng.integers(0, tops[0] + 1, (6, inner)).astype(f"uint{8 if kinds[0] == 'u8' else 16}")
    b = rng.integers(0, tops[1] + 1, (inner, 5)).astype(f"uint{8 if kinds[1] == 'u8' else 16}")
    a[0], b[:, 0] = tops[0], tops[1]
    zeros = (tops[0] // 2, tops[1] // 3, 11)
    acc = (a.astype(np.int64) - zeros[0]) @ (b.astype(np.int64) - zeros[1])
    multiplier = np.float32(200 / np.abs(acc).max())
    found = integer.product_codes(backend, a, b, zeros, float(multiplier), result)
    assert np.array_equal(found, reference(acc, multiplier, 11, result))


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
    expected = plain.product_codes(a, b, zeros, 3e-4)
    for backend in fast:
        assert np.array_equal(backend.product_codes(a, b, zeros, 3e-4), expected)


@pytest.mark.parametrize("zeros", [(0, 31000, 5), (12345, 0, 0), (40000, 65535, 65535)])
def test_narrow_u16_products_from_bytes_are_exact(backend, zeros):
    rng = np.random.default_rng(8)
    a = rng.choice(np.array([0, 1, 255, 256, 65280, 65535], np.uint16), (7, 4096))
    b = rng.integers(0, 65536, (4096, 6)).astype(np.uint16)
    a[0], b[:, 0] = 65535, 65535
    exact = (a.astype(np.int64) - zeros[0]) @ (b.astype(np.int64) - zeros[1])
    found = integer._product16(backend, a, b, zeros[0], zeros[1])
    assert np.array_equal(found.astype(np.int64), exact)


def test_requantising_rounds_half_to_even_and_saturates():
    acc = np.array([[1, 3, 5, -1, 1000, -1000]])
    found = integer.requantise(acc, np.float32(0.5), 4, "u8")
    assert found.tolist() == [[4, 6, 6, 4, 255, 0]]


def test_the_probe_rejects_saturating_kernels(monkeypatch):
    pytest.importorskip("onnxruntime")
    from axsim.quantization import onnx_backend

    def saturating(session, feed):
        out = onnx_backend.np.clip(session.run(None, feed)[0], -32768, 32767)
        return out

    monkeypatch.setattr(onnx_backend, "_run", saturating)
    with pytest.raises(ArithmeticError):
        onnx_backend.OnnxBackend()
