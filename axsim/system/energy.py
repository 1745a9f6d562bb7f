"""The energy of a request: what units did and how long, times what the chip's ``power`` block says.

Everything counted here is a sum, so that several requests on one chip can be added up: the work of
each by :func:`work_of`, and the idle watts once, for the time that the chip is on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from axsim.machine.timeline import Timeline
from axsim.spec.power import MacType, PowerSection

if TYPE_CHECKING:
    from axsim.system.request import Stage
    from axsim.system.request_timeline import HostSlice, Invocation, RequestTimeline

IMAGE: tuple[Stage, ...] = ("preprocess", "vision", "graph")
"""What is done for an image."""

K = TypeVar("K", bound=str)
N = TypeVar("N", int, float)


@dataclass(frozen=True)
class ChipWork:
    """What was done. ``busy_ms`` has milliseconds of ``conv``, ``teng``, ``sdma`` and ``cpu``,
    summed over units, queues and cores; ``dram_bytes`` crossed the DRAM interface; ``macs`` are
    multiply-accumulates by type."""

    busy_ms: Mapping[str, float] = field(default_factory=dict)
    dram_bytes: float = 0.0
    macs: Mapping[MacType, int] = field(default_factory=dict)

    def __add__(self, other: ChipWork) -> ChipWork:
        return ChipWork(
            _sum(self.busy_ms, other.busy_ms),
            self.dram_bytes + other.dram_bytes,
            _sum(self.macs, other.macs),
        )

    def mj(self, power: PowerSection) -> float:
        """Millijoules beyond those of an idle chip: watts are millijoules per millisecond, a
        picojoule is a billionth of one."""
        busy = sum(getattr(power, f"{name}_w") * ms for name, ms in self.busy_ms.items())
        macs = sum(power.mac_pj.get(kind, 0.0) * count for kind, count in self.macs.items())
        return float(busy + 1e-9 * (self.dram_bytes * power.dram_pj_per_byte + macs))


def work_of(request: RequestTimeline) -> ChipWork:
    """What a whole request did, alone or in company."""
    return _total(each for _, slices in request.by_pass() for each in slices)


def work_of_stages(request: RequestTimeline, stages: Collection[Stage]) -> tuple[ChipWork, float]:
    """What the passes of some stages did, and for how many milliseconds."""
    passes = (slices for work, slices in request.by_pass() if work.stage in stages)
    own = [each for slices in passes for each in slices]
    return _total(own), sum(each.end_us - each.start_us for each in own) / 1e3


def energy_mj(work: ChipWork, ms: float, power: PowerSection) -> float:
    """Millijoules of ``work`` on a chip that is on for ``ms``."""
    return power.idle_w * ms + work.mj(power)


@dataclass
class Account:
    """What the requests of one tenant have drawn, summed as they finish, in millijoules.

    ``beyond_mj`` is what they add to an idle chip, so that the accounts of all tenants and the
    idle watts, once, are the whole. What a request, an image or a token takes has the idle watts of
    its own time as well, as ``axsim run`` counts them: of a request, its waiting left out.
    """

    requests: int = 0
    beyond_mj: float = 0.0
    own_ms: float = 0.0
    images: int = 0
    images_mj: float = 0.0
    tokens: int = 0
    tokens_mj: float = 0.0

    def add(self, request: RequestTimeline) -> None:
        """One more request, on a chip that says what it draws."""
        assert request.power is not None
        self.requests += 1
        self.beyond_mj += work_of(request).mj(request.power)
        self.own_ms += sum(request.lengths_us) / 1e3
        images = sum(work.stage in ("vision", "graph") for work in request.passes)
        tokens = sum(work.stage == "decode" for work in request.passes)
        self.images, self.tokens = self.images + images, self.tokens + tokens
        self.images_mj += images * (image_mj(request) or 0.0)
        self.tokens_mj += tokens * (token_mj(request) or 0.0)


def image_mj(request: RequestTimeline) -> float | None:
    """Of one image: its preparation and its way through the vision part or the network. None
    without one, or where the chip says nothing of its power."""
    if request.power is None:
        return None
    images = sum(work.stage in ("vision", "graph") for work in request.passes)
    if not images:
        return None
    return energy_mj(*work_of_stages(request, IMAGE), request.power) / images


def token_mj(request: RequestTimeline) -> float | None:
    """Of a decode step, all layers and post, on average; None likewise."""
    if request.power is None:
        return None
    passes = list(request.by_pass())
    steps = [n for n, (work, _) in enumerate(passes) if work.stage == "decode"]
    own = [each for n in steps for _, slices in passes[n : n + 2] for each in slices]
    return _mj(own, request.power) / len(steps) if steps else None


def _mj(slices: list[Invocation | HostSlice], power: PowerSection) -> float:
    ms = sum(each.end_us - each.start_us for each in slices) / 1e3
    return energy_mj(_total(slices), ms, power)


def _total(slices: Iterable[Invocation | HostSlice]) -> ChipWork:
    """Layers that nothing disturbed share a timeline, which is looked through once."""
    timelines: dict[int, Timeline] = {}
    counts: Counter[int] = Counter()
    cpu = 0.0
    for each in slices:
        timeline = getattr(each, "timeline", None)
        if timeline is None:
            cpu += (each.end_us - each.start_us) / 1e3 * getattr(each, "cores", 0)
        else:
            timelines[id(timeline)] = timeline
            counts[id(timeline)] += 1
    work = ChipWork({"cpu": cpu})
    for key, timeline in timelines.items():
        work += _invocation(timeline, counts[key])
    return work


def _invocation(timeline: Timeline, times: int) -> ChipWork:
    """An invocation's work, ``times`` over."""
    segments = Counter(map(id, timeline.program.segments))
    macs: dict[MacType, int] = {}
    moved = 0.0
    for segment in {id(each): each for each in timeline.program.segments}.values():
        number = segments[id(segment)] * times
        moved += float(sum(segment.tiling.dram_bytes)) * number
        for step in segment.steps:
            if step.mac_type is not None:
                macs[step.mac_type] = macs.get(step.mac_type, 0) + step.macs * number
    return ChipWork({kind: ms * times for kind, ms in timeline.busy_ms.items()}, moved, macs)


def _sum(a: Mapping[K, N], b: Mapping[K, N]) -> dict[K, N]:
    return {**a, **{name: a[name] + value if name in a else value for name, value in b.items()}}
