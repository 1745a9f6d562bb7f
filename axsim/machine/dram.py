"""The DRAM interface: transfers in flight share its bandwidth evenly."""

from __future__ import annotations

from math import inf

SLACK_BYTES = 1e-6
"""What may be left of a transfer that counts as complete: rounding, far below a byte."""


class Dram:
    """``bytes_per_us`` is shared by all open transfers in equal parts, at every moment.

    ``due_us`` says when the smallest of them will be complete, infinite when none is open. The
    caller keeps the time, in microseconds; it never runs backwards, nor past ``due_us`` without
    :meth:`complete`.
    """

    def __init__(self, bytes_per_us: float) -> None:
        self.due_us = inf
        self._rate = bytes_per_us
        self._left: dict[int, float] = {}  # open transfer: bytes left at _updated
        self._updated = 0.0

    def open(self, transfer: int, size: float, now: float) -> None:
        """Begin to move ``size`` bytes; ``transfer`` is the caller's name for it."""
        self._progress(now)
        self._left[transfer] = size
        self._look_ahead()

    def complete(self, now: float) -> list[int]:
        """Close the transfers that are complete at ``now``, which is ``due_us``; one at least."""
        self._progress(now)
        most = max(min(self._left.values()), SLACK_BYTES)
        found = [transfer for transfer, left in self._left.items() if left <= most]
        for transfer in found:
            del self._left[transfer]
        self._look_ahead()
        return found

    def _progress(self, now: float) -> None:
        """Bring the bytes left of every open transfer up to ``now``."""
        elapsed = now - self._updated
        self._updated = now
        if elapsed and self._left:
            moved = elapsed * self._rate / len(self._left)
            for transfer in self._left:
                self._left[transfer] -= moved

    def _look_ahead(self) -> None:
        left = self._left
        if left:
            wait = max(0.0, min(left.values())) * len(left) / self._rate
            self.due_us = self._updated + wait
        else:
            self.due_us = inf
