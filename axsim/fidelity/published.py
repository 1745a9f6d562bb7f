"""What was measured on silicon in the same configuration, from the shipped ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from statistics import median

from axsim.compiler.lower import Matmul
from axsim.compiler.partition import Deployment
from axsim.fidelity.ledger import (
    Measurement,
    load_ledger,
    load_models,
    shipped_graphs,
    shipped_ledger,
    shipped_models,
    shipped_networks,
)
from axsim.fidelity.predict import toolchain_of
from axsim.fidelity.prediction import Measured
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import load_mapping, shipped
from axsim.spec.workload import Workload
from axsim.system.request import layer_ms

VOCABULARY_TOLERANCE = 0.01
"""Models whose vocabularies differ by less than this fraction count as one decoder: InternVL adds
nine tokens to Qwen2's 151 646, and the head is a quarter of a decode step's bytes at most."""


class Published:
    """Finds ledger rows. ``models`` gives the architectures that the rows name."""

    def __init__(self, rows: Iterable[Measurement], models: Mapping[str, ModelConfig]) -> None:
        self._rows: dict[str, list[tuple[Measurement, ModelConfig]]] = {}
        for row in rows:
            if row.model in models or row.metric == "graph_ms":
                model = models.get(row.model, ModelConfig(None))
                self._rows.setdefault(row.metric, []).append((row, model))

    def find(self, deployment: Deployment, metric: str) -> Measured | None:
        """The median of the rows with the same chip, architecture, build and request.

        Rows of the workload's own name go before rows of other models of the same architecture.
        """
        known = self._rows.get(metric, ())
        rows = [row for row, model in known if self._same(deployment, row, model)]
        own = [row for row in rows if row.model == deployment.workload.name]
        rows = own or rows
        if not rows:
            return None
        values = [row.value for row in rows]
        return Measured(
            float(median(values)),
            min(values),
            max(values),
            tuple(row.id for row in rows),
            tuple(dict.fromkeys(row.model for row in rows)),
        )

    @staticmethod
    def _same(deployment: Deployment, row: Measurement, other: ModelConfig) -> bool:
        workload, build = deployment.workload, deployment.workload.build
        model = deployment.model
        if row.metric == "graph_ms":
            return _same_network(deployment, row)
        if row.chip != deployment.chip.silicon:
            return False
        if row.link != deployment.link:
            return False
        conditions: dict[str, object] = {"npu_mode": build.npu_mode or deployment.chip.default_mode}
        if row.metric == "vision_encode_ms":
            if model.vision is None or other.vision != model.vision or build.precision_overrides:
                return False
            conditions |= {
                "image_size": workload.image_size,
                "vision_dtype": build.vision_dtype,
            }
            return _agrees(row, conditions)
        if not _same_decoder(model.decoder, other.decoder) or build.weight_format != "padded":
            return False
        if not _same_runtime(deployment, row):
            return False
        conditions |= {
            "weight_dtype": build.weight_dtype,
            "prefill_chunk": build.prefill_chunk,
            "kv_cache_len": build.kv_cache_len,
            "float_matmul_on_conv": workload.float_matmul_on_conv,
        }
        if row.metric == "ttft_ms":
            chunk = build.prefill_chunk
            if workload.histories != tuple(range(0, workload.prefill_chunks * chunk, chunk)):
                return False  # rows are of a prompt alone, on a build with all lengths of history
            conditions["prompt_chunks"] = workload.prefill_chunks
        return _agrees(row, conditions)


def _same_runtime(deployment: Deployment, row: Measurement) -> bool:
    """Whether the row's runtime spends as long around every layer as the build's does."""
    if row.toolchain is None:
        return True
    chip, own = deployment.chip, deployment.workload.build.toolchain
    return layer_ms(chip, toolchain_of(row.toolchain)) == layer_ms(chip, own)


def shipped_ledger_of(chip: Chip) -> Published | None:
    """The shipped ledger, for a chip whose times are those of the shipped one (a board may give it
    less memory); None for any other, whose predictions are not to be held against silicon."""
    known = _shipped_chip(chip.name)
    return _shipped() if known is not None and chip.times_as(known) else None


@lru_cache(maxsize=16)
def _shipped_chip(name: str) -> Chip | None:
    path = shipped("chip").get(name)
    return None if path is None else load_chip(path)


@lru_cache(maxsize=1)
def _shipped() -> Published:
    rows = load_ledger(shipped_ledger()), load_ledger(shipped_networks())
    return Published(chain(*rows), load_models(shipped_models()))


def _same_network(deployment: Deployment, row: Measurement) -> bool:
    """Whether a deployed network of the row's name has the same products as the shipped file."""
    build, chip = deployment.workload.build, deployment.chip
    conditions: dict[str, object] = {
        "chip": chip.silicon,
        "model": deployment.workload.name,
        "npu_mode": build.npu_mode or chip.default_mode,
        "vision_dtype": build.vision_dtype,
    }
    file = shipped_graphs() / f"{row.model}.onnx"
    if not _agrees(row, conditions) or row.link != deployment.link or build.precision_overrides:
        return False
    if not file.is_file():
        return False
    model: dict[str, object] = {"onnx": str(file)}
    named = load_mapping(Workload, {"name": row.model, "model": model}, row.model)
    return _products(Deployment(named, chip)) == _products(deployment)


def _products(deployment: Deployment) -> Counter[Matmul | None]:
    """The products of a network, each as often as it occurs: what makes an architecture here."""
    graph = deployment.lowered
    assert graph is not None
    return Counter(operation.matmul for operation in graph.operations)


def _agrees(row: Measurement, conditions: Mapping[str, object]) -> bool:
    """Whether every condition that the row states has the given value."""
    return all(getattr(row, key) in (None, value) for key, value in conditions.items())


def _same_decoder(ours: DecoderConfig | None, theirs: DecoderConfig | None) -> bool:
    """Equal in everything that time depends on."""
    if ours is None or theirs is None:
        return False
    if abs(ours.vocab_size / theirs.vocab_size - 1) > VOCABULARY_TOLERANCE:
        return False
    return _shape(ours) == _shape(theirs)


@lru_cache(maxsize=256)
def _shape(cfg: DecoderConfig) -> DecoderConfig:
    return replace(
        cfg,
        vocab_size=1,
        tie_word_embeddings=False,
        rope_theta=1.0,
        rope_scaling=None,
        rms_norm_eps=1.0,
    )
