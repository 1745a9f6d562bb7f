"""Rows that hang together count less."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from axsim.fidelity.effects import GRID, Components, Effects
from axsim.fidelity.ledger import Measurement, load_ledger, shipped_ledger
from axsim.fidelity.validate import architectures

MODELS = architectures()
ROW = Measurement("a", "ax650n", "Qwen3-0.6B", "ttft_ms", 10.0, weight_dtype="s8", source="one")

MIDDLE = Components()


def information(rows: list[Measurement], components: Components = MIDDLE) -> float:
    """What the rows say about their common error: one over its variance."""
    white = Effects(rows, MODELS).whitener(components, np.arange(len(rows)))
    column = white.sum(axis=1)
    return float(column @ column)


def test_a_series_weighs_as_much_as_a_single_row() -> None:
    for row in load_ledger(shipped_ledger())[::7]:
        ladder = [replace(row, id=str(n)) for n in range(9)]
        assert information(ladder) == pytest.approx(information([row]))


def test_rows_of_one_architecture_or_source_say_less_than_others() -> None:
    apart = [replace(ROW, model="Qwen3-1.7B", source="two")]
    same_source = [replace(ROW, model="Qwen3-1.7B")]
    same_architecture = [replace(ROW, weight_dtype="s4", source="two")]
    both = [replace(ROW, weight_dtype="s4")]
    alone = information([ROW])
    assert information([ROW, *apart]) == pytest.approx(2 * alone)
    for other in (same_source, same_architecture):
        assert 1.2 * alone < information([ROW, *other]) < 1.8 * alone
    assert alone < information([ROW, *both]) < information([ROW, *same_source])


def test_compiler_counts_and_old_toolchains_are_trusted_less() -> None:
    old = replace(ROW, toolchain="pulsar2-2.5")
    matmul = replace(ROW, metric="compiler_cycles", model="matmul s8 16x512x1000")
    assert information([old]) < information([matmul]) < information([ROW])


def test_rows_left_out_have_no_part() -> None:
    rows = [ROW, replace(ROW, model="Qwen3-1.7B"), replace(ROW, model="Qwen3-4B")]
    white = Effects(rows, MODELS).whitener(Components(), np.array([0, 2]))
    assert white.shape == (2, 3)
    assert not white[:, 1].any()


@pytest.mark.parametrize(
    "truth", [(0.042, 0.008, 0.008), (0.008, 0.042, 0.008), (0.008, 0.008, 0.042)]
)
def test_components_are_found_where_errors_have_them(truth: tuple[float, float, float]) -> None:
    names = [name for name in MODELS if MODELS[name].decoder and not MODELS[name].vision][:9]
    rows = [
        replace(ROW, id=f"{name}{source}{dtype}", model=name, source=str(source), weight_dtype=d)
        for name in names
        for source in range(5)
        for dtype, d in enumerate(("s8", "s4"))
    ]  # fmt: skip
    rng = np.random.default_rng(1)
    effects = Effects(rows, MODELS)
    shared = {key: rng.normal(0, truth[0]) for key in names}
    source = [rng.normal(0, truth[1]) for _ in range(5)]
    own = truth[2] * math.sqrt(5)  # a series of five rows counts as one
    errors = np.array([shared[r.model] + source[int(r.source)] + rng.normal(0, own) for r in rows])
    found = effects.estimate(errors, np.zeros((len(rows), 0)))
    assert all(value in GRID for value in found)
    assert int(np.argmax(found)) == int(np.argmax(truth))
