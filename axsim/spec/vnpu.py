"""How the vendor's runtime divides an NPU: its VNPU types."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from axsim.errors import InputError, Problem

if TYPE_CHECKING:
    from axsim.spec.chip import Chip


class Vnpu(str, Enum):
    """The types, which the runtime calls ``VNPUType.BIG_LITTLE`` and the like."""

    disabled = "disabled"
    enabled = "enabled"
    big_little = "big-little"
    little_big = "little-big"


def partitions_of(chip: Chip, vnpu: Vnpu) -> dict[str, str]:
    """NPU modes by partition. Disabled, there is one, which models of every mode have whole.

    Raises:
        InputError: the chip cannot be divided like this.
    """
    found = _partitions(chip, vnpu)
    if not found:
        allowed = ", ".join(each.value for each in Vnpu if _partitions(chip, each))
        raise InputError(Problem(chip.name, "", f"has no VNPU type {vnpu.value}", allowed))
    return found


def _partitions(chip: Chip, vnpu: Vnpu) -> dict[str, str]:
    """None of a type that the chip does not have."""
    if vnpu is Vnpu.disabled:
        return {"npu": chip.default_mode}
    if vnpu is Vnpu.enabled:
        count = int(chip.ocm_bytes / chip.mode("NPU1").ocm_bytes + 1e-9)
        return {f"npu{number}": "NPU1" for number in range(count)} if count > 1 else {}
    groups: dict[str, int] = dict(chip.modes)  # type: ignore[arg-type]
    if groups.get("NPU1") != 1 or groups.get("NPU2") != 2 or chip.npu.resource_groups < 3:
        return {}
    return {"big": "NPU2", "little": "NPU1"}
