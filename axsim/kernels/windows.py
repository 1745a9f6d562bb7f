"""Where the windows of convolutions and poolings lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over the spatial dimensions of an input: for each dimension the number of ``taps``,
    ``strides``, ``dilations``, padding at the ``begin`` and at the ``end``, and the number of
    windows, ``size``.
    The last windows may reach beyond the padding when the sizes were rounded up (``ceil_mode``).
    """

    taps: Shape
    strides: Shape
    dilations: Shape
    begin: Shape
    end: Shape
    size: Shape

    def reach(self, spatial: Shape) -> Shape:
        """How far the last window of each dimension reaches beyond ``spatial``, at least 0."""
        last = (
            (n - 1) * stride + (taps - 1) * dilation + 1 - begin
            for n, stride, taps, dilation, begin in zip(
                self.size, self.strides, self.taps, self.dilations, self.begin, strict=True
            )
        )
        return tuple(max(end - size, 0) for end, size in zip(last, spatial, strict=True))


def windows(spatial: Shape, taps: Shape, attrs: Mapping[str, Any]) -> Windows:
    """The windows of ONNX's Conv, MaxPool and AveragePool over an input of size ``spatial``.

    Raises ValueError when not one window fits. As onnxruntime does, sizes rounded up keep no window
    that begins in the padding at the end.
    """
    rank = len(taps)
    strides = tuple(attrs.get("strides") or (1,) * rank)
    dilations = tuple(attrs.get("dilations") or (1,) * rank)
    extents = tuple((taps[i] - 1) * dilations[i] + 1 for i in range(rank))
    begin, end = _padding(spatial, extents, strides, attrs)
    size = []
    for i in range(rank):
        room = spatial[i] + begin[i] + end[i] - extents[i]
        if room < 0:
            raise ValueError(f"a window of {extents[i]} does not fit into {spatial[i]} elements")
        count = room // strides[i] + 1
        if attrs.get("ceil_mode") and room % strides[i]:
            count += count * strides[i] < spatial[i] + begin[i]
        size.append(count)
    return Windows(taps, strides, dilations, begin, end, tuple(size))


def _padding(
    spatial: Shape, extents: Shape, strides: Shape, attrs: Mapping[str, Any]
) -> tuple[Shape, Shape]:
    rank = len(extents)
    auto = attrs.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max((-(-spatial[i] // strides[i]) - 1) * strides[i] + extents[i] - spatial[i], 0)
            for i in range(rank)
        ]
        small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    pads = tuple(attrs.get("pads") or (0,) * (2 * rank)) if auto == "NOTSET" else (0,) * (2 * rank)
    return pads[:rank], pads[rank:]
