"""The DRAM interface: transfers in flight share its bandwidth, evenly or by weight."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

SLACK_BYTES = 1e-6
"""What may be left of a transfer that counts as complete: rounding, far below a byte."""


class Dram(Generic[Name]):
    """``bytes_per_us`` is shared by all open transfers by their weights, at every moment; in equal
    parts where these are 1.

    A transfer goes by a name that its user chooses. The caller keeps the time, in microseconds; it
    never runs backwards, nor past :meth:`due_us` without :meth:`complete`.
    """

    def __init__(self, bytes_per_us: float) -> None:
        self._rate = bytes_per_us
        self._left: dict[Name, float] = {}  # open transfer: bytes left at _updated over its weight
        self._heavy: dict[Name, float] = {}  # weights of open transfers that are not 1
        self._weight = 0.0  # of all open transfers
        self._updated = 0.0
        self._due: float | None = inf  # None: not known since transfers came or went

    def due_us(self) -> float:
        """When the smallest open transfer will be complete; infinite when none is open."""
        if self._due is None:
            left = self._left
            wait = max(0.0, min(left.values())) * self._weight / self._rate if left else inf
            self._due = self._updated + wait
        return self._due

    def open(self, transfer: Name, size: float, now: float, weight: float = 1.0) -> None:
        """Begin to move ``size`` bytes, infinitely many for a transfer that lasts until closed."""
        self._progress(now)
        if weight == 1.0:
            self._left[transfer] = size
        else:
            self._left[transfer], self._heavy[transfer] = size / weight, weight
        self._weight += weight
        self._due = None

    def close(self, transfer: Name, now: float) -> float:
        """Give a transfer up before it is complete; the bytes that were left of it."""
        self._progress(now)
        self._due = None
        left, weight = self._left.pop(transfer), self._forget(transfer)
        return left * weight

    def complete(self, now: float) -> list[Name]:
        """Close the transfers that are complete at ``now``, which is due; one at least."""
        self._progress(now)
        most = max(min(self._left.values()), SLACK_BYTES)
        found = [transfer for transfer, left in self._left.items() if left <= most]
        for transfer in found:
            del self._left[transfer]
            if self._heavy:
                self._forget(transfer)
        if not self._heavy:
            self._weight = float(len(self._left))
        self._due = None
        return found

    def restart(self) -> None:
        """Time begins at 0 again, with nothing open."""
        self._left.clear()
        self._heavy.clear()
        self._weight = 0.0
        self._updated, self._due = 0.0, inf

    def _forget(self, transfer: Name) -> float:
        """Take away the weight of a transfer that is open no longer; what it was."""
        weight = self._heavy.pop(transfer, 1.0)
        self._weight = self._weight - weight if self._left else 0.0
        return weight

    def _progress(self, now: float) -> None:
        """Bring the bytes left of every open transfer up to ``now``."""
        if now > self._updated:
            left = self._left
            if left:
                moved = (now - self._updated) * self._rate / self._weight
                for transfer in left:
                    left[transfer] -= moved
            self._updated = now
