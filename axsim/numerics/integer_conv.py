"""Convolutions of codes, with any stride, padding, dilation and group.

Padding is the zero point's code, which stands for the number zero. Values keep their shape
[N, C, H, W] while channels lie together in memory, so that patches are copied in runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from axsim.graph.ops import OPERATORS
from axsim.kernels import squares
from axsim.kernels.arithmetic import MAX_INNER_U8
from axsim.kernels.array import Array
from axsim.kernels.codes import rounded_codes
from axsim.kernels.conv_codes import Padding, depthwise, patch_rows
from axsim.kernels.finish import Requantise, Sum
from axsim.kernels.parallel import ALONE, parallel, threads
from axsim.kernels.pixels import pieces, places
from axsim.kernels.products import Products
from axsim.kernels.qparams import QParams
from axsim.kernels.scratch import Scratch
from axsim.kernels.twin import compiled
from axsim.kernels.windows import Windows, windows
from axsim.numerics.integer_kernels import IntegerMatrix, add, bias_codes
from axsim.numerics.matrix import Matrix, quantise_matrix

_scratch = Scratch()
_BYTES = 1 << 18
"""Patches multiplied at once and their results, so that they stay near the core."""
_ROWS = 256
"""Rows multiplied at once at least, so that calls are few."""
_WORD = 4
"""Channels that :meth:`axsim.kernels.products.Packed.windows` wants a multiple of."""


@dataclass(frozen=True, slots=True)
class ConvWeight:
    """S8 weights of a convolution with a float32 ``scale`` for each output channel [M].

    ``matrices``: packed, one for each group, of ``channels`` channels; or panels of ``squares``
    (:mod:`axsim.kernels.squares`), for images of S16 numbers; or ``codes``: int8, [taps, M] of a
    depthwise convolution, [C, M / group, taps...] of a transposed one. ``sums``: int64 [M], of each
    channel's codes.
    """

    shape: tuple[int, ...]
    group: int
    scale: Array
    sums: Array
    matrices: tuple[IntegerMatrix, ...] = ()
    squares: Array | None = None
    codes: Array | None = None
    channels: int = 0

    def image(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """How an image of codes of ``dtype`` is wanted."""
        if self.squares is not None:
            return np.dtype(np.int16)
        narrow = self.matrices and dtype == np.uint8
        return self.matrices[0].packed.image if narrow else dtype


def quantised_taps(w: Array, op: str, group: int) -> Matrix:
    """The weight of a Conv or ConvTranspose as S8 codes in its own shape, with a scale for each
    output channel."""
    if op == "ConvTranspose":
        rows = w.reshape(group, -1, *w.shape[1:]).swapaxes(1, 2)  # [group, M / group, C / group, …]
        stored = quantise_matrix(rows.reshape(group * w.shape[1], -1))
        codes = stored.codes.reshape(rows.shape).swapaxes(1, 2).reshape(w.shape)
        return Matrix(codes, stored.scale, "s8")
    stored = quantise_matrix(w.reshape(w.shape[0], -1))
    return Matrix(stored.codes.reshape(w.shape), stored.scale, "s8")


def conv_weight(
    w: Array | Matrix, op: str, group: int, products: Products, in_squares: bool = False
) -> ConvWeight:
    """The weight of a Conv or ConvTranspose as integers need it; codes are taken as they are.
    ``in_squares``: of a convolution of U8 codes for which :func:`squares_pay`."""
    stored = w if isinstance(w, Matrix) else quantised_taps(w, op, group)
    codes, scale = stored.codes, stored.scale
    assert scale is not None
    shape = codes.shape
    if op == "ConvTranspose":
        channels = codes.reshape(group, -1, *shape[1:]).swapaxes(1, 2)
        sums = _sums(channels.reshape(group * shape[1], -1))
        return ConvWeight(shape, group, scale, sums, codes=codes)
    # Taps before channels, as patches have them.
    rows = np.ascontiguousarray(np.moveaxis(codes, 1, -1)).reshape(shape[0], -1)
    sums = _sums(rows)
    if shape[1] == 1 and group > 1 and rows.shape[1] < 256:
        return ConvWeight(shape, group, scale, sums, codes=np.ascontiguousarray(rows.T))
    if in_squares:
        panels = squares.weight(codes)
        return ConvWeight(shape, group, scale, sums, squares=panels, channels=shape[1])
    # A pixel of whole words can be multiplied where it lies.
    channels = shape[1] if group > 1 else -(-shape[1] // _WORD) * _WORD
    if channels > shape[1]:
        spread = rows.reshape(shape[0], -1, shape[1])
        wider = np.pad(spread, ((0, 0), (0, 0), (0, channels - shape[1])))
        rows = wider.reshape(shape[0], -1)
    count = shape[0] // group
    parts = [slice(g * count, (g + 1) * count) for g in range(group)]
    matrices = tuple(IntegerMatrix(products.pack(rows[part]), scale[part]) for part in parts)
    return ConvWeight(shape, group, scale, sums, matrices, channels=channels)


def squares_pay(
    shape: tuple[int, ...], group: int, at: Windows, dtype: str, products: Products
) -> bool:
    """Whether a convolution of U8 codes is faster in squares than through ``products``, of which
    some take bytes, four at a time."""
    pairs, fits = products.name == "int16", squares.TIMES * prod(shape[1:]) <= MAX_INNER_U8
    return pairs and fits and dtype == "u8" and squares.pay(shape, group, at, np.int16)


def _sums(codes: Array) -> Array:
    sums: Array = codes.sum(axis=1, dtype=np.int64)
    return sums


def finish_of(w: ConvWeight, bias: Array | None, x: QParams, y: QParams) -> Requantise:
    """What :func:`conv` makes of sums of codes; ``bias`` float32 [M] or None."""
    scale = np.float32(x.scale) * w.scale
    shift = bias_codes(bias, scale)
    if w.codes is None:  # products are of codes as they are
        shift = shift - x.zero_point * w.sums
    return Requantise(shift, scale / np.float32(y.scale), y)


def plane(spatial: tuple[int, ...], w: tuple[int, ...], attrs: Mapping[str, Any]) -> Windows:
    """The windows of a weight of shape ``w`` over a plane, or over a line seen as one.

    Raises ValueError for more dimensions.
    """
    at = windows(spatial, w[2:], attrs)
    if len(spatial) > 2:
        raise ValueError(f"integer convolution over {len(spatial)} dimensions; planes at most")
    if len(spatial) == 2:
        return at
    return Windows((1, *at.taps), (1, *at.strides), (1, *at.dilations), (0, *at.begin),
                   (0, *at.end), (1, *at.size))  # fmt: skip


def conv(a: Array, w: ConvWeight, finish: Requantise, at: Windows, x: QParams) -> Array:
    """Codes [N, M, windows...] of the convolution of codes ``a`` [N, C, ...] over one or two
    dimensions; ``finish``: :func:`finish_of`; ``at``: :func:`plane`."""
    return convolution(w, finish, at, x, a.shape[1:])(a)


def convolution(
    w: ConvWeight,
    finish: Requantise,
    at: Windows,
    x: QParams,
    shape: tuple[int, ...],
    then: Sum | None = None,
) -> Callable[..., Array]:
    """:func:`conv` made ready for tensors whose images have a ``shape`` [C, ...]. It is called with
    codes that look like its result as well where there is a sum ``then``."""
    is_line, dtype = len(shape) == 2, w.image(np.dtype(x.numpy))
    pixels = (*([1] * is_line), *shape[1:], shape[0])
    wanted = at if w.squares is None else squares.whole(at)
    vectors = compiled("axsim.kernels.vectors.integers")
    task = None if vectors is None else vectors.pad_task(np.dtype(x.numpy), dtype)
    pad = Padding(pixels, wanted, x.zero_point, dtype, w.channels * w.group, task)
    codes, count, warm = finish.y.numpy, w.shape[0], False
    if w.codes is not None:
        product = _depthwise(w, x.zero_point, at, finish, pad)
    elif w.squares is not None:
        product = squares.convolved_codes(w.squares, at, finish)
    else:
        product, warm = _products(w, at, finish, pad, then)

    def run(a: Array, *others: Array) -> Array:
        if is_line:
            a = a[:, :, None]
        out = np.empty((len(a), *at.size, count), codes)
        terms = [np.ascontiguousarray(x.transpose(0, 2, 3, 1)) for x in others]
        own = terms if warm else []
        for image, rows, *term in zip(a.transpose(0, 2, 3, 1), out, *own, strict=True):
            product(pad(image), rows, *term)
        if then is not None and not warm:
            out = add(out, terms[0], then.own, then.other, then.y)
        moved: Array = out.transpose(0, 3, 1, 2)
        return moved[:, :, 0] if is_line else moved

    return run


Product = Callable[..., None]
"""Takes a padded image [H, W, C], and writes its result [height, width, M]; where it makes sums as
well, it takes the other codes of these after that."""


def _depthwise(w: ConvWeight, zero: int, at: Windows, finish: Requantise, pad: Padding) -> Product:
    assert w.codes is not None
    taps, height, share = w.codes, at.size[0], w.shape[0] // pad.shape[2]
    few = prod(at.size) * taps.size < ALONE // 8
    step = height if few else -(-height // (4 * threads()))
    vectors = compiled("axsim.kernels.vectors.integers")
    whole = None if vectors is None else vectors.depthwise(taps, zero, at, finish, step, pad.dtype)

    def product(image: Array, out: Array) -> None:
        if share > 1:
            image = image.repeat(share, axis=2)
        if whole is not None:
            whole(image, out)
            return

        def some(i: int) -> None:
            lines = slice(i * step, min((i + 1) * step, height))
            depthwise(image, taps, zero, at, finish, lines, out)

        parallel(-(-height // step), some)

    return product


def _products(
    w: ConvWeight, at: Windows, finish: Requantise, pad: Padding, then: Sum | None
) -> tuple[Product, bool]:
    """The product, and whether it makes the sums ``then`` of its codes while these are warm."""
    count, begins = w.shape[0] // w.group, places(at, *pad.shape[1:])
    parts, run = pieces(at, *pad.shape[1:], w.channels)
    alike = then is not None and then.own.dtype == then.other.dtype == then.y.dtype
    sums = alike and w.group == 1
    every: list[Callable[..., None]] = []
    for g, matrix in enumerate(w.matrices):
        part, first = slice(g * count, (g + 1) * count), g * w.channels
        own = Requantise(finish.shift[part], finish.multiplier[part], finish.y)
        where = begins, parts + first, run
        each = matrix.packed.windows(*where, own, pad.dtype, part.start, then if sums else None)
        if each is None:
            channels, sums = slice(first, first + w.channels), False
            each = partial(_patches, matrix, at, channels, own, part.start)
        every.append(each)

    def product(image: Array, *results: Array) -> None:
        rows = [x.reshape(-1, x.shape[2]) for x in results]
        for each in every:
            each(image, *rows)

    return product, sums


def _patches(
    matrix: IntegerMatrix, at: Windows, channels: slice, finish: Requantise, left: int,
    image: Array, rows: Array,
) -> None:  # fmt: skip
    height, width = at.size
    inner = (channels.stop - channels.start) * prod(at.taps)
    columns = finish.shift.size
    wanted = max(_ROWS, _BYTES // ((inner + columns) * image.itemsize))
    workers = threads() if len(rows) * columns * inner > ALONE else 1
    step = max(1, min(-(-wanted // width), -(-height // workers)))

    def some(i: int) -> None:
        lines = slice(i * step, min((i + 1) * step, height))
        block = rows[lines.start * width : lines.stop * width]
        memory = _scratch.array("patches", (len(block), inner), image.dtype)
        matrix.packed.into(patch_rows(image, at, lines, channels, memory), finish, block, left)

    parallel(-(-height // step), some)


def conv_transpose(
    a: Array, w: ConvWeight, bias: Array | None, attrs: Mapping[str, Any], x: QParams, y: QParams
) -> Array:
    """Codes of the transposed convolution. float64 holds sums of 2^29 products of codes exactly."""
    assert w.codes is not None
    centred = np.subtract(a, float(x.zero_point), dtype=np.float64)
    sums = OPERATORS["ConvTranspose"].kernel(centred, w.codes.astype(np.float64), **attrs)[0]
    scale = np.float32(x.scale) * w.scale
    spread = (-1, *[1] * (a.ndim - 2))
    sums += bias_codes(bias, scale).reshape(spread)
    steps = sums.astype(np.float32) * (scale / np.float32(y.scale)).reshape(spread)
    return rounded_codes(steps, y)
