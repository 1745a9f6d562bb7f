"""A board: a chip, and what is built around it that decides what fits and how long loading takes.

One YAML file (``boards/``) describes one board. It says nothing of times but the link; whatever is
left out is as the chip's file has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt

from axsim.spec.chip import Chip, Link, load_chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, Section, find, load, override


class Board(Section):
    """A board descriptor; see the module's text.

    >>> axsim.run("qwen3_0_6b", axsim.load_board("maixcam2").chip_on_it(), timing_only=True)
    """

    name: str = Field(min_length=1, description="what the board is called")
    description: str = Field("", description="what it is")
    chip: str = Field(description="its chip, by name or by file")
    memory_bytes: PositiveInt | None = Field(None, description="its DRAM, all of it")
    npu_bytes: PositiveInt | None = Field(
        None, description="the part of its DRAM that is the NPU's; the rest is the system's"
    )
    storage_mb_per_s: PositiveFloat | None = Field(
        None, description="sequential reading of the storage that models lie on, 10^6 bytes"
    )
    link: Link | None = Field(None, description="what lies between the chip and another host")

    @property
    def overrides(self) -> dict[str, object]:
        """The chip's keys that the board sets."""
        keys = {
            "dram.capacity_bytes": self.memory_bytes,
            "dram.npu_bytes": self.npu_bytes,
            "host.storage_mb_per_s": self.storage_mb_per_s,
            "host.link": self.link,
        }
        return {key: value for key, value in keys.items() if value is not None}

    def chip_on_it(self, overrides: Overrides = NO_OVERRIDES) -> Chip:
        """The chip as the board has it; ``overrides`` are further keys of the chip.

        Raises:
            InputError: there is no such chip, or a key is wrong.
        """
        return load_chip(self.chip, {**self.overrides, **overrides})


Place: TypeAlias = Chip | Board | str | Path
"""What something runs on: a chip, or a board that stands for its chip as it has it."""


def chip_at(place: Place, overrides: Overrides = NO_OVERRIDES) -> Chip:
    """The chip that is meant, with ``overrides`` of its keys; a board's as it has it.

    Raises:
        InputError: there is no such chip, or a key is wrong.
    """
    if isinstance(place, Board):
        return place.chip_on_it(overrides)
    if isinstance(place, Chip):
        return override(place, overrides) if overrides else place
    return load_chip(place, overrides)


def name_of(place: Place) -> str:
    """What tables call it."""
    return place.name if isinstance(place, Chip | Board) else str(place)


def load_board(name_or_path: str | Path, overrides: Overrides = NO_OVERRIDES) -> Board:
    """Find and load a board.

    Raises:
        InputError: listing everything that is wrong.
    """
    return load(Board, find("board", name_or_path), overrides)
