"""The figures that axsim predicts and measurements know, each described once.

To add a metric, add its row. Results, tables, CSV columns, intervals, axes, reports, objectives,
snapshots and the ledger follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from axsim.system.energy import image_mj, token_mj

if TYPE_CHECKING:
    from axsim.system.request_timeline import RequestTimeline


@dataclass(frozen=True)
class Metric:
    """One row.

    ``name`` is its column, ``unit`` the unit of its values. ``label`` is what people read, with
    which ``better`` values, and ``meaning`` what it counts. ``of(request)`` is its value for a
    request, None where the workload does not have it; a metric without ``of`` is known to the
    ledger alone. ``sources`` are the ledger's metrics whose errors it has. ``in_ledger``:
    measurements have rows of it, drawn with ``marker``. ``heading`` are the lines above its column
    on a terminal; by default the label's words and the unit, and no column when it is empty.
    ``needs`` names the block of a chip's file that it is computed from alone, where that is one's
    own: then no interval is known, and a chip without the block does not have the metric.
    """

    name: str
    unit: str
    better: Literal["less", "more"]
    label: str
    meaning: str
    of: Callable[[RequestTimeline], float | None] | None = None
    sources: tuple[str, ...] = ()
    in_ledger: bool = False
    marker: str = ""
    heading: tuple[str, ...] | None = None
    needs: str = ""

    @property
    def title(self) -> str:
        """Label and unit, as axes and legends have them."""
        return f"{self.label}, {self.unit}"

    @property
    def column_heading(self) -> tuple[str, ...]:
        """The lines above its column on a terminal; empty when it has none."""
        return (*self.label.split(), self.unit) if self.heading is None else self.heading


_DECODE = ("decode_tokens_per_s", "decode_layer_ms", "post_ms")

_ROWS = (
    Metric(
        "vision_encode_ms",
        "ms",
        "less",
        "vision encode",
        "one image through the vision part",
        lambda request: request.vision_encode_ms or None,
        sources=("vision_encode_ms",),
        in_ledger=True,
        marker="o",
    ),
    Metric(
        "prefill_layer_ms",
        "ms",
        "less",
        "prefill layer",
        "one decoder layer on one chunk of a prompt",
        in_ledger=True,
        marker="^",
    ),
    Metric(
        "decode_layer_ms",
        "ms",
        "less",
        "decode layer",
        "one decoder layer on one token",
        in_ledger=True,
        marker="v",
    ),
    Metric(
        "post_ms",
        "ms",
        "less",
        "post",
        "final norm and head on the NPU",
        in_ledger=True,
        marker="s",
    ),
    Metric(
        "ttft_ms",
        "ms",
        "less",
        "TTFT",
        "all prefill chunks and the first post, without the image",  # the vendor's convention
        lambda request: request.ttft_ms or None,
        sources=("ttft_ms", "prefill_layer_ms"),
        in_ledger=True,
        marker="D",
        heading=("TTFT¹", "ms"),
    ),
    Metric(
        "image_to_first_token_ms",
        "ms",
        "less",
        "image to first token",
        "what a person waits",
        lambda request: (
            request.image_to_first_token_ms if request.preprocess_ms and request.ttft_ms else None
        ),
        sources=("vision_encode_ms", "ttft_ms", "prefill_layer_ms"),
        heading=("image to", "1st token", "ms"),
    ),
    Metric(
        "token_ms",
        "ms",
        "less",
        "decode step",
        "every further token",
        lambda request: request.token_ms or None,
        sources=_DECODE,
        heading=(),  # its inverse has one
    ),
    Metric(
        "decode_tokens_per_s",
        "tokens/s",
        "more",
        "decode",
        "speed of every further token",
        lambda request: request.decode_tokens_per_s or None,
        sources=_DECODE,
        in_ledger=True,
        marker="P",
    ),
    Metric(
        "graph_ms",
        "ms",
        "less",
        "graph",
        "one run of a network from an ONNX file: an image, or a batch of them",
        lambda request: request.graph_ms or None,
        sources=("graph_ms",),
        in_ledger=True,
        marker="h",
    ),
    Metric(
        "frames_per_s",
        "frames/s",
        "more",
        "frame rate",
        "images through a network from an ONNX file, run after run",
        lambda request: request.frames_per_s or None,
        sources=("graph_ms",),
        heading=("frames", "per s"),
    ),
    Metric(
        "energy_per_image_mj",
        "mJ",
        "less",
        "energy per image",
        "preparing one image and its way through the vision part or the network",
        image_mj,
        needs="power",
    ),
    Metric(
        "energy_per_token_mj",
        "mJ",
        "less",
        "energy per token",
        "every further token",
        token_mj,
        needs="power",
    ),
    Metric(
        "compiler_cycles",
        "cycles",
        "less",
        "compiler",
        "the vendor's compiler's own count for one subgraph",
        in_ledger=True,
        marker="x",
    ),
)

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}
"""Every metric by name."""

PREDICTED = tuple(row for row in _ROWS if row.of is not None)
"""Those that a request has."""

LEDGER = tuple(row.name for row in _ROWS if row.in_ledger)
"""Those that measurements have rows of."""

WAITS = ("image_to_first_token_ms", "ttft_ms", "vision_encode_ms", "graph_ms")
"""What a request is judged by: the first of these that it has."""
