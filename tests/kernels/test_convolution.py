"""Convolutions: float32 against the definition, codes against exact sums."""

import itertools

import numpy as np
import pytest

from axsim.graph.ops import OPERATORS
from axsim.kernels import convolution as conv_module
from axsim.kernels import pixels
from axsim.kernels.choose import choose
from axsim.kernels.conv_codes import Padding
from axsim.kernels.convolution import conv
from axsim.kernels.dense import added, clamped
from axsim.kernels.finish import Requantise
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import compiled
from axsim.kernels.windows import windows
from axsim.numerics.integer_conv import conv as conv_codes
from axsim.numerics.integer_conv import conv_transpose, conv_weight, finish_of, plane

INTEGERS = "axsim.kernels.vectors.integers"
U8, S16 = np.dtype(np.uint8), np.dtype(np.int16)

RNG = np.random.default_rng(8)
needs_pixels = pytest.mark.skipif(
    not pixels.supported(), reason="no numba, or a CPU without such vectors"
)

# (channels, outputs, group, size, taps, strides, dilations, pads)
SHAPES = {
    "patch embedding": (3, 32, 1, (24, 24), (8, 8), (8, 8), (1, 1), (0, 0, 0, 0)),
    "three by three": (16, 24, 1, (15, 13), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "wide enough for threads": (64, 64, 1, (40, 40), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "few positions, many channels": (128, 192, 1, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "pointwise": (32, 48, 1, (20, 20), (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    "pointwise with stride": (8, 16, 1, (9, 9), (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    "stride, uneven padding": (8, 12, 1, (14, 11), (5, 3), (2, 3), (1, 1), (2, 0, 1, 2)),
    "dilation": (6, 8, 1, (17, 19), (3, 3), (1, 1), (2, 3), (2, 3, 2, 3)),
    "groups": (12, 18, 3, (10, 10), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "depthwise": (32, 32, 32, (21, 23), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "depthwise with stride": (24, 24, 24, (20, 20), (5, 5), (2, 2), (1, 1), (1, 1, 2, 2)),
    "depthwise, two outputs a channel": (8, 16, 8, (9, 9), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    "padding wider than the image": (4, 4, 4, (2, 2), (5, 5), (1, 1), (1, 1), (3, 3, 3, 3)),
    "line": (20, 16, 1, (50,), (3,), (2,), (1,), (1, 1)),
}


def case(name):
    channels, outputs, group, size, taps, strides, dilations, pads = SHAPES[name]
    x = RNG.standard_normal((1, channels, *size)).astype(np.float32)
    w = RNG.standard_normal((outputs, channels // group, *taps)).astype(np.float32)
    attrs = {"strides": strides, "dilations": dilations, "pads": pads, "group": group}
    return x, w, attrs


def defined(x, w, attrs):
    """Every output position by itself, in float64."""
    at = windows(x.shape[2:], w.shape[2:], attrs)
    rank, group = len(at.size), attrs["group"]
    reach = at.reach(x.shape[2:])
    ends = [(0, 0), (0, 0), *zip(at.begin, reach, strict=True)]
    padded = np.pad(x.astype(np.float64), ends)
    y = np.zeros((x.shape[0], w.shape[0], *at.size))
    rows = w.shape[0] // group
    for place in np.ndindex(*at.size):
        window = (
            slice(p * s, p * s + (t - 1) * d + 1, d)
            for p, s, t, d in zip(place, at.strides, at.taps, at.dilations, strict=True)
        )
        part = padded[(slice(None), slice(None), *window)]
        for g in range(group):
            own = part[:, g * w.shape[1] : (g + 1) * w.shape[1]].reshape(len(x), -1)
            weight = w[g * rows : (g + 1) * rows].reshape(rows, -1).astype(np.float64)
            y[(slice(None), slice(g * rows, (g + 1) * rows), *place)] = own @ weight.T
    assert rank == x.ndim - 2
    return y


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_float32_convolutions_are_what_they_are_defined_to_be(name, jit, monkeypatch):
    if not jit:
        monkeypatch.setattr(conv_module, "compiled", lambda module: None)
    x, w, attrs = case(name)
    bias = RNG.standard_normal(len(w)).astype(np.float32)
    expected = np.clip(defined(x, w, attrs) + bias.reshape(-1, *[1] * (x.ndim - 2)), -1, 2)
    stages = [added(bias[:, None]), clamped(-1, 2)]
    at = windows(x.shape[2:], w.shape[2:], attrs)
    found = conv(x, w, at, attrs["group"], stages)
    np.testing.assert_allclose(found, expected, atol=2e-5 * w[0].size ** 0.5)


@needs_pixels
@pytest.mark.parametrize("name", [name for name in SHAPES if name != "line"])
def test_convolutions_by_pixel_are_the_same(name):
    x, w, attrs = case(name)
    x = np.concatenate([x, 2 * x])
    bias = RNG.standard_normal(len(w)).astype(np.float32)
    expected = np.clip(defined(x, w, attrs) + bias.reshape(-1, 1, 1), -1, 2)
    at = windows(x.shape[2:], w.shape[2:], attrs)
    finish = pixels.Finish(bias, None, -1, 2)
    packed = pixels.weight(w, attrs["group"])
    found = pixels.conv(x, packed, at, finish)
    np.testing.assert_allclose(found, expected, atol=4e-6 * w[0].size ** 0.5)
    assert pixels.by_pixel(found).base is not None  # channels lie together
    by_channel = pixels.conv(np.asfortranarray(x), packed, at, finish)
    assert np.array_equal(by_channel, found)


@needs_pixels
@pytest.mark.parametrize("columns", [16, 40, 64])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_what_follows_a_convolution_by_pixel_is_what_numpy_does(columns, threads, monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", threads)
    x = RNG.standard_normal((1, 64, 33, 31)).astype(np.float32)
    w = RNG.standard_normal((columns, 64, 3, 3)).astype(np.float32) / 24
    at = windows(x.shape[2:], w.shape[2:], {"pads": (1, 1, 1, 1)})
    sums = conv(x, w, at)
    bias = RNG.standard_normal(columns).astype(np.float32)
    other = RNG.standard_normal((33 * 31, columns)).astype(np.float32)
    packed = pixels.weight(w, 1)
    cases = (None, None, None), (other, 0.0, None), (other, -0.5, 0.5)
    for (term, low, high), swish in itertools.product(cases, (False, True)):
        found = pixels.conv(x, packed, at, pixels.Finish(bias, term, low, high, swish))
        total = pixels.by_pixel(sums).reshape(-1, columns) + bias + (0 if term is None else term)
        total = np.clip(total, low, high) if low is not None or high is not None else total
        expected = total / (1 + np.exp(-total)) if swish else total
        rows = pixels.by_pixel(found).reshape(-1, columns)
        np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("size", [6, 40])
def test_sums_do_not_depend_on_the_number_of_threads(size, monkeypatch):
    x = RNG.standard_normal((1, 70, size, size)).astype(np.float32)
    w = RNG.standard_normal((330, 70, 3, 3)).astype(np.float32)
    at = windows(x.shape[2:], w.shape[2:], {"pads": (1, 1, 1, 1)})
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("AXSIM_THREADS", threads)
        results.append([conv(x, w, at)])
        if pixels.supported():
            results[-1].append(pixels.conv(x, pixels.weight(w, 1), at))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize(("dtype", "wanted"), [("float32", "float32"), ("uint8", "int16")])
@pytest.mark.parametrize("size", [(3, 9, 14), (5, 130, 97)])
def test_planes_are_padded_as_pixels_are(dtype, wanted, size):
    tasks = {"float32": "float_tasks", "uint8": "code_tasks"}[dtype]
    module = compiled(f"axsim.kernels.vectors.{tasks}")
    if module is None or (dtype == "uint8" and not compiled(INTEGERS).pad_task(U8, S16)):
        pytest.skip("no such loops on this CPU")
    planes = np.random.default_rng(0).integers(0, 256, size).astype(dtype)
    shape = (*size[1:], size[0])
    at = windows(shape[:2], (7, 5), {"pads": (3, 2, 1, 4), "strides": (2, 2)})
    pad = Padding(shape, at, 9, np.dtype(wanted), 8, module.pad)
    image = planes.transpose(1, 2, 0)
    expected = pad(np.ascontiguousarray(image)).copy()
    assert not image.flags.c_contiguous
    assert np.array_equal(pad(image), expected)
    plain = Padding(shape, at, 9, np.dtype(wanted), 8)
    assert np.array_equal(plain(image), expected)


def test_images_of_a_batch_are_convolved_one_by_one():
    x, w, attrs = case("three by three")
    x = np.concatenate([x, -x, 2 * x])
    at = windows(x.shape[2:], w.shape[2:], attrs)
    np.testing.assert_allclose(conv(x, w, at), defined(x, w, attrs), atol=1e-4)


def finished(sums, scale, x, y):
    steps = sums.astype(np.float32) * (np.float32(x.scale) * scale / np.float32(y.scale)).reshape(
        -1, *[1] * (sums.ndim - 2)
    )
    return np.clip(np.rint(steps) + y.zero_point, y.low, y.high)


def quantised(w, axis=0):
    limit = np.abs(np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)).max(axis=1)
    scale = (limit / np.float32(127)).astype(np.float32)
    spread = [-1 if i == axis else 1 for i in range(w.ndim)]
    return np.rint(w / scale.reshape(spread)), scale


@pytest.mark.parametrize("dtype", ["u8", "u16"])
@pytest.mark.parametrize("name", SHAPES)
def test_convolutions_of_codes_are_exact_with_padding_at_the_zero_point(name, dtype):
    real, w, attrs = case(name)
    high = 255 if dtype == "u8" else 65535
    x, y = QParams(6 / high, high // 3, dtype), QParams(40 / high, high // 2, dtype)
    a = x.quantise(real)
    bias = RNG.standard_normal(len(w)).astype(np.float32)
    codes, scale = quantised(w)
    sums = defined(a.astype(np.float64) - x.zero_point, codes, attrs)
    sums += np.rint(bias / (np.float32(x.scale) * scale).astype(np.float64)).reshape(
        -1, *[1] * (a.ndim - 2)
    )
    packed = conv_weight(w, "Conv", attrs["group"], choose(windows=True))
    at = plane(a.shape[2:], w.shape, attrs)
    found = conv_codes(a, packed, finish_of(packed, bias, x, y), at, x)
    assert found.dtype == a.dtype
    assert np.array_equal(found, finished(sums, scale, x, y))
    assert found.std() > 1


def test_transposed_convolutions_of_codes_are_exact():
    w = RNG.standard_normal((6, 4, 3, 2)).astype(np.float32)
    x, y = QParams(0.02, 90, "u8"), QParams(0.3, 120, "u8")
    a = x.quantise(RNG.standard_normal((1, 6, 5, 4)).astype(np.float32))
    attrs = {"strides": (2, 1), "group": 1, "output_padding": (1, 0)}
    codes, scale = quantised(w, axis=1)
    centred = a.astype(np.float64) - x.zero_point
    sums = OPERATORS["ConvTranspose"].kernel(centred, codes.astype(np.float64), **attrs)[0]
    found = conv_transpose(a, conv_weight(w, "ConvTranspose", 1, choose()), None, attrs, x, y)
    assert np.array_equal(found, finished(sums, scale, x, y))


def test_depthwise_codes_are_the_same_with_and_without_numba():
    from axsim.kernels import conv_codes as module

    if compiled("axsim.kernels.conv_codes_numba") is None:
        pytest.skip("needs numba")
    image = RNG.integers(0, 65536, (12, 14, 20)).astype(np.uint16)
    taps = RNG.integers(-128, 128, (15, 20)).astype(np.int8)
    at = windows((12, 14), (3, 5), {"strides": (2, 1), "dilations": (1, 2)})
    y = QParams(1.0, 3000, "u16")
    multiplier = RNG.uniform(1e-4, 1e-2, 20).astype(np.float32)
    finish = Requantise(RNG.integers(-(2**31), 2**31, 20), multiplier, y)
    outs = []
    for function in (module.depthwise, module.depthwise.__wrapped__):
        out = np.zeros((*at.size, 20), np.uint16)
        function(image, taps, 700, at, finish, slice(1, at.size[0]), out)
        assert not out[0].any()
        outs.append(out)
    assert np.array_equal(*outs)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a window of 5 does not fit into 4 elements"):
        windows((4, 4), (3, 3), {"dilations": (2, 2)})
