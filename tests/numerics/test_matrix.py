import numpy as np
import pytest

from axsim.kernels.arithmetic import round_bf16
from axsim.numerics.matrix import quantise_matrix
from axsim.numerics.stored import StoredWeights


def weights(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_s8_rows_use_the_whole_range_and_err_at_most_half_a_step():
    w = weights((6, 300))
    m = quantise_matrix(w)
    assert np.all(np.abs(m.codes).max(axis=1) == 127)
    assert np.all(np.abs(m.dequantise() - w) <= m.scale[:, None] * 0.5001)


@pytest.mark.parametrize("inputs", [256, 896, 200])
def test_s4_scales_every_group_of_128_inputs(inputs):
    w = weights((5, inputs))
    w[:, 128:] *= 10
    m = quantise_matrix(w, "s4")
    assert m.scale.shape == (5, -(-inputs // 128))
    assert m.codes.min() >= -7
    assert m.codes.max() == 7
    step = np.repeat(m.scale, 128, axis=1)[:, :inputs]
    assert np.all(np.abs(m.dequantise() - w) <= step * 0.5001)
    assert np.array_equal(m.rows(1, 3), m.dequantise()[1:3])


def test_bf16_and_f32_matrices_hold_their_values():
    w = weights((3, 40))
    assert np.array_equal(quantise_matrix(w, "bf16").dequantise(), round_bf16(w))
    assert np.array_equal(quantise_matrix(w, "f32").dequantise(), w)
    with pytest.raises(ValueError, match="s8, s4, bf16"):
        quantise_matrix(w, "u8")


def test_zero_rows_have_zero_codes():
    m = quantise_matrix(np.zeros((2, 8), np.float32))
    assert not m.codes.any()
    assert not m.dequantise().any()


def test_stored_weights_quantise_each_matrix_once():
    asked = []

    def source(name):
        asked.append(name)
        return weights((4, 256) if "weight" in name else (4,))

    stored = StoredWeights(source, "s4", {"head.weight": "s8"})
    assert stored("layer.weight").dtype == "s4"
    assert stored("head.weight").dtype == "s8"
    assert stored("norm").shape == (4,)
    assert stored("layer.weight") is stored("layer.weight")
    assert asked == ["layer.weight", "head.weight", "norm"]
    assert stored.nbytes == (4 * 256 + 4 * 2 * 4) + (4 * 256 + 4 * 4) + 16
