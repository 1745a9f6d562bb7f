"""Resampling of the position embedding."""

import numpy as np
import pytest

from axsim.models.position import bicubic, resample


@pytest.mark.parametrize("target", [1, 7, 16, 26, 32, 40])
def test_constants_and_inner_lines_are_kept(target):
    matrix = bicubic(32, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    # A straight line is reproduced away from the clamped edges.
    centres = (np.arange(target) + 0.5) * 32 / target - 0.5
    inner = (centres > 2) & (centres < 29)
    np.testing.assert_allclose((matrix @ np.arange(32.0))[inner], centres[inner], atol=0.1)


def test_same_size_is_the_identity():
    np.testing.assert_array_equal(bicubic(32, 32), np.eye(32))
    x = np.ones((1, 1025, 4), np.float32)
    assert resample(x, (32, 32), (32, 32), 1) is x


def test_halving_uses_the_kernel_at_quarter_points():
    # Centres fall midway between pixels: taps (-3, 19, 19, -3) / 32 for A = -0.75.
    np.testing.assert_allclose(bicubic(8, 4)[1], np.array([0, -3, 19, 19, -3, 0, 0, 0]) / 32)


def test_class_row_stays():
    x = np.arange(1 + 16, dtype=np.float32).reshape(1, 17, 1)
    out = resample(x, (4, 4), (2, 2), 1)
    assert out.shape == (1, 5, 1)
    assert out[0, 0, 0] == 0
    np.testing.assert_array_equal(resample(x[:, 1:], (4, 4), (2, 2), 0), out[:, 1:])
