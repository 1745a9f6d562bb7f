"""One sort of input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

POST = "POST"
"""First argument of what is sent to the server instead of run: the second is the address, the file
``body`` what."""

Make = Callable[[Random, Path], list[str]]
"""Writes files into the folder and returns the command's arguments."""


@dataclass(frozen=True)
class Kind:
    """``make`` makes an input; ``weight`` is its share of a campaign, ``first`` how many of it the
    default suite runs."""

    name: str
    make: Make
    weight: float = 1.0
    first: int = 6
