"""The clock that scripts see with virtual time: the chip's.

``time``'s clocks begin where they are and advance by what calls take on the chip, and by what
scripts sleep. Python's own library goes on with the real time, so that queues, events and event
loops wait as they do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from axsim.axengine.stand_in import StandIn

CLOCKS = ("time", "perf_counter", "monotonic")
"""Functions of :mod:`time` that show the chip's clock, those in nanoseconds among them."""


@contextmanager
def virtual_time(board: StandIn) -> Iterator[None]:
    """Let scripts see the clock of ``board`` until the block ends."""
    begun = board.now_ms
    real = {name: getattr(time, name) for name in _patched()}

    def shown(name: str) -> Callable[[], Any]:
        clock, start = real[name], real[name]()
        in_ns = name.endswith("_ns")

        def read() -> Any:
            if _is_library(sys._getframe(1).f_globals):
                return clock()
            ms = board.now_ms - begun
            return start + round(ms * 1e6) if in_ns else start + ms / 1e3

        return read

    def sleep(seconds: float) -> None:
        if _is_library(sys._getframe(1).f_globals) or not 0 <= seconds < inf:
            real["sleep"](seconds)
        else:
            board.pass_time(seconds)

    for name in _patched():
        setattr(time, name, sleep if name == "sleep" else shown(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(time, name, function)


def _patched() -> list[str]:
    return [*CLOCKS, *(f"{name}_ns" for name in CLOCKS), "sleep"]


def _is_library(caller: dict[str, Any]) -> bool:
    """Whether a module is part of Python."""
    return str(caller.get("__name__", "")).partition(".")[0] in sys.stdlib_module_names
