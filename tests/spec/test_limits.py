"""Every number that people write has a bound."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isclass
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from axsim.fidelity.plausible import PLAUSIBLE as FITTED
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import shipped
from axsim.spec.limits import LARGEST, PLAUSIBLE, implausible
from axsim.spec.workload import Workload

SHARES = {
    "dram.weights",
    "npu.modes",
    "npu.mode_ocm",
    "power.mac_pj",
    "rated.value",
    "host.pcie_ms_span",
}
"""Mappings and pairs of numbers, each of which belongs to one that has a bound."""


def numbers(cls: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, set[Any]]]:
    """Dotted keys whose values are numbers, with what they may be."""
    for name, field in cls.model_fields.items():
        kinds = {field.annotation, *get_args(field.annotation)}
        sections = [
            k for k in kinds if isclass(k) and get_origin(k) is None and issubclass(k, BaseModel)
        ]
        for section in sections:
            yield from numbers(section, f"{prefix}{name}.")
        inner = kinds | {each for kind in kinds for each in get_args(kind)}
        if inner & {int, float} and not sections:
            yield f"{prefix}{name}", inner


def test_every_number_of_a_chip_has_a_range() -> None:
    keys = {key for key, _ in numbers(Chip)} - SHARES
    assert keys == set(PLAUSIBLE)


@pytest.mark.parametrize("name", shipped("chip"))
def test_shipped_chips_lie_within(name: str) -> None:
    assert not list(implausible(load_chip(name)))


def test_what_is_fitted_lies_within() -> None:
    for name, fitted in FITTED.items():
        low, high = PLAUSIBLE[f"calibrated.{name}"]
        assert low <= fitted.low < fitted.high <= high


RATIOS = {"temperature", "top_k", "top_p", "seed", "eos_token_id", "seconds", "fps", "num_frames"}
"""What makes nothing larger."""


def test_every_size_of_a_workload_has_a_bound() -> None:
    found = {key for key, kinds in numbers(Workload) if int in kinds}
    lists = ("layers", "_section", "shapes", "prefill_history", "feature_layer", "image_mean")
    sizes = {
        key
        for key in found
        if key.rpartition(".")[2] not in RATIOS
        and (not key.endswith(lists) or key in LARGEST)
        and ".turns." not in key
        and ".rope_scaling." not in key
    }
    assert sizes - set(LARGEST) == {"model.decoder.sliding_window"}  # a part of what is bounded
