"""Rows of a ledger from what logs tell, and from what only the person who measured knows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from csv import DictWriter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.fidelity.board_logs import Found
from axsim.fidelity.ledger import COLUMNS, Measurement
from axsim.models.config import DecoderConfig, ModelConfig, VisionConfig
from axsim.spec.workload import Workload

CONDITIONS: dict[str, tuple[str, ...]] = {
    "vision_encode_ms": ("image_size", "vision_dtype"),
    "graph_ms": ("image_size", "vision_dtype"),
    "prefill_layer_ms": ("weight_dtype", "prefill_chunk", "cached_tokens", "float_matmul_on_conv"),
    "decode_layer_ms": ("weight_dtype", "kv_cache_len", "float_matmul_on_conv"),
    "post_ms": ("weight_dtype",),
    "ttft_ms": (
        "weight_dtype", "prefill_chunk", "prompt_chunks", "kv_cache_len", "float_matmul_on_conv",
    ),
    "decode_tokens_per_s": ("weight_dtype", "kv_cache_len", "float_matmul_on_conv"),
}  # fmt: skip
"""What a metric depends on, beside NPU mode, toolchain and link."""
_ALWAYS = ("npu_mode", "toolchain", "link")


def conditions_of(workload: Workload) -> dict[str, Any]:
    """The conditions that a workload's build gives its rows."""
    build = workload.build
    found = {
        "model": workload.name,
        "image_size": workload.image_size or None,
        "vision_dtype": build.vision_dtype,
        "weight_dtype": build.weight_dtype,
        "prefill_chunk": build.prefill_chunk,
        "kv_cache_len": build.kv_cache_len,
        "float_matmul_on_conv": build.float_matmul_on_conv,
        "npu_mode": build.npu_mode,
        "link": build.link,
        "toolchain": build.toolchain,
    }
    return {key: value for key, value in found.items() if value is not None}


def rows_of(
    logs: Mapping[Path, Sequence[Found]],
    chip: str,
    workload: Mapping[str, Any],
    given: Mapping[str, Any],
    prefix: str = "B",
    source: str = "",
) -> list[Measurement]:
    """Rows of all logs, numbered from 1 behind ``prefix``.

    A condition is what was ``given``, else what the log tells, else the ``workload``'s. A network's
    model is its file, unless one is given.

    Raises:
        InputError: a row has no model, or lacks its picture's size.
    """
    rows: list[Measurement] = []
    faults: list[Problem] = []
    for path, measured in logs.items():
        for each in measured:
            known = {**workload, **each.conditions, **given}
            model = known.get("model")
            if each.metric == "graph_ms":
                model = given.get("model") or each.file
            where = f"{path}:{each.line}"
            if not model:
                faults.append(Problem(where, "", f"{each.metric}: whose is it?", "--model"))
                continue
            if each.metric == "vision_encode_ms" and not known.get("image_size"):
                what = f"{each.metric} needs --image-size, or --workload FILE.onnx of a network"
                faults.append(Problem(where, "", what))
                continue
            kept: dict[str, Any] = {
                key: known.get(key) for key in (*CONDITIONS[each.metric], *_ALWAYS)
            }
            note = f"{path.name}:{each.line}" + (f" {each.note}" if each.note else "")
            rows.append(
                Measurement(
                    f"{prefix}{len(rows) + 1:03}",
                    chip,
                    model,
                    each.metric,
                    each.value,
                    **kept,
                    source=source or "board log",
                    note=note,
                )
            )
    if faults:
        raise InputError(faults)
    return rows


def ledger_text(rows: Iterable[Measurement]) -> str:
    """The rows as CSV."""
    out = io.StringIO()
    writer = DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(asdict(row))
    return out.getvalue()


def models_document(name: str, model: ModelConfig) -> dict[str, Any]:
    """The architecture of ``name`` as a file for ``axsim validate --models`` has it; what times do
    not depend on is left out."""
    decoder, vision = model.decoder, model.vision
    document: dict[str, Any] = {}
    if decoder is not None:
        inner = f"{name} decoder" if vision else name
        document["decoders"] = {inner: _plain(decoder, DecoderConfig)}
    if vision is not None:
        inner = f"{name} tower" if decoder else name
        document["vision"] = {inner: _plain(vision, VisionConfig)}
    if decoder is not None and vision is not None:
        document["vlms"] = {name: {"vision": f"{name} tower", "decoder": f"{name} decoder"}}
    return document


def _plain(part: DecoderConfig | VisionConfig, cls: type) -> dict[str, Any]:
    """Its numbers, texts and lists of them that are not the default's."""
    found: dict[str, Any] = {}
    for key, spec in cls.__dataclass_fields__.items():  # type: ignore[attr-defined]
        value = getattr(part, key)
        if isinstance(value, bool | int | float | str) and value != spec.default:
            found[key] = value
        elif isinstance(value, tuple) and value and value != spec.default:
            found[key] = list(value)
    return found
