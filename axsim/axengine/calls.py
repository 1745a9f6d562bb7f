"""What scripts took of the chip's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any


@dataclass
class GroupUsage:
    """The calls of one shape group of a session; times in ms of the chip. ``waited_ms`` is what
    they waited for other sessions in other threads: for a partition, for their turns on it, for a
    core of the host."""

    group: int
    calls: int = 0
    total_ms: float = 0.0
    min_ms: float = inf
    max_ms: float = 0.0
    waited_ms: float = 0.0

    def add(self, ms: float, waited_ms: float) -> None:
        """Count a call."""
        self.calls += 1
        self.total_ms += ms
        self.min_ms, self.max_ms = min(self.min_ms, ms), max(self.max_ms, ms)
        self.waited_ms += waited_ms

    @property
    def mean_ms(self) -> float:
        """Of a call."""
        return self.total_ms / self.calls


@dataclass
class SessionUsage:
    """The groups of one session that were called, in their order."""

    name: str
    part: str
    groups: dict[int, GroupUsage] = field(default_factory=dict)

    def of(self, group: int) -> GroupUsage:
        """A group's calls."""
        return self.groups.setdefault(group, GroupUsage(group))


@dataclass
class Usage:
    """All sessions in the order of loading. ``late`` counts calls that took this machine longer
    than the chip, ``host_ms`` what computing them took; ``clock_ms`` is when the last one ended."""

    chip: str
    npu_mode: str
    vnpu: str = "disabled"
    sessions: list[SessionUsage] = field(default_factory=list)
    host_ms: float = 0.0
    late: int = 0
    clock_ms: float = 0.0

    @property
    def calls(self) -> int:
        """Of all sessions."""
        return sum(group.calls for group in self.rows())

    @property
    def total_ms(self) -> float:
        """The time of all calls on the chip."""
        return sum(group.total_ms for group in self.rows())

    def rows(self) -> Sequence[GroupUsage]:
        """The groups of all sessions."""
        return [
            session.groups[group] for session in self.sessions for group in sorted(session.groups)
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        total = self.total_ms
        return {
            "chip": self.chip,
            "npu_mode": self.npu_mode,
            "vnpu": self.vnpu,
            "total_ms": total,
            "calls": self.calls,
            "clock_ms": self.clock_ms,
            "host_ms": self.host_ms,
            "calls_slower_than_chip": self.late,
            "sessions": [
                {
                    "name": session.name,
                    "part": session.part,
                    "groups": [
                        {
                            "group": each.group,
                            "calls": each.calls,
                            "total_ms": each.total_ms,
                            "mean_ms": each.mean_ms,
                            "min_ms": each.min_ms,
                            "max_ms": each.max_ms,
                            "waited_ms": each.waited_ms,
                            "share": each.total_ms / total if total else 0.0,
                        }
                        for _, each in sorted(session.groups.items())
                    ],
                }
                for session in self.sessions
            ],
        }
