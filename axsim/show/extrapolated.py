"""The mark of predictions that nothing measured is near enough to vouch for, and its footnotes."""

from __future__ import annotations

from axsim.fidelity.prediction import Prediction
from axsim.runs.results import RunResult

MARK = "*"


def mark(prediction: Prediction) -> str:
    """The mark behind an extrapolated prediction; nothing behind any other."""
    return MARK if prediction.extrapolated else ""


def footnotes(result: RunResult) -> list[str]:
    """What the mark means, each reason with the variants that it holds for; none without marks."""
    variants: dict[str, list[str]] = {}
    for variant in result:
        for prediction in variant.predictions.values():
            for reason in filter(None, prediction.extrapolated.split("; ")):
                names = variants.setdefault(reason, [])
                if variant.name not in names:
                    names.append(variant.name)
    lines = [f"{', '.join(names)}: {reason}" for reason, names in variants.items()]
    head = [f"{MARK} extrapolated, with a wider interval:"]
    return [*head, *(f"  {line}" for line in lines)] if lines else []
