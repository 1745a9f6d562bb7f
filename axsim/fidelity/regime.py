"""The regime of a measurement or a prediction, and whether the ledger anchors it.

A prediction far from everything that was measured is called *extrapolated*: a mechanism that no row
needed may decide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from axsim.fidelity.groups import group
from axsim.fidelity.ledger import Matmul, Measurement

if TYPE_CHECKING:
    from axsim.compiler.partition import Deployment
    from axsim.models.config import ModelConfig

FURTHER = 2
"""Times the tokens or pixels of the largest row beyond which a prediction is extrapolated."""
PREFILL = ("prefill", "ttft")
"""Groups that anchor each other: a whole prompt is its layers' chunks."""
REPORTED = {("prefill", "bf16"): ", and one public report has it at about 6 times S8's"}
"""What was said in public, without numbers that a ledger could hold, of what was not measured: the
first group that is meant, the dtype, and the words. The same report's decode with bf16 weights is
predicted within 5 %."""


class Regime(NamedTuple):
    """What decides which mechanisms act: the group of the metric, the dtype of the activations of a
    tower or of the weights of a decoder, the build flag where the chip has it, the prefill chunk,
    and the tokens: patches of a picture, context of a prompt, a token and the
    compiled KV cache of a decode step; of a network from a file the pixels of its largest picture.
    """

    group: str
    dtype: str
    float_matmul_on_conv: bool = False
    chunk: int = 0
    tokens: int = 0


def regime_of(
    row: Measurement, models: Mapping[str, ModelConfig], *, float_matmul: bool = True
) -> Regime:
    """The regime of a ledger row; what it leaves out is the default build. ``float_matmul`` says
    whether the row's chip has the build flag."""
    from axsim.fidelity.predict import DEFAULT_CHUNK, DEFAULT_KV_CACHE, OTHER_NAMES

    def dtype(name: str | None, default: str) -> str:
        return OTHER_NAMES.get(name.lower(), name.lower()) if name else default

    kind = group(row.metric)
    if kind == "compiler":
        matmul = Matmul.parse(row.model)
        return Regime(kind, matmul.dtype if matmul else "")
    if kind == "vision":
        vision = models[row.model].vision if row.model in models else None
        side = (row.image_size or 0) // vision.patch_size if vision else 0
        return Regime(kind, dtype(row.vision_dtype, "u8"), tokens=side**2)
    if kind == "graph":
        return Regime(kind, dtype(row.vision_dtype, "u8"), tokens=(row.image_size or 0) ** 2)
    if kind == "post":
        return Regime(kind, "s8")
    if kind == "decode":
        chunk, tokens = 0, (row.kv_cache_len or DEFAULT_KV_CACHE) + 1
    elif kind in PREFILL:
        chunk = row.prefill_chunk or DEFAULT_CHUNK
        tokens = chunk * (row.prompt_chunks or 1) + (row.cached_tokens or 0)
    else:
        return Regime(kind, dtype(row.vision_dtype or row.weight_dtype, "u8"))
    flag = bool(row.float_matmul_on_conv) and float_matmul
    return Regime(kind, dtype(row.weight_dtype, "s8"), flag, chunk, tokens)


def regime_of_metric(deployment: Deployment, kind: str) -> Regime:
    """The regime of a deployment's predictions of the group ``kind``."""
    workload, build = deployment.workload, deployment.workload.build
    vision = deployment.model.vision
    if kind == "vision":
        assert vision is not None
        rows, columns = vision.grid(workload.image_size)
        tokens = rows * columns
        return Regime(kind, build.vision_dtype, tokens=tokens)
    if kind == "graph":
        assert deployment.graph is not None
        shapes = deployment.graph.input_shapes
        pixels = [shape[2] * shape[3] for shape in shapes if len(shape) == 4]
        return Regime(kind, build.vision_dtype, tokens=max(pixels, default=0))
    if kind == "post":
        return Regime(kind, build.post_weight_dtype)
    flag = workload.float_matmul_on_conv and deployment.chip.npu.conv.float_matmul
    chunk = build.prefill_chunk
    if kind == "decode":
        return Regime(kind, build.weight_dtype, flag, 0, build.kv_cache_len + 1)
    return Regime(kind, build.weight_dtype, flag, chunk, max(workload.histories) + chunk)


def unanchored(regime: Regime, rows: Iterable[Regime]) -> str:
    """Why none of ``rows``, the regimes measured on a chip, anchors ``regime``; empty when one
    does."""
    kinds = PREFILL if regime.group in PREFILL else (regime.group,)
    own = [row for row in rows if row.group in kinds]
    if not own:
        return f"no {regime.group} was measured"
    same = [row for row in own if row.dtype == regime.dtype]
    if not same:
        reported = REPORTED.get((kinds[0], regime.dtype), "")
        return f"no {regime.group} in {regime.dtype} was measured{reported}"
    same = [row for row in same if row.float_matmul_on_conv == regime.float_matmul_on_conv]
    if not same:
        flag = "with" if regime.float_matmul_on_conv else "without"
        return f"no {regime.dtype} {flag} float_matmul_on_conv was measured"
    longest = max(row.tokens for row in same)
    if regime.tokens > FURTHER * longest:
        unit = "pixels" if regime.group == "graph" else "tokens"
        return f"{regime.tokens} {unit} are more than twice the {longest} measured"
    chunk = max(row.chunk for row in own)
    if regime.chunk > chunk:
        return f"a chunk of {regime.chunk} is longer than the {chunk} measured"
    return ""
