"""The largest numbers of windows, compiled and by numpy."""

import numpy as np
import pytest

from axsim.graph.ops import OPERATORS
from axsim.kernels import maxima, pixels
from axsim.kernels.windows import windows

pytestmark = pytest.mark.skipif(
    not pixels.supported(), reason="no numba, or a CPU without such vectors"
)

CASES = {
    "3 by 3 of stride 2": {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)},
    "5 by 5 side by side": {"kernel_shape": (5, 5), "pads": (2, 2, 2, 2)},
    "sizes rounded up": {"kernel_shape": (3, 2), "strides": (2, 3), "ceil_mode": 1},
    "apart": {"kernel_shape": (2, 3), "dilations": (2, 3), "pads": (0, 2, 1, 0)},
    "windows in padding alone": {"kernel_shape": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1)},
}


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("name", CASES)
def test_they_are_those_of_numpy(name, dtype, threads, monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", threads)
    rng = np.random.default_rng(3)
    lying = (2, 41, 37, 50)
    x = rng.standard_normal(lying, np.float32) - 2 if dtype == np.float32 else None
    x = rng.integers(0, 256, lying).astype(np.uint8) if x is None else x
    if dtype == np.float32:
        x[0, 7, 9, 11], x[1, 0, 0, 0] = np.nan, -np.inf
    x = x.transpose(0, 3, 1, 2)
    found = maxima.largest(x, windows(x.shape[2:], CASES[name]["kernel_shape"], CASES[name]))
    assert found is not None
    assert found.dtype == dtype
    # Channels apart in memory go through numpy.
    (expected,) = OPERATORS["MaxPool"].kernel(np.ascontiguousarray(x), **CASES[name])
    assert np.array_equal(found, expected, equal_nan=dtype == np.float32)


def test_small_images_and_other_numbers_are_left_to_numpy():
    at = windows((200, 200), (2, 2), {})
    for shape, dtype in (((1, 4, 4, 8), np.uint8), ((1, 200, 200, 16), np.uint16)):
        assert maxima.largest(np.zeros(shape, dtype).transpose(0, 3, 1, 2), at) is None
