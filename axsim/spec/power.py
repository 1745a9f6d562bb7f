"""What a chip draws from its supply: the optional ``power`` block of its file.

Nobody has published watts of these chips, only ratings; so the shipped files leave the block out.
Whoever has a meter fills it in, or lets ``axsim calibrate --power`` do it.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, NonNegativeFloat

from axsim.spec.descriptor import Section

MacType = Literal["int8", "int16x8", "int16", "bf16"]
"""Operands of a multiply-accumulate: both of 8 bits or fewer, one or both of 16, floating point
whatever the weights."""
MAC_TYPES: tuple[MacType, ...] = get_args(MacType)


class PowerSection(Section):
    """Watts while time passes and while units work, energy of what they do; what is not given
    counts nothing."""

    source: str = Field("", description="how it was measured")
    idle_w: NonNegativeFloat = Field(description="watts while nothing runs")
    conv_w: NonNegativeFloat = Field(0.0, description="watts more for each CONV unit that works")
    teng_w: NonNegativeFloat = Field(0.0, description="watts more for each TENG unit that works")
    sdma_w: NonNegativeFloat = Field(0.0, description="watts more for each SDMA queue that works")
    cpu_w: NonNegativeFloat = Field(0.0, description="watts more for each host core that works")
    dram_pj_per_byte: NonNegativeFloat = Field(
        0.0, description="picojoules of a byte that crosses the DRAM interface"
    )
    mac_pj: dict[MacType, NonNegativeFloat] = Field(
        {}, description="picojoules of a multiply-accumulate, by the type of its operands"
    )
