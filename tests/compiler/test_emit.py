"""The emission of tasks compiled by numba against the same source in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from axsim.compiler import tiling as module
from axsim.compiler.emit import Columns, emit
from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.kernels.twin import WhenItPays, compiled
from axsim.numerics.formats import Part
from axsim.spec.chip import Chip, load_chip
from axsim.spec.workload import load_workload
from tests.compiler.small import chips, graphs
from tests.compiler.small import compiled as program_of


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Columns]:
    """What was emitted, each by both."""
    loop = compiled("axsim.compiler.emit_numba")
    if loop is None:
        pytest.skip("numba compiles nothing here")
    emitted: list[Columns] = []

    def both(*given: Any) -> Columns:
        columns = emit(*given)
        for ours, theirs in zip(columns, loop.emit(*given), strict=True):
            assert theirs.dtype == (float if ours and isinstance(ours[0], float) else int)
            np.testing.assert_array_equal(ours, theirs)
        emitted.append(columns)
        return columns

    monkeypatch.setattr(module, "emit", both)
    monkeypatch.setattr(module, "_loop", WhenItPays("", 10**12))
    return emitted


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=graphs(), chip=chips())
def test_any_graph_on_any_chip(
    compared: list[Columns], case: tuple[Graph, Part], chip: Chip
) -> None:
    before = len(compared)
    graph, part = case
    program_of(graph, chip, part=part)
    assert len(compared) > before


@pytest.mark.parametrize("chip", ["ax630c", "ax650n"])
@pytest.mark.parametrize(
    ("workload", "variant"), [("internvl2_1b", "448-u16"), ("qwen3_0_6b", "256-s4")]
)
def test_shipped_programs(compared: list[Columns], workload: str, variant: str, chip: str) -> None:
    module.tile.cache_clear()
    deployment = Deployment(load_workload(workload, variant=variant), load_chip(chip))
    assert deployment.vision or deployment.prefill
    assert deployment.decode
    assert deployment.post
    assert compared


def test_it_takes_over_once_so_much_was_emitted_without(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = compiled("axsim.compiler.emit_numba")
    if loop is None:
        pytest.skip("numba compiles nothing here")
    calls: list[int] = []

    def watched(*given: Any) -> Columns:
        calls.append(1)
        return emit(*given)

    monkeypatch.setattr(loop, "emit", watched)
    monkeypatch.setattr(module, "_loop", WhenItPays("axsim.compiler.emit_numba", 100))
    for clock in (1000, 2000):
        module.tile.cache_clear()
        chip = load_chip("ax630c", {"npu.nominal_clock_mhz": clock})
        deployment = Deployment(load_workload("internvl2_1b", variant="224-u8"), chip)
        assert deployment.decode
    assert len(calls) == 1


def test_networks_that_go_in_bands(compared: list[Columns]) -> None:
    from tests.compiler.test_bands import convolutions

    for name in ("ax630c", "ax650n"):
        program_of(convolutions(96), load_chip(name), part="network")
    assert len(compared) == 2
