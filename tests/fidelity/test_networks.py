"""The numbers that only networks need: chosen by measurements, and left out of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from axsim.errors import InputError
from axsim.fidelity.ledger import load_ledger, shipped_networks
from axsim.fidelity.left_out import replaced, shipped_left_out
from axsim.fidelity.networks import (
    CHOICES,
    NetworksFit,
    section,
    values_of,
    with_networks,
)
from axsim.fidelity.predict import compare
from axsim.spec.chip import NetworksSection, load_chip

pytest.importorskip("onnx")

CHIPS = {name: load_chip(name) for name in ("ax650n", "ax630c")}
MEASURED = {row.id: row for row in load_ledger(shipped_networks())}
SMALL = ("squeezenet1_1", "mobilenet_v1", "resnet18")


def made_up(networks: NetworksSection) -> list:
    """Rows of three networks as chips with these numbers would be measured."""
    rows = [row for row in MEASURED.values() if row.model in SMALL and row.npu_mode != "NPU3"]
    chips = {name: with_networks(chip, networks) for name, chip in CHIPS.items()}
    found = compare(tuple(rows), {}, chips)
    return [replace(each.row, value=each.predicted) for each in found]


def test_a_choice_is_found_again_from_the_times_that_it_makes() -> None:
    wanted = NetworksSection(pixels=4, depthwise_columns=32, banded_issue=1.0)
    fit = NetworksFit(made_up(wanted), CHIPS)
    found = section(fit.choose())
    assert (found.pixels, found.depthwise_columns) == (4, 32)
    assert found.banded_issue == 1
    assert max(map(abs, fit.ratios(fit.choose()))) < 1e-9


def test_a_network_left_out_has_no_part_in_its_choice() -> None:
    rows = [row for row in made_up(NetworksSection()) if row.model != "resnet18"]
    odd = [replace(r, value=r.value * 1.5) if r.model == "mobilenet_v1" else r for r in rows]
    (fold,) = [each for each in NetworksFit(odd, CHIPS).folds() if each.network == "mobilenet_v1"]
    assert fold.choice.pixels == NetworksSection().pixels
    assert all(x == pytest.approx(-math.log(1.5)) for x in fold.left_out.values())


def test_the_shipped_numbers_are_what_they_are_said_to_be() -> None:
    for chip in CHIPS.values():
        assert section(values_of(chip.npu.networks)) == chip.npu.networks
        values = values_of(chip.npu.networks)
        assert all(v in choices for v, choices in zip(values, CHOICES.values(), strict=True))


@pytest.mark.parametrize("chip", CHIPS)
def test_networks_left_out_are_predicted_within_twelve_percent(chip: str) -> None:
    rows = [row for row in shipped_left_out() if row.group == "graph" and row.chip == chip]
    assert {row.id for row in rows} == {r.id for r in MEASURED.values() if r.chip == chip}
    errors = [abs(math.expm1(row.left_out)) for row in rows]
    assert sum(errors) / len(errors) <= 0.12


def test_a_calibration_of_other_rows_leaves_networks_where_they_are() -> None:
    old = shipped_left_out()
    new = [replace(old[0], id="X")]
    kept = replaced(old, new)
    graph = [row for row in old if row.group == "graph"]
    assert [row for row in kept if row.group == "graph"] == graph
    assert sum(row.chip == new[0].chip and row.group != "graph" for row in kept) == 1


def test_only_times_of_networks_choose() -> None:
    row = replace(MEASURED["C001"], metric="ttft_ms")
    with pytest.raises(InputError, match="C001 is no graph_ms"):
        NetworksFit([row], CHIPS)
