"""An explanation in words, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from axsim.fidelity.prediction import number
from axsim.runs.results import VariantResult
from axsim.study.explain import Explanation, Gain, total_ms
from axsim.system.critical_path import PathStage

WIDTH = 80
LEAST = 0.05
"""Parts below this fraction of a stage go without words."""
NAMES = {
    "conv": "CONV",
    "teng": "TENG",
    "dram": "DRAM",
    "sdma": "SDMA",
    "host": "host CPU",
    "invocation": "start and end",
    "waiting": "others",
}
"""What a stage waits for, in every table, text and picture: engines, the DRAM's bandwidth, setting
transfers up, the CPU, starting and ending subgraphs, others on the chip."""


def named(part: str) -> str:
    """A resource or a class of operators as people read it."""
    return NAMES.get(part, part)


def lines(explanation: Explanation) -> Iterator[str]:
    """The whole explanation."""
    variant = explanation.variant
    yield f"{variant.workload.name} {variant.name} on {variant.chip.name}, {variant.npu_mode}"
    yield from _goal(first_goal(variant), explanation.first_token, explanation.first_token_gains)
    if explanation.token:
        yield from _goal("A decode token", explanation.token, explanation.token_gains)


def first_goal(variant: VariantResult) -> str:
    """What the first path of an explanation leads from and to."""
    if variant.workload.model.onnx is not None:
        return "Input to result"
    if not variant.workload.images:
        return "Prompt to first token"
    return "Image to first token" if variant.workload.model.decoder else "Image to result"


def _goal(title: str, path: tuple[PathStage, ...], gains: tuple[Gain, ...]) -> Iterator[str]:
    total = total_ms(path)
    yield ""
    yield f"{title}: {number(total)} ms"
    for stage in path:
        if stage.ms >= 0.01 * total:
            yield from _wrapped(f"{_stage(stage)}", f"  {stage.ms / total:4.0%}  ")
    if not gains:
        yield "  No change that was tried shortens it."
        return
    yield "  What would shorten it most, one change at a time:"
    for place, gain in enumerate(gains, 1):
        text = f"{gain.text}: {number(gain.after_ms)} ms, {-gain.fraction:+.0%} ({gain.price})"
        yield from _wrapped(text, f"  {place}. ")


def _stage(stage: PathStage) -> str:
    return f"{stage.name}, {number(stage.ms)} ms, waits for {waits(stage)}"


def waits(stage: PathStage) -> str:
    """What a stage waits for: ``CONV 61% (projection 50%, …), DRAM 25% (weights 20%, …)``."""
    parts = []
    for resource, ms in stage.by_resource().items():
        if ms < LEAST * stage.ms:
            continue
        works = stage.by_work(resource)
        detail = ", ".join(_shares(stage, resource, works))
        named = resource not in works and detail
        share = f"{NAMES[resource]} {ms / stage.ms:.0%}"
        parts.append(f"{share} ({detail})" if named else share)
    return ", ".join(parts)


def _shares(stage: PathStage, resource: str, works: Mapping[str, float]) -> list[str]:
    return [
        f"{_work(stage, resource, work)} {ms / stage.ms:.0%}"
        for work, ms in works.items()
        if ms >= LEAST * stage.ms
    ]


def _work(stage: PathStage, resource: str, work: str) -> str:
    """The work as people call it: a decoder layer's inputs are its KV cache, and what TENG does for
    a projection is the vector work that is fused with it."""
    if work == "inputs" and stage.part.layered:
        return "KV cache"
    if work in ("projection", "convolution") and resource == "teng":
        return f"vector work after {work}s"
    return work


def _wrapped(text: str, first: str) -> list[str]:
    indent = " " * len(first)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=indent)
