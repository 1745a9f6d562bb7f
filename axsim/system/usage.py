"""How busy the chip is over time, tenant by tenant, in windows that are as many for an hour as for
a second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from axsim.compiler.program import Program

WINDOWS = 240
"""Windows of a simulation."""


class Meter:
    """An amount in each window of equal length, from 0 on; what comes later is in ``beyond``."""

    def __init__(self, window_us: float, windows: int = WINDOWS) -> None:
        self._window = window_us
        self.amounts = [0.0] * windows
        self.beyond = 0.0

    def add(self, begin: float, end: float, amount: float) -> None:
        """Spread ``amount`` evenly over the time from ``begin`` to ``end``."""
        window, amounts = self._window, self.amounts
        first, last = int(begin / window), int(end / window)
        if first == last or end <= begin:
            if first < len(amounts):
                amounts[first] += amount
            else:
                self.beyond += amount
            return
        rate = amount / (end - begin)
        for index in range(first, min(last, len(amounts) - 1) + 1):
            inside = min(end, (index + 1) * window) - max(begin, index * window)
            amounts[index] += rate * inside
        self.beyond += rate * max(0.0, end - max(begin, len(amounts) * window))

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.amounts) + self.beyond


class Moved(NamedTuple):
    """Bytes that cross the DRAM interface, and the bandwidth that they take, in bytes."""

    size: float
    cost: float


class Usage:
    """Who has used what of a chip: microseconds of each NPU partition, core-microseconds of the
    host, bytes of the DRAM, by tenant; and of the DRAM's bandwidth, in bytes, which is more where
    the access pattern is inefficient."""

    def __init__(self, duration_us: float, windows: int = WINDOWS) -> None:
        self.window_us = duration_us / windows
        self.windows = windows
        self.npu: dict[tuple[str, str], Meter] = defaultdict(self._meter)
        self.cpu: dict[str, Meter] = defaultdict(self._meter)
        self.dram: dict[str, Meter] = defaultdict(self._meter)
        self.bandwidth: dict[str, Meter] = defaultdict(self._meter)
        self._sizes: dict[Program, Moved] = {}

    def _meter(self) -> Meter:
        return Meter(self.window_us, self.windows)

    def moved(self, name: str, begin: float, end: float, amount: Moved) -> None:
        """A tenant has moved something."""
        self.dram[name].add(begin, end, amount.size)
        self.bandwidth[name].add(begin, end, amount.cost)

    def size(self, program: Program) -> Moved:
        """What a run of a program moves."""
        if program not in self._sizes:
            self._sizes[program] = program_bytes(program)
        return self._sizes[program]

    def of_partition(self, partition: str) -> list[float]:
        """Busy fraction of a partition in each window."""
        meters = [meter for (_, name), meter in self.npu.items() if name == partition]
        return self._fractions(meters, 1.0)

    def of_cpu(self, cores: int) -> list[float]:
        """Busy fraction of the host's cores in each window."""
        return self._fractions(self.cpu.values(), cores)

    def of_dram(self, gbps: float) -> list[float]:
        """Fraction of the sustained bandwidth that is used in each window."""
        return self._fractions(self.bandwidth.values(), gbps * 1e3)

    def _fractions(self, meters: Iterable[Meter], most: float) -> list[float]:
        columns = [meter.amounts for meter in meters]
        whole = self.window_us * most
        if not columns:
            return [0.0] * self.windows
        return [sum(amounts) / whole for amounts in zip(*columns, strict=True)]


def program_bytes(program: Program) -> Moved:
    """What one run of a program moves through the DRAM interface."""
    tilings = [segment.tiling for segment in program.segments]
    size = sum(sum(tiling.dram_bytes) for tiling in tilings)
    return Moved(float(size), float(sum(sum(tiling.dram_cost_bytes) for tiling in tilings)))
