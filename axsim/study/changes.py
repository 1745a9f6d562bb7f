"""What differs between two results or two descriptors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from axsim.system.metrics import PREDICTED

Timings = dict[str, dict[str, float]]
"""Variant, then metric, to value: milliseconds, or what the metric's name says."""

SHOWN = (*(metric.name for metric in PREDICTED), "preprocess_ms", "post_ms")
"""The metrics of a row that are compared."""


@dataclass(frozen=True)
class Change:
    """``name`` in the group ``where`` (a variant, a descriptor) was ``before`` and is ``after``;
    None where one side does not have it."""

    where: str
    name: str
    before: Any
    after: Any

    @property
    def ratio(self) -> float | None:
        """after / before − 1 of numbers; None when one is missing, is no number or is zero."""
        numbers = all(
            isinstance(each, int | float) and not isinstance(each, bool)
            for each in (self.before, self.after)
        )
        if not numbers or self.before == self.after == 0:
            return 0.0 if numbers else None
        try:
            return self.after / self.before - 1 if self.before else None
        except OverflowError:  # a whole number that no float holds
            return None


def timings(rows: Iterable[Mapping[str, Any]]) -> Timings:
    """The compared metrics of rows as :meth:`VariantResult.to_row` makes them."""
    return {
        row["variant"]: {name: row[name] for name in SHOWN if row.get(name) is not None}
        for row in rows
    }


def compare_groups(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    """Every name of every group on both sides, equal ones too, in the order of ``before``."""
    found = []
    for where in dict.fromkeys([*before, *after]):
        old, new = before.get(where, {}), after.get(where, {})
        for name in dict.fromkeys([*old, *new]):
            found.append(Change(where, name, old.get(name), new.get(name)))
    return found


def different(changes: Iterable[Change]) -> list[Change]:
    """Those that are not equal, the largest relative changes of numbers first, then the others."""
    unequal = [each for each in changes if each.before != each.after]
    return sorted(unequal, key=lambda each: -abs(each.ratio) if each.ratio is not None else 1.0)


def flatten(document: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as dotted keys."""
    return dict(_leaves(document, prefix))


def _leaves(document: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    items: Iterable[tuple[Any, Any]]
    if isinstance(document, Mapping):
        items = document.items()
    elif isinstance(document, list | tuple):
        items = enumerate(document)
    else:
        yield prefix, document
        return
    for key, value in items:
        yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
