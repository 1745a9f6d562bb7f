"""A predicted value with what is known of its error: interval and measured value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """Where the true value is expected, as fractions of the prediction: ``Interval(-0.05, 0.05)``
    is plus or minus 5 %."""

    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """Published measurements of the same configuration: their median, least and greatest, the
    ids of the ledger's rows and the models they were made on."""

    value: float
    low: float
    high: float
    ids: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """A predicted value in ``unit``, its interval if known, and what was measured if anything."""

    value: float
    unit: str
    interval: Interval | None = None
    measured: Measured | None = None

    @property
    def error(self) -> float | None:
        """predicted / measured − 1."""
        return None if self.measured is None else self.value / self.measured.value - 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON: value, unit, low and high bounds, measured, error."""
        low, high = self.interval or (None, None)
        found = self.measured
        return {
            "value": self.value,
            "unit": self.unit,
            "low": None if low is None else self.value * (1 + low),
            "high": None if high is None else self.value * (1 + high),
            "error": self.error,
            "measured": None
            if found is None
            else {
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "ids": list(found.ids),
                "models": list(found.models),
            },
        }
