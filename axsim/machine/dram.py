"""The DRAM interface: transfers in flight share its bandwidth evenly."""

from __future__ import annotations

from math import inf

SLACK_BYTES = 1e-6
"""What may be left of a transfer that counts as complete: rounding, far below a byte."""


class Dram:
    """``bytes_per_us`` is shared by all open transfers in equal parts, at every moment.

    The caller keeps the time, in microseconds; it never runs backwards, nor past :meth:`due_us`
    without :meth:`complete`.
    """

    def __init__(self, bytes_per_us: float) -> None:
        self._rate = bytes_per_us
        self._left: dict[int, float] = {}  # open transfer: bytes left at _updated
        self._updated = 0.0
        self._due: float | None = inf  # None: not known since transfers came or went

    def due_us(self) -> float:
        """When the smallest open transfer will be complete; infinite when none is open."""
        if self._due is None:
            left = self._left
            wait = max(0.0, min(left.values())) * len(left) / self._rate if left else inf
            self._due = self._updated + wait
        return self._due

    def open(self, transfer: int, size: float, now: float) -> None:
        """Begin to move ``size`` bytes; ``transfer`` is the caller's name for it."""
        self._progress(now)
        self._left[transfer] = size
        self._due = None

    def complete(self, now: float) -> list[int]:
        """Close the transfers that are complete at ``now``, which is due; one at least."""
        self._progress(now)
        most = max(min(self._left.values()), SLACK_BYTES)
        found = [transfer for transfer, left in self._left.items() if left <= most]
        for transfer in found:
            del self._left[transfer]
        self._due = None
        return found

    def _progress(self, now: float) -> None:
        """Bring the bytes left of every open transfer up to ``now``."""
        if now > self._updated:
            left = self._left
            if left:
                moved = (now - self._updated) * self._rate / len(left)
                for transfer in left:
                    left[transfer] -= moved
            self._updated = now
