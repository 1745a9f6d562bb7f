import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from axsim.kernels.arithmetic import from_bf16_bits, round_bf16, round_bits, to_bf16_bits
from tests.kernels.twins import both

ANY = hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False))


@given(ANY)
def test_rounding_is_that_of_ml_dtypes(x):
    expected = x.astype(ml_dtypes.bfloat16)
    assert np.array_equal(round_bf16(x), expected.astype(np.float32))
    assert np.array_equal(to_bf16_bits(x), expected.view(np.uint16))
    assert np.array_equal(from_bf16_bits(to_bf16_bits(x)), expected.astype(np.float32))


def test_ties_go_to_even_and_quiet_nans_stay():
    ulp = 2.0**-7
    x = np.array([1 + ulp / 2, 1 + 1.5 * ulp, np.nan, np.inf], np.float32)
    assert np.array_equal(round_bf16(x), [1, 1 + 2 * ulp, np.nan, np.inf], equal_nan=True)


def test_in_place_rounding_changes_the_array_and_needs_a_contiguous_one():
    x = np.full((300, 300), 1.001, np.float32)
    assert round_bf16(x, inplace=True) is x
    assert np.all(x == 1)
    with pytest.raises(ValueError, match="contiguous"):
        round_bf16(x.T[:, :7], inplace=True)


def test_compiled_rounding_gives_the_same_bits():
    bits = np.random.default_rng(2).integers(0, 2**32, 100_000, dtype=np.uint32)
    bits[:4] = 0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x80000001  # ties, overflow, a denormal
    bits = bits[~np.isnan(bits.view(np.float32))]
    plain, compiled = bits.copy(), bits.copy()
    for function, part in zip(both(round_bits), (plain, compiled), strict=True):
        function(part)
    assert np.array_equal(plain, compiled)
