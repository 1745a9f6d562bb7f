"""The timelines of a request's stages by name."""

from __future__ import annotations

from collections.abc import Iterator

from axsim.errors import InputError, Problem
from axsim.machine.timeline import Timeline
from axsim.runs.results import VariantResult
from axsim.spec.diagnosis import nearest


def stage_timelines(variant: VariantResult) -> dict[str, Timeline]:
    """The subgraphs of a request by stage: ``vision``, ``prefill`` (``prefill 1``, … when there are
    several chunks), ``decode``, ``post``."""
    return dict(_timelines(variant))


def main_stages(variant: VariantResult) -> list[str]:
    """One stage of each kind: of several prefill chunks the last, which attends to all others."""
    known = list(stage_timelines(variant))
    last = [name for name in known if name.startswith("prefill")][-1:]
    return [name for name in known if not name.startswith("prefill") or name in last]


def stage(variant: VariantResult, name: str) -> Timeline:
    """One of :func:`stage_timelines`.

    Raises:
        InputError: there is no such stage.
    """
    known = stage_timelines(variant)
    if name not in known:
        what = f"{variant.name} has no stage {name!r}"
        raise InputError(Problem("", "", what, ", ".join(known), nearest(name, known)))
    return known[name]


def _timelines(variant: VariantResult) -> Iterator[tuple[str, Timeline]]:
    stages = variant.stages
    if stages.vision is not None:
        yield "vision", stages.vision
    for index, chunk in enumerate(stages.prefill):
        yield ("prefill" if len(stages.prefill) == 1 else f"prefill {index + 1}"), chunk
    if stages.decode is not None:
        yield "decode", stages.decode
    if stages.post is not None:
        yield "post", stages.post
