"""Ledgers for tests."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from axsim.fidelity.ledger import COLUMNS

DECODE = {
    "id": "D1",
    "chip": "ax650n",
    "model": "Qwen2.5-0.5B",
    "metric": "decode_tokens_per_s",
    "value": "30",
    "weight_dtype": "s8",
    "npu_mode": "NPU3",
}
VISION = {
    "id": "V1",
    "chip": "ax630c",
    "model": "DeiT-tiny-224",
    "metric": "vision_encode_ms",
    "value": "9",
    "image_size": "224",
    "vision_dtype": "u8",
}


def write(path: Path, rows: Iterable[Mapping[str, str]], header: Iterable[str] = COLUMNS) -> Path:
    """A CSV file with the given rows; columns that a row lacks are empty."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(header), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path
