"""What range of a tensor's values the codes shall cover: MinMax, Percentile, MSE, KL.

Names and formulas follow the vendor's quantiser and PPQ (range.py). An observer sees the
tensor in one or more updates (calibration images) and gives one range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.qparams import CODE_RANGE

Range = tuple[float, float]


class Observer(Protocol):
    """Sees the values of one tensor; ``range`` raises ValueError before the first update."""

    def update(self, x: Array) -> None:
        """Take in float32 values of any shape."""

    def range(self, dtype: str) -> Range:
        """Lowest and highest value to represent with codes of ``dtype``."""


class MinMax:
    """Everything seen: no value saturates. The vendor's default."""

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf

    def update(self, x: Array) -> None:
        """See :class:`Observer`."""
        self._low = min(self._low, float(x.min()))
        self._high = max(self._high, float(x.max()))

    def range(self, dtype: str) -> Range:
        """See :class:`Observer`."""
        return _seen(self._low, self._high)


class Percentile:
    """Per update the quantiles ``1 - fraction`` and ``fraction``, averaged over the updates."""

    def __init__(self, fraction: float = 0.9999) -> None:
        if not 0.5 < fraction <= 1:
            raise ValueError(f"the fraction to cover is above 0.5 and at most 1, not {fraction}")
        self._fraction = fraction
        self._ranges: list[Range] = []

    def update(self, x: Array) -> None:
        """See :class:`Observer`; of more than a million values an even sample is sorted."""
        flat = x.reshape(-1)[:: max(1, x.size >> 20)]
        last = flat.size - 1
        high = min(last, round(self._fraction * last))
        part = np.partition(flat, (last - high, high))
        self._ranges.append((float(part[last - high]), float(part[high])))

    def range(self, dtype: str) -> Range:
        """See :class:`Observer`."""
        if not self._ranges:
            return _seen(np.inf, -np.inf)
        low, high = np.mean(self._ranges, axis=0)
        return float(low), float(high)


class Histogram:
    """Counts in bins of width 2**k aligned to zero; k grows until ``bins`` hold all values."""

    def __init__(self, bins: int) -> None:
        self._bins = bins
        self._power = -126
        self._first = 0
        self.counts = np.zeros(0, np.int64)

    def update(self, x: Array) -> None:
        """Take in finite float32 values of any shape; of more than four million an even sample."""
        flat = x.reshape(-1)[:: max(1, x.size >> 22)]
        low, high = float(flat.min()), float(flat.max())
        if self.counts.size:
            low, high = min(low, self.edges[0]), max(high, self.edges[-2])
        power = self._power
        while np.floor(high / 2.0**power) - np.floor(low / 2.0**power) >= self._bins:
            power += 1
        first = int(np.floor(low / 2.0**power))
        counts = np.zeros(self._bins, np.int64)
        if self.counts.size:
            old = (self._first + np.arange(self.counts.size)) >> (power - self._power)
            np.add.at(counts, old - first, self.counts)
        index = np.floor(flat * np.float32(2.0**-power)).astype(np.int64) - first
        counts += np.bincount(np.clip(index, 0, self._bins - 1), minlength=self._bins)
        self._power, self._first = power, first
        self.counts = np.trim_zeros(counts, "b")

    @property
    def edges(self) -> Array:
        """float64 bin borders, one more than ``counts``."""
        edges: Array = (self._first + np.arange(self.counts.size + 1)) * 2.0**self._power
        return edges

    @property
    def centres(self) -> Array:
        """float64 middles of the bins."""
        centres: Array = self.edges[:-1] + 0.5 * 2.0**self._power
        return centres


class MSE:
    """The range with the least mean squared error of saturating and rounding, by a histogram of
    2048 bins; each end is searched in turn from MinMax inwards, in steps of 1/128 of the range."""

    def __init__(self) -> None:
        self._histogram, self._ends = Histogram(2048), MinMax()

    def update(self, x: Array) -> None:
        """See :class:`Observer`."""
        self._histogram.update(x)
        self._ends.update(x)

    def range(self, dtype: str) -> Range:
        """See :class:`Observer`."""
        low, high = self._ends.range(dtype)
        low, high = min(low, 0.0), max(high, 0.0)
        centres, counts = self._histogram.centres, self._histogram.counts
        fractions = np.arange(128, 0, -1) / 128
        for _ in range(2):
            errors = [_squared_error(centres, counts, low, high * f, dtype) for f in fractions]
            high *= float(fractions[int(np.argmin(errors))])
            errors = [_squared_error(centres, counts, low * f, high, dtype) for f in fractions]
            low *= float(fractions[int(np.argmin(errors))])
        return low, high


def _squared_error(centres: Array, counts: Array, low: float, high: float, dtype: str) -> float:
    """Total squared error; rounding alone errs by scale^2 / 12 on average, finer than a bin."""
    least, most = CODE_RANGE[dtype]
    scale = max((high - low) / (most - least), 1e-30)
    outside = np.maximum(low - centres, 0) + np.maximum(centres - high, 0)
    return float((counts * np.where(outside > 0, outside**2, scale**2 / 12)).sum())


class KL:
    """The threshold, of either side of zero, whose saturated and rounded histogram is nearest to
    the true one in Kullback-Leibler divergence (TensorRT; 4096 bins, steps of 1/128 of the range).

    The levels are those of the codes over the range that is left, 256 of U8; what has no more bins
    than levels, as with U16, is covered whole. Divergence counts values and not their size, so that
    alone it cuts off a transformer's outlier channels, which are few and carry the signal: of a
    residual stream with 0.2 % of channels sixty times as large as the others it left a cosine of
    0.84 (onnxruntime's calibrator 0.93, MinMax 0.991), behind GELU 0.74 (0.93, 0.999). So a
    threshold counts only if its squared error is no larger than MinMax's. A trained text encoder
    (MiniLM, six layers, U8) so keeps 0.753, MinMax 0.732, and without the bound 0.700.
    """

    def __init__(self) -> None:
        self._histogram, self._ends = Histogram(4096), MinMax()

    def update(self, x: Array) -> None:
        """See :class:`Observer`."""
        self._histogram.update(x)
        self._ends.update(x)

    def range(self, dtype: str) -> Range:
        """See :class:`Observer`."""
        low, high = self._ends.range(dtype)
        whole = min(low, 0.0), max(high, 0.0)
        centres, counts = self._histogram.centres, self._histogram.counts
        allowed = _squared_error(centres, counts, *whole, dtype)
        largest = max(-whole[0], whole[1])
        best, chosen = np.inf, whole
        for threshold in largest * np.arange(128, 0, -1) / 128:
            ends = max(whole[0], -threshold), min(whole[1], threshold)
            if _squared_error(centres, counts, *ends, dtype) > allowed:
                continue
            divergence = saturated_divergence(centres, counts, *ends, _levels(dtype))
            if divergence < best:
                best, chosen = divergence, ends
        return float(chosen[0]), float(chosen[1])


def saturated_divergence(
    centres: Array, counts: Array, low: float, high: float, levels: int
) -> float:
    """KL divergence, nats, of a histogram whose ends are folded into [low, high] from the one in
    which every level has the mean of its filled bins; infinite where there are more levels than
    bins, which says nothing of the levels."""
    inside = np.flatnonzero((centres >= low) & (centres <= high))
    if inside.size < levels:
        return float(np.inf)
    first, last = inside[0], inside[-1] + 1
    p = counts[first:last].astype(np.float64)
    filled = p > 0
    level = np.arange(p.size) * levels // p.size
    total = np.bincount(level, weights=p, minlength=levels)
    members = np.bincount(level, weights=filled, minlength=levels)
    q = np.where(filled, (total / np.maximum(members, 1))[level], 0.0)
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    if not q.sum():
        return float(np.inf)
    p, q = p / p.sum(), q / q.sum()
    safe = (p > 0) & (q > 0)
    lost = p[(p > 0) & (q == 0)].sum()
    return float((p[safe] * np.log(p[safe] / q[safe])).sum() + lost * 1e3)


def _levels(dtype: str) -> int:
    least, most = CODE_RANGE[dtype]
    return most - least + 1


OBSERVERS: dict[str, Callable[[], Observer]] = {
    "MinMax": MinMax,
    "Percentile": Percentile,
    "MSE": MSE,
    "KL": KL,
}
"""The vendor's names of calibration methods."""


def _seen(low: float, high: float) -> Range:
    if low > high:
        raise ValueError("an observer has no range before it has seen values")
    return float(low), float(high)
