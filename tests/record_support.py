"""Write docs/support.md: what is measured, what follows from it, and what is refused.

python tests/record_support.py
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import get_args

from axsim.fidelity.ledger import Measurement, load_ledger, shipped_ledger
from axsim.fidelity.left_out import LeftOut, shipped_left_out
from axsim.fidelity.predict import shipped_chips, toolchain_of
from axsim.fidelity.regime import Regime, unanchored
from axsim.fidelity.validate import architectures
from axsim.models.families import FAMILIES
from axsim.models.hf_config import REFUSED
from axsim.models.joins import JOINS
from axsim.models.towers import TOWERS
from axsim.network.refusals import ADVICE
from axsim.numerics.formats import VisionDtype, WeightDtype
from axsim.spec.chip import Chip
from axsim.spec.workload import ALLOWED_TOOLCHAINS, FLAGGED

FILE = Path(__file__).parents[1] / "docs" / "support.md"

ROLES = {"prefill": ("prefill", "ttft"), "decode": ("decode",), "head": ("post",)}
"""What a decoder's rows measure, and the groups of their metrics."""
TYPICAL = {"prefill": (128, 128), "decode": (0, 1024), "head": (0, 0), "vision": (0, 256)}
"""Chunk and tokens of a build that nobody would call unusual, of each role."""
UNSAID = "not said"

HEAD = """# What is measured, what follows from it, what is refused

Made by `python tests/record_support.py` from the ledger (`measurements/published.csv`), the errors
of rows left out of the fit (`left_out.csv`) and the tables of families; a test keeps it so.

A cell says how well a prediction of that kind is supported:

* **9 rows, 2.1 %**: so many published measurements, and the mean error of their predictions by a
  fit that had not seen their architecture;
* *by others*: no row of this family built by this toolchain, but rows of others with this dtype and
  build flag on this chip; the interval says how wrong unseen architectures were;
* *extrapolated*: nothing of this dtype or flag was measured on this chip. Such predictions carry
  `*`, the reason, and an error as large as that of the chip's widest group beside their own.

A prompt of more than twice the tokens of any row, or a chunk longer than any row's, is extrapolated
as well, whatever stands here. Toolchains differ in two things only: builds up to 3.3 spend longer
around every layer, and builds of 5.1 set `float_matmul_on_conv` unless told otherwise.
"""


def page() -> str:
    """The whole text."""
    recorded = {row.id: row for row in shipped_left_out()}
    measured = [row for row in load_ledger(shipped_ledger()) if row.id in recorded]
    lines = [HEAD]
    chips = shipped_chips().values()
    counts = {chip.name: sum(row.chip.lower() == chip.name for row in measured) for chip in chips}
    for chip in sorted(chips, key=lambda chip: -counts[chip.name]):
        own = [row for row in measured if row.chip.lower() == chip.name]
        lines += [f"## {chip.name}\n", f"{chip.description}.\n"]
        lines += _chip(chip, own, recorded) if own else [_unmeasured(chip)]
    lines += ["## Families\n", *_families(), "## Refused\n", *_refused()]
    return "\n".join(lines)


def _chip(chip: Chip, rows: list[Measurement], recorded: Mapping[str, LeftOut]) -> Iterator[str]:
    anchors = [recorded[row.id].regime for row in rows]
    builds = _builds(chip, rows)
    models = architectures()

    def family(row: Measurement) -> str:
        decoder = models[row.model].decoder if row.model in models else None
        return decoder.family if decoder else row.model

    yield "### Language models, by family and dtype of the weights\n"
    yield from _header("family, weights", builds)
    for role, groups in ROLES.items():
        own = [row for row in rows if recorded[row.id].group in groups]
        dtypes = ("s8",) if role == "head" else get_args(WeightDtype)
        yield from _rows(role, own, recorded, family, dtypes, builds, anchors)
    yield ""
    yield "### Vision towers, by dtype of the activations\n"
    plain = [build for build in builds if not build[1]]
    yield from _header("tower, activations", plain)
    own = [row for row in rows if recorded[row.id].group == "vision"]
    dtypes = get_args(VisionDtype)
    yield from _rows("vision", own, recorded, lambda row: row.model, dtypes, plain, anchors)
    yield ""
    graphs = [row for row in rows if recorded[row.id].group == "graph"]
    if graphs:
        yield f"### Networks from ONNX files\n\n{_figure(graphs, recorded)}.\n"
    else:
        yield (
            "Networks from ONNX files: no row of them is fitted; "
            "`axsim validate --ledger measurements/cnn.csv` tells the errors of those published.\n"
        )


Build = tuple[str, bool]
"""A toolchain, and whether float_matmul_on_conv is set."""


def _builds(chip: Chip, rows: Iterable[Measurement]) -> list[Build]:
    flagged = [(name, True) for name in FLAGGED if chip.npu.conv.float_matmul]
    unsaid = [(UNSAID, False)] if any(row.toolchain is None for row in rows) else []
    return [*((name, False) for name in ALLOWED_TOOLCHAINS), *flagged, *unsaid]


def _build(row: Measurement, recorded: Mapping[str, LeftOut]) -> Build:
    known = toolchain_of(row.toolchain) if row.toolchain else UNSAID
    return known, recorded[row.id].float_matmul_on_conv


def _header(first: str, builds: Iterable[Build]) -> Iterator[str]:
    names = [f"{name.removeprefix('pulsar2-')}{', flag' * flag}" for name, flag in builds]
    yield f"| {first} | {' | '.join(names)} |"
    yield f"|{'---|' * (len(names) + 1)}"


def _rows(
    role: str,
    rows: Iterable[Measurement],
    recorded: Mapping[str, LeftOut],
    named: Callable[[Measurement], str],
    dtypes: Iterable[str],
    builds: Iterable[Build],
    anchors: list[Regime],
) -> Iterator[str]:
    """A line for each family that has rows and one for all others, of each dtype."""
    found: dict[tuple[str, str], dict[Build, list[Measurement]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        found[named(row), recorded[row.id].dtype][_build(row, recorded)].append(row)
    names = sorted({name for name, _ in found})
    kind = ROLES.get(role, (role,))[0]
    chunk, tokens = TYPICAL[role]
    for dtype in dtypes:
        for name in [*(each for each in names if (each, dtype) in found), "any other"]:
            cells = []
            for build in builds:
                own = found[name, dtype][build] if (name, dtype) in found else []
                regime = Regime(kind, dtype, build[1] and role != "head", chunk, tokens)
                other = "*extrapolated*" if unanchored(regime, anchors) else "*by others*"
                cells.append(_figure(own, recorded) if own else other)
            label = name if role == "vision" else f"{name}, {role}"
            yield f"| {label}, {dtype} | {' | '.join(cells)} |"


def _figure(rows: list[Measurement], recorded: Mapping[str, LeftOut]) -> str:
    error = fmean(abs(math.expm1(recorded[row.id].left_out)) for row in rows)
    return f"**{len(rows)} row{'s'[: len(rows) > 1]}, {error:.1%}**".replace("%", " %")


def _unmeasured(chip: Chip) -> str:
    if chip.like is not None:
        text = f"The silicon of {chip.like}, whose support it has."
        if chip.host.pcie_ms_span is not None:
            low, high = chip.host.pcie_ms_span
            text += (
                f" Round trips of its link are from other hosts ({low:g} to {high:g} ms), so that"
            )
            text += " every prediction is *extrapolated*, by as much as these differ."
        return f"{text}\n"
    lenders = ", ".join(dict.fromkeys(chip.borrowed.values()))
    return (
        "Nobody has published a time of it: no row, whatever the family, dtype or toolchain. Its\n"
        f"calibrated values are those of {lenders}; its intervals have, besides, the error that\n"
        "measured chips have with the values of others.\n"
    )


def _families() -> Iterator[str]:
    yield f"Decoders: {', '.join(FAMILIES)}.\n"
    yield f"Towers, by `model_type`: {', '.join(TOWERS)}.\n"
    yield f"Vision-language models, by `model_type`: {', '.join(JOINS)}.\n"
    yield (
        "Each equals transformers on a small random checkpoint; times of those without rows above "
        "follow from the same mechanisms.\n"
    )


def _refused() -> Iterator[str]:
    yield "| `model_type` | why |"
    yield "|---|---|"
    yield from _by_reason(REFUSED)
    yield "\n| operator of an ONNX file | why |"
    yield "|---|---|"
    yield from _by_reason(ADVICE)
    yield (
        "\nAlso refused: checkpoints quantised otherwise than by GPTQ in 4 or 8 bits, hidden\n"
        "states other than bf16, and any `model_type` or operator that is not known.\n"
    )


def _by_reason(reasons: Mapping[str, str]) -> Iterator[str]:
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in reasons.items():
        names[reason].append(name)
    for reason, each in names.items():
        yield f"| {', '.join(each)} | {reason} |"


def main() -> None:
    """Write the page."""
    FILE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
