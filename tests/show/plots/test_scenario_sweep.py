"""Sweeps of scenarios, as pictures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from axsim.errors import InputError
from axsim.show.plots import sweep_picture
from axsim.study.objective import Goal

KEY = "tenants.eye.arrivals.fps"
OTHER = "tenants.eye.priority"
NAME = "partitions.one"


def frame(*keys: dict[str, Any]) -> pd.DataFrame:
    rows = [
        {
            "chip": "ax650n", "variant": "s", "scenario": "s", **key, "error": None,
            "eye.latency_p95_ms": 5.0 + place, "eye.first_token_p95_ms": None,
            "talk.latency_p95_ms": 900.0, "talk.first_token_p95_ms": 300.0 + 100 * place,
        }
        for place, key in enumerate(keys)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def curves(axes: Any) -> dict[str, list[float]]:
    return {
        line.get_label(): list(line.get_ydata())
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


def test_what_tenants_are_judged_by_over_the_key() -> None:
    found = frame({KEY: 10}, {KEY: 30}, {KEY: 20})
    axes = sweep_picture(found, {KEY: [10, 30, 20]}).axes[0]
    assert axes.get_xlabel() == KEY
    assert axes.get_yscale() == "log"
    assert curves(axes) == {
        "talk.first_token_p95_ms": [300.0, 500.0, 400.0], "eye.latency_p95_ms": [5.0, 7.0, 6.0],
    }  # fmt: skip


def test_a_goals_column_its_limit_and_the_best() -> None:
    found = frame({KEY: 10}, {KEY: 20}, {KEY: 30})
    goal = Goal.parse(f"max:{KEY}", "talk.first_token_p95_ms<=450")
    axes = sweep_picture(found, {KEY: [10, 20, 30]}, goal).axes[0]
    assert axes.get_ylabel().startswith("talk.first_token_p95_ms")
    ring = next(line for line in axes.lines if line.get_label() == "best")
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([20], [400.0])
    assert [text.get_text() for text in axes.texts] == ["<= 450"]


def test_other_keys_are_curves_and_names_are_places() -> None:
    found = frame(*({KEY: fps, NAME: mode} for fps in (1, 2) for mode in ("NPU1", "NPU2")))
    vary = {KEY: [1, 2], NAME: ["NPU1", "NPU2"]}
    found_curves = curves(sweep_picture(found, vary, Goal.parse("eye.latency_p95_ms")).axes[0])
    assert found_curves == {"one=NPU1": [5.0, 7.0], "one=NPU2": [6.0, 8.0], "best": [5.0]}
    named = frame({NAME: "NPU2"}, {NAME: "NPU1"})
    axes = sweep_picture(named, {NAME: ["NPU2", "NPU1"]}).axes[0]
    assert list(axes.lines[0].get_xdata()) == ["NPU2", "NPU1"]


def test_two_numbers_are_a_map() -> None:
    found = frame(*({KEY: fps, OTHER: rank} for fps in (1, 2) for rank in (0, 1)))
    axes = sweep_picture(found, {KEY: [1, 2], OTHER: [0, 1]}).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (KEY, OTHER)
    assert "ring: least talk.first_token_p95_ms" in axes.get_title()
    assert "best: 300.0" in [text.get_text() for text in axes.texts]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InputError, match="no key varies"):
        sweep_picture(frame({KEY: 1}), {KEY: [1]})
    silent = frame({KEY: 1}, {KEY: 2}).drop(columns=["eye.latency_p95_ms", "talk.latency_p95_ms"])
    silent["talk.first_token_p95_ms"] = None
    with pytest.raises(InputError, match="no request was answered"):
        sweep_picture(silent, {KEY: [1, 2]})
    many = frame(*({KEY: fps, NAME: str(name)} for fps in (1, 2) for name in range(7)))
    with pytest.raises(InputError, match="14 curves are more than can be told apart"):
        sweep_picture(many, {KEY: [1, 2], NAME: [str(name) for name in range(7)]})
