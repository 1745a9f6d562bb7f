"""Pictures as inputs of networks."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.errors import InputError
from axsim.inputs.network_pictures import GREY, is_picture, letterboxed, picture_input
from axsim.spec.preprocess import Preprocess

Image = pytest.importorskip("PIL.Image")

PLAIN = Preprocess(std=(1.0,))


@pytest.fixture
def picture():
    """Wide, red on the left and blue on the right."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 200, 10, 0
    pixels[:, 20:] = 0, 0, 100
    return Image.fromarray(pixels)


def test_channels_and_layouts(picture) -> None:
    rgb = picture_input(picture, (1, 3, 20, 40), PLAIN, "x")
    assert rgb.dtype == np.float32
    assert rgb[0, :, 0, 0].tolist() == [200, 10, 0]
    bgr = picture_input(picture, (1, 3, 20, 40), Preprocess(format="BGR", std=(1.0,)), "x")
    assert np.array_equal(bgr, rgb[:, ::-1])
    last = picture_input(picture, (2, 20, 40, 3), PLAIN, "x")
    assert np.array_equal(last[1], rgb[0].transpose(1, 2, 0))
    said = Preprocess(layout="NHWC", std=(1.0,))
    assert picture_input(picture, (1, 3, 4, 3), said, "x").shape == (1, 3, 4, 3)
    grey = picture_input(picture, (1, 1, 20, 40), PLAIN, "x")
    assert grey[0, 0, 0, 0] == pytest.approx(0.299 * 200 + 0.587 * 10)


def test_mean_and_deviation_are_those_of_the_channels_as_they_are_ordered(picture) -> None:
    how = Preprocess(format="BGR", mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    left = picture_input(picture, (1, 3, 20, 40), how, "x")[0, :, 0, 0]
    assert left.tolist() == [(0 - 1) / 2, (10 - 2) / 4, (200 - 3) / 8]
    usual = picture_input(picture, (1, 3, 20, 40), Preprocess(), "x")
    assert usual.max() == pytest.approx(200 / 255)


def test_the_aspect_is_kept_between_grey_bars(picture) -> None:
    boxed = letterboxed(picture, 64, 64)
    assert (boxed[[*range(16), *range(48, 64)]] == GREY).all()
    assert boxed[20, 4].tolist() == [200, 10, 0]
    assert boxed[40, 60].tolist() == [0, 0, 100]
    how = Preprocess(resize="letterbox", std=(1.0,))
    assert picture_input(picture, (1, 3, 64, 64), how, "x")[0, 0, 0, 0] == GREY


def test_stretching_is_that_of_opencv(picture) -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (37, 53, 3)).astype(np.uint8)
    found = picture_input(Image.fromarray(pixels), (1, 3, 24, 80), PLAIN, "x")[0]
    expected = cv2.resize(pixels, (80, 24), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("shape", "how", "message"),
    [
        ((1, 4, 8, 8), PLAIN, "has 8 channels: no RGB picture fits"),
        ((1, 3, 8, 8), Preprocess(format="GRAY"), "no GRAY picture fits"),
        ((1, 3, 8, 8), Preprocess(mean=(1.0, 2.0)), "has 3 channels, and 2 numbers"),
    ],
)
def test_what_does_not_fit_is_told(picture, shape, how, message) -> None:
    with pytest.raises(InputError, match=message):
        picture_input(picture, shape, how, "x")


@pytest.mark.parametrize(
    ("shape", "takes"),
    [
        ((1, 3, 8, 8), True),
        ((1, 8, 8, 3), True),
        ((4, 1, 8, 8), True),
        ((1, 77), False),
        ((1, 80, 3000), False),
        ((1, 8, 8, 8), False),
    ],
)
def test_which_inputs_take_pictures(shape, takes) -> None:
    assert is_picture(shape) == takes
