"""Intervals of predictions, from how far the ledger's rows are predicted wrong.

``measurements/intervals.json`` holds them, so that a run need not predict the ledger first; it is
made by :func:`document` whenever chips are calibrated or the timing model changes.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from axsim.fidelity.ledger import series
from axsim.fidelity.prediction import Interval
from axsim.spec.chip import Chip
from axsim.spec.descriptor import data_folder
from axsim.system.metrics import PREDICTED

if TYPE_CHECKING:
    from axsim.fidelity.predict import Compared
    from axsim.fidelity.validate import Validation

LEVEL = 0.90
"""Share of true values that an interval is meant to hold."""
LEAST = 0.03
"""Half-width at least: measurements of one configuration differ by 2 to 7 % between sources."""
ENOUGH = 3
"""Series of rows that a chip needs for intervals of its own."""
ANY = "any"

STUDENT = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.90, 1.86, 1.83)
"""95 % quantiles of Student's t with 1 to 9 degrees of freedom; beyond, 1.645 + 1.6 / n."""


def shipped_intervals(chip: Chip, metric: str) -> Interval | None:
    """The interval of ``metric`` on ``chip``; of all chips' rows when the ledger has too few of
    this one. Chips are told apart by name."""
    known = _shipped()
    found = known.get(chip.name, {}).get(metric) or known.get(ANY, {}).get(metric)
    return None if found is None else Interval(-found["half_width"], found["half_width"])


def document(validation: Validation) -> dict[str, Any]:
    """What intervals.json holds: by chip, and for any chip, the half-width of each metric as a
    fraction of the prediction, with the numbers of series and rows behind it."""
    chips = sorted({each.row.chip.lower() for each in validation.compared})
    found: dict[str, Any] = {}
    for chip in (*chips, ANY):
        rows = [each for each in validation.compared if chip in (ANY, each.row.chip.lower())]
        own = {}
        for metric in PREDICTED:
            chosen = [each for each in rows if each.row.metric in metric.sources]
            errors = series_errors(chosen)
            if len(errors) >= (1 if chip == ANY else ENOUGH):
                width = half_width(errors)
                own[metric.name] = {
                    "half_width": round(width, 4),
                    "series": len(errors),
                    "rows": len(chosen),
                }
        found[chip] = own
    return found


def series_errors(rows: Iterable[Compared]) -> list[float]:
    """The root mean square of log(predicted / measured) in each series of rows: the chunks of one
    ladder are wrong together and count once."""
    squares: dict[object, list[float]] = defaultdict(list)
    for each in rows:
        if each.predicted is not None:
            key = (each.row.chip.lower(), series(each.row))
            squares[key].append(math.log(each.predicted / each.row.value) ** 2)
    return [math.sqrt(sum(part) / len(part)) for part in squares.values()]


def half_width(errors: list[float]) -> float:
    """Half-width that holds ``LEVEL`` of further errors, were they normal about zero: Student's t
    times the root mean square, wider the fewer ``errors`` there are."""
    count = len(errors)
    quantile = STUDENT[count - 1] if count <= len(STUDENT) else 1.645 + 1.6 / count
    return max(LEAST, quantile * math.sqrt(sum(error**2 for error in errors) / count))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    path = data_folder("measurements") / "intervals.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
