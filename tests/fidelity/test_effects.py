"""Rows that hang together count less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from axsim.fidelity.effects import Effects
from axsim.fidelity.ledger import Measurement, load_ledger, shipped_ledger
from axsim.fidelity.validate import architectures

MODELS = architectures()
ROW = Measurement("a", "ax650n", "Qwen3-0.6B", "ttft_ms", 10.0, weight_dtype="s8", source="one")


def information(rows: list[Measurement]) -> float:
    """What the rows say about their common error: one over its variance."""
    white = Effects(rows, MODELS).whitener(np.arange(len(rows)))
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
    white = Effects(rows, MODELS).whitener(np.array([0, 2]))
    assert white.shape == (2, 3)
    assert not white[:, 1].any()
