"""Which timelines a picture shows, and which part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from axsim.errors import InputError
from axsim.machine.timeline import Timeline
from axsim.runs.results import VariantResult
from axsim.show.timelines import named_stages, stage_timelines
from axsim.system.request_timeline import Part


@dataclass(frozen=True)
class Panel:
    """A timeline from ``start_us`` to ``end_us``; ``ocm_bytes`` is the on-chip memory's size."""

    title: str
    timeline: Timeline
    start_us: float
    end_us: float
    ocm_bytes: float | None = None


Window = tuple[float, float]
"""Start and end, milliseconds from the start of the subgraph's invocation."""


def panels(
    source: Timeline | VariantResult, stages: Sequence[str] | None, window_ms: Window | None
) -> list[Panel]:
    """A timeline as it is; of a variant the named ``stages``, by default vision, the last prefill
    chunk, decode and post. Of many equal layers one is shown, unless ``window_ms`` says otherwise.

    Raises:
        InputError: the variant has no such stage, or the window is empty.
    """
    if isinstance(source, Timeline):
        found = [Panel(source.program.name, source, 0.0, source.duration_us)]
    else:
        timelines = stage_timelines(source)
        chosen = named_stages(source, stages)
        found = [_panel(source, part, timelines[part]) for part in chosen]
    if window_ms is None:
        return found
    start, end = (1e3 * each for each in window_ms)
    if not found or not 0 <= start < end:
        raise InputError(f"the window {window_ms[0]:g}..{window_ms[1]:g} ms is empty")
    for each in found:
        if start >= each.timeline.duration_us:
            what = f"the window begins at {window_ms[0]:g} ms, after the end of {each.title}"
            raise InputError(f"{what} ({each.timeline.duration_ms:.3f} ms)")
    return [
        Panel(
            each.title.split(":")[0],
            each.timeline,
            start,
            min(end, each.timeline.duration_us),
            each.ocm_bytes,
        )
        for each in found
    ]


def subject(source: Timeline | VariantResult) -> str:
    """Whose timelines are shown, for titles."""
    if isinstance(source, Timeline):
        return source.program.name
    return f"{source.workload.name} {source.name} on {source.chip.name}, {source.npu_mode}"


def _panel(variant: VariantResult, part: Part, timeline: Timeline) -> Panel:
    segments = timeline.program.segments
    ocm = variant.deployment.mode.ocm_bytes
    index = len(segments) // 2
    equal = segments.count(segments[index])
    if equal > 1:
        start = timeline.offsets_us[index]
        end = start + timeline.timings[index].end_us
        title = f"{part.name}: one of {equal} equal layers ({timeline.duration_ms:.4g} ms in all)"
        return Panel(title, timeline, start, end, ocm)
    layers = len(variant.planned.spans[part].invocations)
    title = f"{part.name}: one of {layers} equal layers" if part.layered else part.name
    return Panel(title, timeline, 0.0, timeline.duration_us, ocm)
