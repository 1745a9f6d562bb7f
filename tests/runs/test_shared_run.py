"""Scenarios from Python."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import axsim
from axsim.runs.shared_results import scenario_columns
from axsim.show.scenario_trace import scenario_events
from axsim.show.tenant_tables import busy_table
from axsim.spec.descriptor import data_folder
from axsim.study.replications import estimate
from tests.system.shared import TWO, run, scenario, tiny


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> axsim.ScenarioResult:
    folder: Path = tmp_path_factory.mktemp("shared")
    found = scenario(
        folder, TWO, s=0.06,
        one=tiny({"poisson_per_s": 90}, partition="one", deadline_ms=8),
        other=tiny({"closed": {"clients": 2}}, partition="other"),
        camera={"camera": {"size": "640x480", "fps": 100, "pattern": "bursts"}},
        display={"display": "640x480@60 nv12"},
        work={"cpu": {"ms": 1, "every_ms": 10}},
    )  # fmt: skip
    return axsim.simulate(found, "ax650n", costs=True, window_s=(0.02, 0.04))


def test_slowdowns_and_costs_are_of_company(result: axsim.ScenarioResult) -> None:
    for name in ("one", "other"):
        slowdown = result[name].slowdown
        assert slowdown is not None
        assert slowdown > 1
    assert result["camera"].slowdown is None
    assert result.costs is not None
    assert set(result.costs) == {
        (of, to) for of in result.scenario.tenants for to in ("one", "other") if of != to
    }
    assert result.costs["work", "other"] > 0.001
    assert min(result.costs.values()) > -0.05  # it is no law that nobody gains


def test_alone_is_what_a_chip_of_ones_own_gives(result: axsim.ScenarioResult) -> None:
    alone = run(result.scenario.only(("one",)))["one"].measures["latency_ms"].mean
    assert result["one"].measures["latency_ms"].mean / alone == result["one"].slowdown


def test_what_tenants_take_is_all_that_is_taken(tmp_path: Path) -> None:
    crowd = {"one": tiny({"closed": {"clients": 3}}), "work": {"cpu": {"ms": 1, "every_ms": 10}}}
    found = axsim.simulate(scenario(tmp_path, s=0.004, **crowd), "ax650n")
    assert found.outcome.ended_us > 1.2 * found.outcome.usage.window_us * 240  # answered later
    for name, busy in found.mean_busy.items():
        assert busy > 0
        assert sum(found.busy_by_tenant(name).values()) == pytest.approx(busy)
    shown = next(iter(busy_table(found).columns[3].cells))
    assert shown == f"one {found.mean_busy['npu npu']:.0%}"


def test_rows_have_the_columns_that_were_announced(result: axsim.ScenarioResult) -> None:
    assert list(result.to_row()) == scenario_columns(result.scenario, False)
    frame = result.to_pandas()
    assert list(frame["tenant"]) == ["one", "other"]
    assert frame["latency_p50_ms"].notna().all()
    assert frame["chain_p50_ms"].isna().all()


def test_a_sweep_is_the_same_simulation(result: axsim.ScenarioResult) -> None:
    frame = axsim.sweep(result.scenario, "ax650n", {"seed": [0, 1]}, jobs=1)
    assert frame["error"].isna().all()
    row = result.to_row()
    for column in ("one.latency_p95_ms", "other.slowdown", "busy.dram", "memory_bytes"):
        assert frame[column][0] == row[column]
    assert frame["one.latency_p95_ms"][0] != frame["one.latency_p95_ms"][1]
    best = axsim.best(frame, "min:one.latency_p95_ms")
    assert len(best) == 2
    with pytest.raises(axsim.InputError, match="without variants"):
        axsim.sweep(result.scenario, "ax650n", {"seed": [0]}, variants=["u8"], jobs=1)


def test_the_trace_has_a_process_for_each_tenant(result: axsim.ScenarioResult) -> None:
    events = list(scenario_events(result))
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert list(names.values()) == list(result.scenario.tenants)
    rows: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] != "X":
            continue
        name, start, end = names[event["pid"]], event["ts"], event["ts"] + event["dur"]
        assert start <= 0.04e6
        assert end >= 0.02e6
        if event["tid"] < 3 and name != "other":  # two clients of one tenant overlap
            rows.setdefault((event["pid"], event["tid"]), []).append((start, end))
    for spans in rows.values():
        spans.sort()
        for before, after in itertools.pairwise(spans):
            assert after[0] >= before[1] - 1e-3
    kinds = {names[e["pid"]]: e["name"] for e in events if e["ph"] == "X" and e["tid"] < 3}
    assert kinds["camera"] == "camera"
    assert kinds["work"] == "cpu"
    assert {e["name"] for e in events if e["ph"] == "X"} >= {"request", "prefill", "vision"}
    counters = [e for e in events if e["ph"] == "C" and names[e["pid"]] == "display"]
    rate = 640 * 480 * 1.5 * 60 / 1e9
    assert counters[0]["args"]["GB/s"] == pytest.approx(rate, abs=1e-3)


def test_without_a_chip_nothing_is_simulated(result: axsim.ScenarioResult) -> None:
    with pytest.raises(axsim.InputError, match="chip: missing"):
        axsim.simulate(result.scenario)


def test_intervals_of_means() -> None:
    """Student's t for two-sided 90 %: 2.92 with two degrees of freedom."""
    found = estimate("a", "x", [1.0, 2.0, 6.0])
    assert found.mean == 3
    deviation = ((4 + 1 + 9) / 2) ** 0.5
    assert found.half_width == pytest.approx(2.92 * deviation / 3**0.5, rel=0.01)
    assert estimate("a", "x", [4.0]).half_width == 0


@pytest.mark.slow
def test_memory_is_bounded_however_long_it_takes(tmp_path: Path) -> None:
    """Past the values that percentiles keep, thrice the requests take no more."""
    import tracemalloc

    network = data_folder("measurements") / "onnx" / "squeezenet1_1.onnx"
    model = {"workload": str(network), "arrivals": {"poisson_per_s": 1000.0}}

    def peak(seconds: float) -> float:
        tracemalloc.start()
        run(scenario(tmp_path, s=seconds, model=model))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    short, long = peak(5), peak(12)
    assert long < 1.05 * short
