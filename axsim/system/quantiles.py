"""Percentiles of a stream of numbers in bounded memory.

The first :data:`EXACT` values are kept. Beyond, values are counted in classes whose bounds grow by
a constant factor, so that every percentile is within :data:`ERROR` of a value of its rank (Masson,
Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
VLDB 2019). Count, mean, least and greatest are always exact.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, exp, log
from typing import Any

EXACT = 4096
"""Values that are kept as they are."""
ERROR = 0.005
"""Relative error of percentiles of more values."""
SHOWN = (50, 90, 95, 99)
"""Percentiles that results have."""

_FACTOR = log((1 + ERROR) / (1 - ERROR))


def enough(count: int, percent: float) -> bool:
    """Whether so many values tell a percentile: with fewer it is the greatest of them."""
    return ceil(percent * count / 100) < count


class Quantiles:
    """Counts values that are not negative."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = self.greatest = 0.0
        self._values: list[float] | None = []
        self._classes: Counter[int | None] = Counter()

    def add(self, value: float) -> None:
        """One more value."""
        self.least = min(self.least, value) if self.count else value
        self.greatest = max(self.greatest, value)
        self.count += 1
        self.total += value
        if self._values is None:
            self._classes[_class(value)] += 1
        else:
            self._values.append(value)
            if len(self._values) > EXACT:
                self._classes.update(map(_class, self._values))
                self._values = None

    @property
    def mean(self) -> float:
        """The mean; 0 of nothing."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The least value that at least so many percent are not above, one of those that were added
        where these are kept. 0 of nothing."""
        if not self.count:
            return 0.0
        rank = max(1, ceil(percent * self.count / 100))
        if self._values is not None:
            self._values.sort()
            return self._values[rank - 1]
        seen = 0
        for value, many in self._counted():
            seen += many
            if seen >= rank:
                return min(max(value, self.least), self.greatest)
        return self.greatest

    def steps(self) -> list[tuple[float, float]]:
        """Value and fraction of values up to it, for the distribution's curve."""
        if self._values is not None:
            counted = [(value, 1) for value in sorted(self._values)]
        else:
            counted = self._counted()
        found, seen = [], 0
        for value, many in counted:
            seen += many
            found.append((value, seen / self.count))
        return found

    def _counted(self) -> list[tuple[float, int]]:
        """The middle of each class and how many are in it, from the least on."""
        pairs = [(_middle(index), many) for index, many in self._classes.items()]
        return sorted(pairs)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: count, mean, percentiles and max."""
        found: dict[str, Any] = {"count": self.count, "mean": self.mean}
        found |= {f"p{percent}": self.percentile(percent) for percent in SHOWN}
        return {**found, "max": self.greatest}


def _class(value: float) -> int | None:
    return ceil(log(value) / _FACTOR) if value > 0 else None


def _middle(index: int | None) -> float:
    """The value whose relative distance from both bounds of a class is the same."""
    return 0.0 if index is None else 2 * exp(index * _FACTOR) / (1 + exp(_FACTOR))
