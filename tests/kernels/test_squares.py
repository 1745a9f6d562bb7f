"""Convolutions by squares of results: float32 against float64, codes against exact sums."""

import numpy as np
import pytest

from axsim.kernels import pixels, squares
from axsim.kernels.choose import choose
from axsim.kernels.qparams import QParams
from axsim.kernels.windows import windows
from axsim.numerics.integer_conv import conv as conv_codes
from axsim.numerics.integer_conv import conv_weight, finish_of, squares_pay

PADDED = {"pads": (1, 1, 1, 1)}
# (channels, outputs, size, attributes)
CASES = {
    "one row of squares": (64, 64, (2, 96), PADDED),
    "odd sizes": (64, 40, (17, 19), PADDED),
    "no padding": (64, 64, (20, 22), {}),
    "padding at one side": (128, 96, (16, 15), {"pads": (0, 1, 2, 0)}),
    "wide enough for threads": (64, 80, (97, 90), PADDED),
    "few positions, many channels": (256, 272, (14, 14), PADDED),
}
pytestmark = pytest.mark.skipif(
    not pixels.supported(), reason="no numba, or a CPU without such vectors"
)


def case(name, rng):
    channels, outputs, size, attrs = CASES[name]
    x = rng.standard_normal((1, channels, *size)).astype(np.float32)
    w = rng.standard_normal((outputs, channels, 3, 3)).astype(np.float32)
    at = windows(size, (3, 3), attrs)
    assert squares.pay(w.shape, 1, at, np.float32)
    return x, w, at


def defined(x, w, at):
    """[positions, M] in float64."""
    (top, left), (below, beside) = at.begin, at.end
    image = np.pad(x[0].astype(np.float64), ((0, 0), (top, below), (left, beside)))
    height, width = at.size
    total = np.zeros((height * width, len(w)))
    for y, row in enumerate(np.moveaxis(w.astype(np.float64), (2, 3), (0, 1))):
        for x_, taps in enumerate(row):
            part = image[:, y : y + height, x_ : x_ + width].reshape(len(image), -1)
            total += (taps @ part).T
    return total


@pytest.mark.parametrize("name", CASES)
def test_floats_and_what_follows_them(name, monkeypatch):
    rng = np.random.default_rng(1)
    x, w, at = case(name, rng)
    bias = rng.standard_normal(len(w)).astype(np.float32)
    other = 20 * rng.standard_normal((at.size[0] * at.size[1], len(w))).astype(np.float32)
    exact = defined(x, w, at)
    packed = pixels.weight(w, 1, in_squares=True)
    atol = 4e-6 * (9 * w.shape[1]) ** 0.5
    for finish in (
        pixels.Finish(),
        pixels.Finish(bias, None, -9, 8.5),
        pixels.Finish(bias, other, 0.0, None),
        pixels.Finish(bias, swish=True),
    ):
        total = exact + (0 if finish.bias is None else bias)
        total = total + (0 if finish.other is None else other)
        total = np.clip(total, finish.low, finish.high) if finish.low is not None else total
        total = total / (1 + np.exp(-total)) if finish.swish else total
        results = []
        for threads in ("1", "2", "3"):
            monkeypatch.setenv("AXSIM_THREADS", threads)
            found = pixels.conv(x, packed, at, finish)
            results.append(pixels.by_pixel(found).reshape(total.shape))
        np.testing.assert_allclose(results[0], total, atol=atol)
        assert np.array_equal(results[0], results[1])
        assert np.array_equal(results[0], results[2])


@pytest.mark.skipif(choose(windows=True).name != "int16", reason="codes are multiplied as bytes")
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_codes_are_those_of_the_convolution_itself(name, largest, monkeypatch):
    rng = np.random.default_rng(2)
    real, w, at = case(name, rng)
    assert squares.pay(w.shape, 1, at, np.int16)
    x, y = QParams(6 / 255, 85, "u8"), QParams(0.8, 120, "u8")
    a = x.quantise(real)
    bias = rng.standard_normal(len(w)).astype(np.float32)
    if largest:
        a[:], w[:] = 255, np.where(np.arange(len(w)) % 2, 1, -1).reshape(-1, 1, 1, 1)
        y = QParams(12.0, 120, "u8")
    plain = conv_weight(w, "Conv", 1, choose(windows=True))
    expected = conv_codes(a, plain, finish_of(plain, bias, x, y), at, x)
    packed = conv_weight(w, "Conv", 1, choose(windows=True), in_squares=True)
    for threads in ("1", "2"):
        monkeypatch.setenv("AXSIM_THREADS", threads)
        found = conv_codes(a, packed, finish_of(packed, bias, x, y), at, x)
        assert found.dtype == np.uint8
        assert np.array_equal(found, expected)
    assert found.std() > 1


def test_squares_are_for_windows_of_three_by_three_side_by_side():
    shape, size = (64, 64, 3, 3), (28, 28)

    def pay(shape=shape, group=1, size=size, dtype=np.float32, **attrs):
        return squares.pay(shape, group, windows(size, shape[2:], attrs), dtype)

    assert pay()
    assert pay(dtype=np.int16)
    assert not pay(strides=(2, 2))
    assert not pay(dilations=(2, 1))
    assert not pay((64, 64, 1, 3))
    assert not pay((64, 32, 3, 3), group=2)
    assert not pay((64, 40, 3, 3), dtype=np.int16)  # no whole vectors
    assert not pay((64, 16, 3, 3))
    assert not pay((24, 64, 3, 3))
    assert not pay(size=(9, 9))  # too few to read the weights for


def test_sums_of_codes_that_might_leave_s32_are_none_for_squares():
    class Pairs:
        name = "int16"

    at = windows((28, 28), (3, 3), PADDED)
    assert squares_pay((32, 1792, 3, 3), 1, at, "u8", Pairs())
    assert not squares_pay((32, 1856, 3, 3), 1, at, "u8", Pairs())
    assert not squares_pay((32, 64, 3, 3), 1, at, "u16", Pairs())
    Pairs.name = "vnni"  # multiplies four bytes in the time of two pairs
    assert not squares_pay((32, 64, 3, 3), 1, at, "u8", Pairs())
