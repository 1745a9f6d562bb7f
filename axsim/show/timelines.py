"""The timelines of a request's subgraphs by part: of many equal layers or images the first."""

from __future__ import annotations

from collections.abc import Sequence

from axsim.errors import InputError, Problem
from axsim.machine.timeline import Timeline
from axsim.runs.results import VariantResult
from axsim.spec.diagnosis import nearest
from axsim.system.request_timeline import Part


def stage_timelines(variant: VariantResult) -> dict[Part, Timeline]:
    """Every part that runs on the NPU: vision, prefill or its chunks, decode, post."""
    spans = variant.planned.spans.values()
    ordered = sorted(spans, key=lambda span: span.part.stage == "post")
    return {span.part: span.invocations[0] for span in ordered if span.invocations}


def main_stages(variant: VariantResult) -> list[Part]:
    """One part of each stage: of several prefill chunks the last, which attends to all others."""
    return list({part.stage: part for part in stage_timelines(variant)}.values())


def named_stages(variant: VariantResult, names: Sequence[str] | None) -> list[Part]:
    """The parts that people call ``vision``, ``prefill`` (``prefill 1``, … when there are several
    chunks), ``decode`` and ``post``; the main ones where no names are given.

    Raises:
        InputError: there is no such stage.
    """
    if names is None:
        return main_stages(variant)
    parts = {part.name: part for part in stage_timelines(variant)}
    for name in names:
        if name not in parts:
            what = f"{variant.name} has no stage {name!r}"
            raise InputError(Problem("", "", what, ", ".join(parts), nearest(name, parts)))
    return [parts[name] for name in names]
