"""Measurements in the logs of the vendor's runtime.

``ax_run_model`` prints a block for each run, the file and its NPU mode first and
``min = 7.658 ms   max = 7.672 ms   avg = 7.662 ms`` at its end, one such line for each shape group;
groups are counted from 0 unless a line names them (``group: 2``, ``g2: 7.483 ms``). The chat
runtime prints ``ttft: 124.73 ms``, ``avg 31.16 token/s`` and ``image encode time : 397.9 ms``, and
what it was built for before that. Everything else is passed over. A time that cannot be is an
error: a ledger is no better than its worst row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem

_NUMBER = r"(-?(?:\d+(?:\.\d+)?|inf|nan))"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MODEL = re.compile(r"(?:\bmodel\s*:\s*|\s-m\s+|--model\s+)(\S+\.axmodel)\b")
_GROUP = re.compile(r"\b(?:shape[_ ]?group|group|grp)\b\s*[:=]?\s*(\d{1,9})\b(?!.*prefill_max)")
_TIMES = re.compile(
    rf"\bmin\s*=\s*{_NUMBER}\s*ms\s+max\s*=\s*{_NUMBER}\s*ms\s+avg\s*=\s*{_NUMBER}\s*ms"
)
_SHORT = re.compile(rf"^\s*g(\d{{1,9}})\s*:\s*{_NUMBER}\s*ms\b")
_HISTORY = re.compile(r"\bgrp\s*:\s*(\d{1,9})\s*,\s*prefill_max_kv_cache_num\s*:\s*(\d{1,9})\b")
_CORES = re.compile(r"^\s*type\s*:\s*(?:(NPU[123])\b|([123])\s*Cores?\b)", re.I)
_COMPILER = re.compile(r"\bpulsar2 ver\s*:\s*(\d+\.\d+)")
_SPLIT = re.compile(r"\bprefill_split_num\s*:\s*(\d{1,9})\b")
_TOKENS = re.compile(r"\binput token num\s*:\s*(\d{1,9})\b")
_FACTS = {
    "kv_cache_len": re.compile(r"\bkv_cache_num\s*:\s*(\d{1,9})\s*$"),
    "prefill_chunk": re.compile(r"\bprefill_token_num\s*:\s*([1-9]\d{0,8})\b"),
}
_VALUES = {
    "ttft_ms": re.compile(rf"\bttft\s*:\s*{_NUMBER}\s*ms"),
    "decode_tokens_per_s": re.compile(rf"\bavg\s+{_NUMBER}\s*token/s"),
    "vision_encode_ms": re.compile(rf"\bimage encode time\s*:\s*{_NUMBER}\s*ms"),
}
_PICTURE = re.compile(r"\bvpm_height\s*:\s*(\d{1,9})\s*,\s*vpm_width\s*:\s*\1\b")
_LAYER = re.compile(r"_p([1-9]\d{0,8})_l\d+_together$")
_VISION = re.compile(r"(?i)vision|vit|vpm|image_?encoder")
_PIXELS = re.compile(r"_vision_part_(\d{1,9})$")


@dataclass(frozen=True)
class Found:
    """A measurement of a log: its metric, value, the line where it stands, and the conditions that
    the log tells. ``file`` is the model file of ``ax_run_model``, without ending."""

    metric: str
    value: float
    line: int
    conditions: Mapping[str, Any]
    file: str = ""
    note: str = ""


@dataclass
class _Block:
    """What was read of the run under way."""

    file: str = ""
    group: int | None = None
    counted: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    chunks: int | None = None
    history: dict[int, int] = field(default_factory=dict)
    of_network: bool = False


def read_log(path: Path, of_network: bool = False) -> list[Found]:
    """The measurements of a log, in order. ``of_network``: what was measured is a network from an
    ONNX file, whatever the name of its file suggests.

    Raises:
        InputError: it cannot be read, holds none, or one that cannot be.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    faults: list[Problem] = []
    found = list(_found(path, text, of_network, faults))
    if faults:
        raise InputError(faults)
    if not found:
        lines = "min = … ms max = … ms avg = … ms; ttft: … ms; avg … token/s; image encode time"
        raise InputError(Problem(str(path), "", "has no line with a time", lines))
    return found


def _found(path: Path, text: str, of_network: bool, faults: list[Problem]) -> Iterator[Found]:
    block = _Block(of_network=of_network)
    for number, raw in enumerate(text.splitlines(), 1):
        line = _COLOUR.sub("", raw)
        block = _noted(block, line)
        measured = list(_measured(block, line, number))
        fault = _impossible(line, [each.value for each in measured])
        if fault is not None:
            faults.append(Problem(f"{path}:{number}", "", *fault))
        else:
            yield from measured


def _measured(block: _Block, line: str, number: int) -> Iterator[Found]:
    """The measurements of a line."""
    times = _TIMES.search(line)
    if times is not None:
        group = block.counted if block.group is None else block.group
        block.counted, block.group = group + 1, None
        low, high, mean = map(float, times.groups())
        yield _invocation(block, group, mean, number, f"min {low:g} ms, max {high:g} ms")
    short = _SHORT.match(line)
    if short is not None and block.file:
        yield _invocation(block, int(short[1]), float(short[2]), number, "")
    for metric, pattern in _VALUES.items():
        value = pattern.search(line)
        if value is not None:
            facts = dict(block.facts)
            if metric == "ttft_ms":
                facts["prompt_chunks"] = block.chunks or 1
            yield Found(metric, float(value[1]), number, facts)


def _impossible(line: str, values: list[float]) -> tuple[str, str] | None:
    """What is wrong with a line's numbers, and what is allowed."""
    times = _TIMES.search(line)
    if times is not None:
        low, high, mean = map(float, times.groups())
        if not low <= mean <= high:
            return f"found min {low:g}, max {high:g}, avg {mean:g} ms", "min <= avg <= max"
        values = [*values, low]
    wrong = next((each for each in values if not 0 < each < inf), None)
    return None if wrong is None else (f"found {wrong:g}", "above 0, or no such line")


def _noted(block: _Block, line: str) -> _Block:
    """The block after a line that says what is being run; a new one where a run begins."""
    model = _MODEL.search(line)
    if "Run AxModel" in line or (model is not None and block.counted):
        block = replace(block, file="", group=None, counted=0, facts=dict(block.facts), chunks=None)
    if model is not None:
        block.file = Path(model[1].replace("\\", "/")).stem
    group = _GROUP.search(line)
    if group is not None:
        block.group = int(group[1])
    history = _HISTORY.search(line)
    if history is not None:
        # a group without history has one unused row
        block.history[int(history[1])] = 0 if history[2] == "1" else int(history[2])
    cores, compiler = _CORES.match(line), _COMPILER.search(line)
    if cores is not None:
        block.facts["npu_mode"] = cores[1].upper() if cores[1] else f"NPU{cores[2]}"
    if compiler is not None:
        block.facts["toolchain"] = f"pulsar2-{compiler[1]}"
    for key, pattern in _FACTS.items():
        fact = pattern.search(line)
        if fact is not None:
            block.facts[key] = int(fact[1])
    picture = _PICTURE.search(line)
    if picture is not None:
        block.facts["image_size"] = int(picture[1])
    split, tokens = _SPLIT.search(line), _TOKENS.search(line)
    if split is not None:
        block.chunks = int(split[1])
    elif tokens is not None and block.facts.get("prefill_chunk"):
        block.chunks = -(-int(tokens[1]) // block.facts["prefill_chunk"])
    return block


def _invocation(block: _Block, group: int, value: float, line: int, note: str) -> Found:
    """A line of ``ax_run_model``: what was measured follows from the file's name."""
    facts, layer = dict(block.facts), _LAYER.search(block.file)
    note = f"{block.file or 'model'} group {group}{', ' if note else ''}{note}"
    if layer is not None and not group:
        return Found("decode_layer_ms", value, line, facts, block.file, note)
    if layer is not None:
        chunk = int(layer[1])
        facts["prefill_chunk"] = chunk
        facts["cached_tokens"] = block.history.get(group, (group - 1) * chunk)
        return Found("prefill_layer_ms", value, line, facts, block.file, note)
    if block.file.endswith("_post"):
        return Found("post_ms", value, line, facts, block.file, note)
    if block.of_network or _VISION.search(block.file) is None:
        return Found("graph_ms", value, line, facts, block.file, note)
    pixels = _PIXELS.search(block.file)
    if pixels is not None:
        facts["image_size"] = int(pixels[1])
    return Found("vision_encode_ms", value, line, facts, block.file, note)
