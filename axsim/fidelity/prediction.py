"""A predicted value with what is known of its error: interval and measured value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """Where the true value is expected, as fractions of the prediction: ``Interval(-0.05, 0.05)``
    is plus or minus 5 %."""

    low: float
    high: float


def counted(count: int, thing: str) -> str:
    """``1 row``, ``5 rows``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """Four significant digits, no exponent."""
    if value >= 1000:
        return f"{value:.0f}"
    digits = 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{value:.{digits}f}"


@dataclass(frozen=True)
class Measured:
    """Published measurements of the same configuration: their median, least and greatest, the
    ids of the ledger's rows and the models they were made on."""

    value: float
    low: float
    high: float
    ids: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Prediction:
    """A predicted value in ``unit``, its interval if known, and what was measured if anything.

    ``extrapolated`` says why nothing that was measured is near enough to vouch for the prediction;
    it is empty where something is. It counts as its value: ``float(prediction)``,
    ``f"{prediction:.1f}"``; printed it shows the rest, too."""

    value: float
    unit: str
    interval: Interval | None = None
    measured: Measured | None = None
    extrapolated: str = ""

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, form: str) -> str:
        return format(self.value, form) if form else str(self)

    def __str__(self) -> str:
        text = f"{number(self.value)} {self.unit}"
        if self.interval is not None:
            text += f" ±{self.interval.high:.0%}" + "*" * bool(self.extrapolated)
        if self.measured is not None:
            text += f", measured {number(self.measured.value)} ({self.error:+.1%})"
        return text + (f" (* {self.extrapolated})" if self.extrapolated else "")

    def __repr__(self) -> str:
        return f"<{self}>"

    @property
    def low(self) -> float | None:
        """The lower bound of its interval, in its unit."""
        return None if self.interval is None else self.value * (1 + self.interval.low)

    @property
    def high(self) -> float | None:
        """The upper bound of its interval, in its unit."""
        return None if self.interval is None else self.value * (1 + self.interval.high)

    @property
    def error(self) -> float | None:
        """predicted / measured − 1."""
        return None if self.measured is None else self.value / self.measured.value - 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON: value, unit, low and high bounds, measured, error, and why it is extrapolated
        (None when it is not)."""
        found = self.measured
        return {
            "value": self.value,
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "error": self.error,
            "extrapolated": self.extrapolated or None,
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
