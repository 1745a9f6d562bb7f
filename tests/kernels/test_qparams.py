import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from axsim.kernels.qparams import QParams, asymmetric

FINITE = st.floats(-1e4, 1e4, width=32)
DTYPES = st.sampled_from(["u8", "u16", "s8"])


@given(FINITE, FINITE, DTYPES, hnp.arrays(np.float32, 20, elements=st.floats(0, 1, width=32)))
def test_error_is_at_most_half_a_step_within_the_range(a, b, dtype, parts):
    low, high = min(a, b, 0), max(a, b, 0)
    q = asymmetric(low, high, dtype)
    values = (low + parts * np.float32(high - low)).astype(np.float32)
    error = np.abs(q.dequantise(q.quantise(values)) - values)
    # The zero point is rounded too, which may cost half a step more at one end of the range.
    assert np.all(error <= q.scale * 1.001 + 1e-6 * max(abs(low), abs(high)))
    inside = values[(values > low + q.scale) & (values < high - q.scale)]
    error = np.abs(q.dequantise(q.quantise(inside)) - inside)
    assert np.all(error <= q.scale / 2 + 4e-7 * max(abs(low), abs(high)))


@given(FINITE, FINITE, DTYPES)
def test_codes_survive_the_way_out_and_back(a, b, dtype):
    q = asymmetric(min(a, b), max(a, b), dtype)
    codes = np.linspace(q.low, q.high, 700).astype(q.numpy)
    assert np.array_equal(q.quantise(q.dequantise(codes)), codes)


@given(FINITE, FINITE, DTYPES, hnp.arrays(np.float32, 30, elements=FINITE))
def test_quantising_is_monotone(a, b, dtype, values):
    q = asymmetric(min(a, b), max(a, b), dtype)
    codes = q.quantise(np.sort(values)).astype(np.int64)
    assert np.all(np.diff(codes) >= 0)


@given(FINITE, FINITE, DTYPES)
def test_zero_is_represented_exactly(a, b, dtype):
    q = asymmetric(min(a, b), max(a, b), dtype)
    assert q.dequantise(q.quantise(np.zeros(1, np.float32)))[0] == 0


def test_halves_round_to_even_and_values_beyond_saturate():
    q = QParams(0.5, 10, "u8")
    values = np.array([0.25, 0.75, -0.25, 1e9, -1e9], np.float32)
    assert q.quantise(values).tolist() == [10, 12, 10, 255, 0]


def test_a_range_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="range"):
        asymmetric(0, float("inf"))


@given(FINITE, FINITE, st.sampled_from(["u8", "s8"]), hnp.arrays(np.float32, 16, elements=FINITE))
def test_onnxruntime_quantises_alike(a, b, dtype, values):
    quantise, dequantise = onnx_sessions(dtype)
    q = asymmetric(min(a, b), max(a, b), dtype)
    scale, zero = np.array(q.scale, np.float32), np.array(q.zero_point, q.numpy)
    expected = quantise.run(None, {"x": values, "s": scale, "z": zero})[0]
    codes = q.quantise(values)
    assert np.array_equal(codes, expected)
    expected = dequantise.run(None, {"x": codes, "s": scale, "z": zero})[0]
    assert np.array_equal(q.dequantise(codes), expected)


SESSIONS: dict = {}


def onnx_sessions(dtype):
    pytest.importorskip("onnxruntime")
    from axsim.kernels.onnx_model import one_node
    from axsim.kernels.onnx_products import session

    if dtype not in SESSIONS:
        codes = {"u8": "uint8", "s8": "int8"}[dtype]
        rest = [("s", "float32", 0), ("z", codes, 0)]
        quantise = one_node("QuantizeLinear", [("x", "float32", 1), *rest], (codes, 1))
        back = one_node("DequantizeLinear", [("x", codes, 1), *rest], ("float32", 1))
        SESSIONS[dtype] = session(quantise), session(back)
    return SESSIONS[dtype]
