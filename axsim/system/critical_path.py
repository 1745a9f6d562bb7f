"""The critical path of a simulated run: the chain of tasks, each of which the next one waited for.

A task starts when its engine has finished the task before and the tasks that it depends on have
ended. Walking back from the last task of a segment, always to the one that ended last, gives a
chain without gaps: shorten a task on it, and the segment ends earlier until another chain is
longest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from axsim.compiler.program import Engine, Segment, Task, TaskKind
from axsim.machine.timeline import Timeline, Timing
from axsim.system.stages import Stages


class Cause(NamedTuple):
    """What a stretch of the path is spent on: ``resource`` is ``conv``, ``teng``, ``dram``,
    ``sdma``, ``host`` or ``invocation``; ``work`` the operator or the kind of data."""

    resource: str
    work: str


HOST = Cause("host", "host")
INVOCATION = Cause("invocation", "invocation")
TRANSFERS: dict[TaskKind, str] = {
    "ld:param": "weights",
    "ld:input": "inputs",
    "ld:ddr_swap": "spilled activations",
    "st:ddr_swap": "spilled activations",
    "st:output": "outputs",
}
"""The data that transfers move."""


@dataclass(frozen=True)
class PathStage:
    """One stage of a request on the critical path: ``ms`` in all, and what it is spent on, most
    first."""

    name: str
    ms: float
    causes: Mapping[Cause, float]

    def by_resource(self) -> dict[str, float]:
        """Milliseconds that each resource holds the stage up, most first."""
        return _sums(self.causes, lambda cause: cause.resource)

    def by_work(self, resource: str) -> dict[str, float]:
        """Milliseconds of one resource by operator or kind of data, most first."""
        own = {cause: ms for cause, ms in self.causes.items() if cause.resource == resource}
        return _sums(own, lambda cause: cause.work)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        causes = [{**cause._asdict(), "ms": ms} for cause, ms in self.causes.items()]
        return {"stage": self.name, "ms": self.ms, "critical_path": causes}


def first_token_path(stages: Stages) -> tuple[PathStage, ...]:
    """From the image's arrival (the prompt's, without tower) to the first token."""
    found = []
    if stages.vision is not None and stages.images:
        found.append(PathStage("preprocess", stages.preprocess_ms, {HOST: stages.preprocess_ms}))
        found.append(_stage("vision", stages.vision, stages.images, 0.0))
    for index, chunk in enumerate(stages.prefill):
        name = "prefill" if len(stages.prefill) == 1 else f"prefill {index + 1}"
        found.append(_stage(name, chunk, stages.layers, stages.host.prefill_layer_ms))
    return (*found, *_post(stages))


def token_path(stages: Stages) -> tuple[PathStage, ...]:
    """One decode step: all layers and post."""
    if stages.decode is None:
        return ()
    decode = _stage("decode", stages.decode, stages.layers, stages.host.decode_layer_ms)
    return (decode, *_post(stages))


def critical_us(
    segment: Segment, timing: Timing, engines: tuple[Engine, ...]
) -> dict[Cause, float]:
    """Microseconds of one segment's critical path by cause; they sum to the segment's end."""
    before = waited_for(segment, timing)
    ends, starts = timing.end_us_of, timing.start_us
    found: dict[Cause, float] = defaultdict(float)
    index = max(range(len(ends)), key=lambda i: (ends[i], i), default=-1)
    reached = timing.end_us
    while index >= 0:
        # From this task's start (it may have ended before the next one took over) to that point.
        found[_cause(segment, segment.tasks[index], engines)] += reached - starts[index]
        reached = starts[index]
        index = before[index]
    return dict(found)


def waited_for(segment: Segment, timing: Timing) -> list[int]:
    """For each task of a segment the one that it waited for: the last to end of those that it
    depends on and the one before it on its engine; -1 where there is none."""
    ends = timing.end_us_of
    last: dict[int, int] = {}
    found: list[int] = []
    for index, task in enumerate(segment.tasks):
        before = [last[task.engine]] if task.engine in last else []
        found.append(max([*task.deps, *before], key=lambda i: (ends[i], i), default=-1))
        last[task.engine] = index
    return found


def _cause(segment: Segment, task: Task, engines: tuple[Engine, ...]) -> Cause:
    if task.kind == "compute":
        return Cause(engines[task.engine].kind, segment.steps[task.step].operator)
    return Cause("dram" if task.dram_cost_bytes else "sdma", TRANSFERS[task.kind])


def _stage(name: str, timeline: Timeline, repeats: int, host_ms: float) -> PathStage:
    """A stage that runs ``timeline`` ``repeats`` times with ``host_ms`` around each."""
    us: dict[Cause, float] = defaultdict(float)
    known: dict[tuple[Segment, int], dict[Cause, float]] = {}
    program = timeline.program
    for segment, timing in zip(program.segments, timeline.timings, strict=True):
        key = (segment, id(timing))
        if key not in known:
            known[key] = critical_us(segment, timing, program.engines)
        for cause, spent in known[key].items():
            us[cause] += spent
    us[INVOCATION] += timeline.duration_us - sum(each.end_us for each in timeline.timings)
    causes = {cause: repeats * spent / 1e3 for cause, spent in us.items()}
    causes[HOST] = repeats * host_ms
    ms = repeats * (timeline.duration_ms + host_ms)
    return PathStage(name, ms, _most_first(causes))


def _post(stages: Stages) -> tuple[PathStage, ...]:
    return () if stages.post is None else (_stage("post", stages.post, 1, stages.host.sample_ms),)


def _sums(causes: Mapping[Cause, float], key: Any) -> dict[str, float]:
    found: dict[Any, float] = defaultdict(float)
    for cause, ms in causes.items():
        found[key(cause)] += ms
    return _most_first(found)


def _most_first(ms: Mapping[Any, float]) -> dict[Any, float]:
    """Without what takes no time."""
    return {key: spent for key, spent in sorted(ms.items(), key=lambda item: -item[1]) if spent > 0}
