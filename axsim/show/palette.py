"""The one table of colours: each means one thing on every picture, page and trace.

Within a picture, two fills differ in lightness or in hatch too, so that greyscale and eyes that do
not tell red from green read it (``tests/show/test_palette.py`` simulates both). Four hues keep
apart what is told: teal computes, violet and pink are stages of a request, grey is the host's CPU,
and transfers have the colours of the vendor's traces.
"""

from __future__ import annotations

from typing import NamedTuple

from axsim.compiler.program import EngineKind, TaskKind


class Fill(NamedTuple):
    """How an area is filled: colour, hatch as matplotlib writes it, and the colour of text on
    it."""

    color: str
    hatch: str
    text: str


INK = "#1b3a5c"
"""Outlines, lines and points that mean nothing but themselves."""
ACCENT = "#d95f02"
"""What was measured, what is best, what has changed."""
CURVES = (INK, "0.5", "#5f7fa8", "0.2")
"""Of several in one picture, which also differ in their lines and marks."""
FAINT = "0.85"

HOST = Fill("#82888f", "----", "black")

RESOURCES = {
    "conv": Fill("#0a4350", "", "white"),
    "teng": Fill("#62c0b5", "", "black"),
    "dram": Fill("#7a5a12", "", "white"),
    "sdma": Fill("#e2d2a4", "", "black"),
    "host": HOST,
    "invocation": Fill("#f4f6f8", "", "black"),
}
"""What a stage waits for: engines, the DRAM's bandwidth, setting transfers up, the CPU, starting
and ending subgraphs."""

TRANSFERS: dict[str, Fill] = {
    "ld:param": Fill("#f3d37a", "", "black"),
    "ld:input": Fill("#5f9448", "", "black"),
    "ld:ddr_swap": Fill("#2b6cb0", "////", "white"),
    "st:ddr_swap": Fill("#8c2323", "\\\\\\\\", "white"),
    "st:output": Fill("#f2a65a", "....", "black"),
}
"""Each kind of transfer; the hues are those of the vendor's traces."""

TRACE = {
    "ld:param": "yellow",
    "ld:input": "good",  # green
    "ld:ddr_swap": "thread_state_runnable",  # blue
    "st:ddr_swap": "terrible",  # red
    "st:output": "bad",  # orange
}
"""Chrome's names of the same hues; what computes has none, as in the vendor's traces."""

STAGES: dict[str, Fill] = {
    "preprocess": HOST,
    "vision": Fill("#46306e", "", "white"),
    "prefill": Fill("#8d73b8", "", "black"),
    "post": Fill("#e3a0c3", "////", "black"),
    "decode": Fill("#e6def2", "", "black"),
    "graph": Fill("#5e3f95", "....", "white"),
}
"""Each stage of a request."""

MEMORY = {
    "vision": STAGES["vision"],
    "layers": STAGES["decode"],
    "post": STAGES["post"],
    "graph": STAGES["graph"],
    "kv": TRANSFERS["ld:input"],
    "activations": Fill("#e0b9a6", "\\\\\\\\", "black"),
    "embedding": HOST,
}
"""Parts of the memory: weights have the colour of the stage that needs them, the KV cache that of
the inputs as which it is read, the embedding table that of the CPU, which looks tokens up."""

LOST = Fill("0.94", "xxx", "black")
"""Bandwidth that inefficient accesses waste, and waiting."""

SERIES = (
    Fill(INK, "", "white"),
    Fill("#c9d2dc", "", "black"),
    Fill("#75869a", "", "black"),
    Fill("0.3", "\\\\\\\\", "white"),
    Fill("#eef1f4", "....", "black"),
    Fill("#9fb0c0", "xxxx", "black"),
    Fill("white", "////", "black"),
    Fill("white", "", "black"),
)
"""Things that are only to be told apart: chips, tenants."""


def task_name(kind: TaskKind, engine: EngineKind) -> str:
    """What a legend calls a task: a transfer by its kind, a computation by who computes."""
    return f"{engine.upper()} compute" if kind == "compute" else kind


TASKS: dict[str, Fill] = {
    **{task_name("compute", engine): RESOURCES[engine] for engine in ("conv", "teng")},
    **TRANSFERS,
}
"""Each task by that name, in the order of legends."""


def lifted(color: str) -> str:
    """The colour on a dark page: mixed with white, all alike, so that they differ there too."""
    parts = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(each + (255 - each) * LIFT):02x}" for each in parts)


LIFT = 0.3
"""Part of white in that."""
