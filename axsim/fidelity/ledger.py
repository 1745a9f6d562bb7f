"""The ledger: published measurements with their conditions, and the architectures they name.

``published.csv`` has one row per measurement; ``models.yaml`` gives the architectures in Hugging
Face field names. Users append rows of their own boards, or keep files of the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem, printable, unprintable
from axsim.fidelity.csv_records import records, whole
from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig, VisionConfig
from axsim.spec.descriptor import data_folder
from axsim.spec.located import read
from axsim.system.metrics import LEDGER

PLAUSIBLE_VALUES = 1e-6, 1e15
"""Least and largest value of a row: of milliseconds, tokens per second and cycles."""

LARGEST_COUNT = 1 << 20
"""Of pixels and tokens in a row."""


@dataclass(frozen=True)
class Measurement:
    """One row. Empty conditions are None; ``line`` is its line in the file."""

    id: str
    chip: str
    model: str
    metric: str
    value: float
    image_size: int | None = None
    vision_dtype: str | None = None
    weight_dtype: str | None = None
    prefill_chunk: int | None = None
    cached_tokens: int | None = None
    prompt_chunks: int | None = None
    kv_cache_len: int | None = None
    npu_mode: str | None = None
    float_matmul_on_conv: bool | None = None
    toolchain: str | None = None
    link: str | None = None
    source: str = ""
    note: str = ""
    line: int = 0


COLUMNS = tuple(f.name for f in fields(Measurement) if f.name != "line")
REQUIRED = ("id", "chip", "model", "metric", "value")
_NUMBERS = ("image_size", "prefill_chunk", "cached_tokens", "prompt_chunks", "kv_cache_len")


@dataclass(frozen=True)
class Matmul:
    """The operands of a ``compiler_cycles`` row: x[rows, inner] · y[inner, columns]."""

    dtype: str
    rows: int
    inner: int
    columns: int

    @classmethod
    def parse(cls, name: str) -> Matmul | None:
        """From ``matmul s8 16x512x100000``; None when the name is no matmul's."""
        size = r"([1-9]\d{0,6})"
        found = re.fullmatch(rf"matmul (s8|s16|u8|u16|bf16) {size}x{size}x{size}", name)
        if found is None:
            return None
        return cls(found[1], int(found[2]), int(found[3]), int(found[4]))


def series(row: Measurement) -> tuple[object, ...]:
    """Rows of equal series differ in lengths only: they repeat one configuration's errors."""
    matmul = Matmul.parse(row.model) if row.metric == "compiler_cycles" else None
    if matmul is not None:
        longer = "x" if matmul.rows > matmul.columns else "y"
        return (row.metric, f"matmul {matmul.dtype}", row.npu_mode, f"long {longer}")
    size = f"{row.image_size} px" if row.image_size else None
    dtype = row.vision_dtype if row.metric == "vision_encode_ms" else row.weight_dtype
    flag = "conv" if row.float_matmul_on_conv else None
    return (row.metric, row.model, size, dtype, row.npu_mode, flag)


def shipped_ledger() -> Path:
    """The ledger that comes with axsim."""
    return data_folder("measurements") / "published.csv"


def shipped_networks() -> Path:
    """The ledger of networks from files that comes with axsim."""
    return data_folder("measurements") / "cnn.csv"


def shipped_models() -> Path:
    """The architectures that come with axsim."""
    return data_folder("measurements") / "models.yaml"


def shipped_graphs() -> Path:
    """The folder of the networks that come with axsim."""
    return data_folder("measurements") / "onnx"


def load_ledger(path: Path) -> tuple[Measurement, ...]:
    """Read a ledger.

    Raises:
        InputError: no such file, missing or unknown columns, or values that cannot be read; every
            fault with its line and column.
    """
    faults: list[Problem] = []
    rows = []
    seen: dict[str, int] = {}
    for line, record in records(path, COLUMNS, REQUIRED, "ledger"):
        where = f"{path}:{line}"
        try:
            row = _row(record, line, where)
        except InputError as error:
            faults += error.problems
            continue
        if row.id in seen:
            faults.append(Problem(where, "id", f"{row.id!r} is on line {seen[row.id]} too"))
        seen[row.id] = line
        rows.append(row)
    if not rows and not faults:
        faults.append(Problem(str(path), "", "the ledger has no rows"))
    if faults:
        raise InputError(faults)
    return tuple(rows)


def _row(record: Mapping[str, str], line: int, where: str) -> Measurement:
    faults: list[Problem] = []
    values: dict[str, Any] = {"line": line}
    for column, text in whole(record, where).items():
        try:
            values[column] = _value(column, text)
        except ValueError as error:
            faults.append(Problem(where, column, f"found {text!r}", str(error)))
    if faults:
        raise InputError(faults)
    return Measurement(**values)


def _value(column: str, text: str) -> Any:
    """The typed value; ValueError says what is allowed."""
    if column == "metric":
        if text not in LEDGER:
            raise ValueError(", ".join(LEDGER))
        return text
    if column == "value":
        low, high = PLAUSIBLE_VALUES
        allowed = f"a positive number, {low:g} to {high:g}"
        number = _number(float, text, allowed)
        if not low <= number <= high:
            raise ValueError(allowed)
        return number
    if column in ("id", "chip", "model"):
        if not text or unprintable(text):
            raise ValueError("a name without control characters")
        return text
    if column in ("source", "note"):
        return printable(text)
    if not text:
        return None
    if column == "link":
        if text.lower() != "pcie":
            raise ValueError("pcie for a card, nothing for the chip's own host")
        return text.lower()
    if column in _NUMBERS:
        allowed = f"a whole number up to {LARGEST_COUNT:,}, or nothing"
        number = _number(float, text, allowed)
        least = 0 if column == "cached_tokens" else 1
        if not (number.is_integer() and least <= number <= LARGEST_COUNT):
            raise ValueError(allowed)
        return int(number)  # spreadsheets write 224.0 once a column has gaps
    if column == "float_matmul_on_conv":
        if text.lower() not in ("true", "false"):
            raise ValueError("True, False, or nothing")
        return text.lower() == "true"
    return text


def _number(kind: type, text: str, allowed: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(allowed) from None


class Architectures(Mapping[str, ModelConfig]):
    """Model name to architecture: decoders, vision towers, and VLMs that join one of each."""

    def __init__(self, document: Mapping[str, Any], name: str = "models.yaml") -> None:
        self._document = {
            part: dict(document.get(part) or {}) for part in ("decoders", "vision", "vlms")
        }
        self._name = name

    def __iter__(self) -> Iterator[str]:
        return (model for part in self._document.values() for model in part)

    def __len__(self) -> int:
        return sum(len(part) for part in self._document.values())

    def __getitem__(self, name: str) -> ModelConfig:
        document = self._document
        try:
            if name in document["vlms"]:
                return self._joined(document["vlms"][name])
            if name in document["decoders"]:
                return ModelConfig(DecoderConfig(**document["decoders"][name]))
            if name in document["vision"]:
                return ModelConfig(None, VisionConfig(**document["vision"][name]))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise InputError(Problem(self._name, name, str(error))) from None
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in part for part in self._document.values())

    def extended(self, other: Architectures) -> Architectures:
        """These architectures and ``other``'s, which win where both define a name."""
        merged = {
            part: {name: entry for name, entry in own.items() if name not in other}
            | other._document[part]
            for part, own in self._document.items()
        }
        return Architectures(merged, other._name)

    def _part(self, key: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """The decoder or the tower that a VLM names; ValueError when there is none."""
        known = self._document["decoders" if key == "decoder" else "vision"]
        if key not in entry:
            raise ValueError(f"{key} is missing")
        if entry[key] not in known:
            raise ValueError(f"{key}: {entry[key]!r} is none of {', '.join(known)}")
        return dict(known[entry[key]])

    def _joined(self, entry: Mapping[str, Any]) -> ModelConfig:
        changes = {key: value for key, value in entry.items() if key not in ("vision", "decoder")}
        decoder = DecoderConfig(**{**self._part("decoder", entry), **changes})
        vision = VisionConfig(**self._part("vision", entry))
        grid, _ = vision.grid(vision.image_size)
        projector = None if grid % 2 else ProjectorConfig(decoder.hidden_size)
        return ModelConfig(decoder, vision, projector)


def load_models(path: Path) -> Architectures:
    """Read a file of architectures.

    Raises:
        InputError: the file cannot be read, or its parts are no mappings.
    """
    document = read(path).plain()
    parts = ("decoders", "vision", "vlms")
    if not isinstance(document, dict) or not all(
        isinstance(document.get(part) or {}, dict) for part in parts
    ):
        raise InputError(Problem(str(path), "", "is no mapping", f"sections {', '.join(parts)}"))
    wrong = [
        Problem(str(path), f"{part}.{name}", "is no mapping", "the fields of an architecture")
        for part in parts
        for name, entry in (document.get(part) or {}).items()
        if not isinstance(entry, dict)
    ]
    if wrong:
        raise InputError(wrong)
    return Architectures(document, str(path))
