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
    "bf16_divisor": Plausible(
        1, 16, "as fast as INT8, whose multipliers hold a significand, to a sixteenth of it"
    ),
    "bf16_overflow": Plausible(1, 4, "partial sums that leave the array and come back"),
    "teng_macs_per_cycle": Plausible(
        4, 12, "attention's 18 GMAC/s on three units and 6 GMAC/s on one are 6 to 8 a cycle"
    ),
    "teng_bytes_per_cycle": Plausible(8, 64, "vector units of 64 to 512 bits"),
    "transcendental_passes": Plausible(2, 20, "a short polynomial up to exponent plus division"),
    "s4_elements_per_cycle": Plausible(2, 64, "S4 gains less than its bytes: expansion has a rate"),
    "teng_16bit_bytes_per_cycle": Plausible(
        4, 32, "U16 towers of Neutron v4 run at a half to an eighth of an element path of 64 bytes"
    ),
    "swap_efficiency": Plausible(
        0.1, 0.3, "short rows of a tile: a page of DRAM opened for each, read and write in turn"
    ),
    "host_decode_ms": Plausible(0.05, 0.5, "0.28 to 0.32 ms a layer seen, some of it the NPU's"),
    "host_prefill_ms": Plausible(0.2, 3, "0.8 to 1.1 ms a layer seen at heads of 64"),
}
"""By field of :class:`axsim.spec.chip.CalibratedSection`; the clock's bounds follow its nominal
one."""


def plausible(chip: Chip, name: str) -> Plausible:
    """The bounds of one calibrated parameter of ``chip``."""
    if name == "clock_mhz":
        nominal = chip.npu.nominal_clock_mhz
        return Plausible(0.8 * nominal, 1.1 * nominal, "board times over the compiler's cycles")
    if name in PLAUSIBLE:
        return PLAUSIBLE[name]
    value = float(getattr(chip.calibrated, name))
    return Plausible(value / SPREAD, value * SPREAD, f"{SPREAD:g} times less or more")
