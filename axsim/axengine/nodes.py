"""Inputs and outputs as the vendor's runtime describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class NodeArg:
    """An input or output: its name, a numpy dtype (ml_dtypes.bfloat16 among them), and its
    shape."""

    name: str
    dtype: Any
    shape: list[int]
