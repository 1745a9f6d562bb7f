"""Where each calibrated parameter may lie: bounds from physics and from what is known of the chips,
not from the rows that are fitted."""

from __future__ import annotations

from typing import NamedTuple

from axsim.spec.chip import Chip


class Plausible(NamedTuple):
    """Bounds of a parameter, in its unit, and why they are there."""

    low: float
    high: float
    why: str


SPREAD = 4.0
"""A parameter that nothing is known about may be this many times smaller or larger."""

PLAUSIBLE = {
    "dram_efficiency": Plausible(
        0.4, 0.9, "refresh, bank conflicts and turnarounds leave LPDDR4 streams 40 to 90 %"
    ),
    "ocm_bytes": Plausible(4e5, 4e6, "a 2 x 28 px tile of U16 scores up to a group of AX650N"),
    "u16_divisor": Plausible(
        1.5, 4.5, "two byte planes at best; four, as with two 16-bit operands"
    ),
    "teng_macs_per_cycle": Plausible(
        4, 12, "attention's 18 GMAC/s on three units and 6 GMAC/s on one are 6 to 8 a cycle"
    ),
    "teng_bytes_per_cycle": Plausible(8, 64, "vector units of 64 to 512 bits"),
    "transcendental_passes": Plausible(2, 20, "a short polynomial up to exponent plus division"),
    "s4_elements_per_cycle": Plausible(2, 64, "S4 gains less than its bytes: expansion has a rate"),
    "swap_efficiency": Plausible(0.2, 1, "strided rows of a tile reach a part of a stream's rate"),
    "host_decode_mcycles": Plausible(
        0.02, 1, "0.28 to 0.32 ms a layer seen on both CPUs, some of it the NPU's own"
    ),
    "host_prefill_mcycles": Plausible(
        0.01, 6, "copies of a chunk's K, V and hidden rows: up to a few milliseconds"
    ),
}
"""By field of :class:`axsim.spec.chip.CalibratedSection`; the clock's bounds depend on the chip."""


def plausible(chip: Chip, name: str) -> Plausible:
    """The bounds of one calibrated parameter of ``chip``."""
    if name == "clock_mhz":
        low, high = CLOCKS.get(chip.name, (0.8, 1.1))
        nominal = chip.npu.nominal_clock_mhz
        return Plausible(low * nominal, high * nominal, "board times over the compiler's cycles")
    if name in PLAUSIBLE:
        return PLAUSIBLE[name]
    value = float(getattr(chip.calibrated, name))
    return Plausible(value / SPREAD, value * SPREAD, f"{SPREAD:g} times less or more")


CLOCKS = {"ax650n": (0.854, 0.955), "ax630c": (0.895, 1.075)}
"""Sustained over nominal clock by chip: 854 to 955 MHz are implied by AX650N's board times; at
least 716 MHz by AX630C's, whose nominal 800 MHz follows from its rating."""
