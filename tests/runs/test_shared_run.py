"""Scenarios from Python."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest

import axsim
from axsim.runs.shared_no_effect import idle_keys
from axsim.runs.shared_results import scenario_columns
from axsim.runs.shared_run import prepared, simulated
from axsim.show.scenario_trace import scenario_events
from axsim.show.tenant_tables import busy_table
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import data_folder
from axsim.study.replications import estimate
from axsim.system.energy import energy_mj, work_of
from tests.system.shared import TWO, run, scenario, tiny, undisturbed


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


ENERGY = {
    "chip.power.idle_w": 2.0,
    "chip.power.conv_w": 0.5,
    "chip.power.teng_w": 0.25,
    "chip.power.sdma_w": 0.125,
    "chip.power.cpu_w": 0.75,
    "chip.power.dram_pj_per_byte": 50.0,
    "chip.power.mac_pj": {"int8": 0.4, "bf16": 2.0},
}


def test_tenants_idle_chip_and_background_are_all_of_the_energy(
    result: axsim.ScenarioResult,
) -> None:
    found = simulated(*prepared(result.scenario, "ax650n", ENERGY), alone=False)
    whole = found.energy
    assert whole is not None
    assert result.energy is None
    tenants = [each.energy for each in found]
    assert all(each is not None and each.joules > 0 for each in tenants)
    joules = sum(each.joules for each in tenants if each is not None)
    seconds = found.outcome.ended_us / 1e6
    assert whole.total_j == pytest.approx(joules + 2.0 * seconds)
    assert whole.total_j == whole.idle_j + whole.models_j + whole.background_j
    assert whole.mean_w == whole.total_j / seconds
    assert whole.not_counted == ()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"dram_pj_per_byte": 1e3}, lambda usage: sum(m.total for m in usage.dram.values()) * 1e-9),
        ({"cpu_w": 3.0}, lambda usage: 3e-6 * sum(m.total for m in usage.cpu.values())),
    ],
)
def test_energy_is_of_what_the_meters_count(keys, expected, result: axsim.ScenarioResult) -> None:  # type: ignore[no-untyped-def]
    """Bytes and cores' time are counted a second time, as they are used."""
    overrides = {"chip.power.idle_w": 0.0, **{f"chip.power.{k}": v for k, v in keys.items()}}
    found = simulated(*prepared(result.scenario, "ax650n", overrides), alone=False)
    assert found.energy is not None
    assert found.energy.total_j == pytest.approx(expected(found.outcome.usage), rel=1e-9)


def test_a_model_alone_draws_what_a_run_says(tmp_path: Path) -> None:
    found = scenario(tmp_path, {"npu": "NPU3"}, model=tiny({"every_ms": 50}))
    energy = simulated(*prepared(found, "ax650n", ENERGY))["model"].energy
    run = axsim.run(
        tmp_path / "tiny.yaml", "ax650n", variants=["u8"], overrides=ENERGY, timing_only=True
    )
    predictions = run[0].predictions
    assert energy is not None
    assert energy.image_mj == pytest.approx(predictions["energy_per_image_mj"].value, rel=1e-12)
    assert energy.token_mj == pytest.approx(predictions["energy_per_token_mj"].value, rel=1e-12)
    alone = undisturbed(found, "model", load_chip("ax650n", _of_chip(ENERGY)))
    assert alone.power is not None
    assert energy.request_mj == pytest.approx(energy_mj(work_of(alone), alone.ms, alone.power))


def _of_chip(keys: dict[str, object]) -> dict[str, object]:
    return {key.removeprefix("chip."): value for key, value in keys.items()}


def test_energy_is_in_rows_and_sweeps_where_the_block_is(tmp_path: Path) -> None:
    crowd = {"one": tiny({"every_ms": 5}), "isp": {"npu": {"ms": 1, "every_ms": 10}}}
    given = scenario(tmp_path, s=0.02, **crowd)
    found = simulated(*prepared(given, "ax650n", ENERGY))
    assert list(found.to_row()) == scenario_columns(found.scenario, True)
    assert found.to_dict()["energy"]["not_counted"] == ["isp"]
    assert found.to_pandas()["energy_per_token_mj"].notna().all()
    assert "energy" not in simulated(*prepared(given, "ax650n", {})).to_dict()
    frame = axsim.search(
        given, "ax650n", {"tenants.one.arrivals.every_ms": [4, 5]}, "one.energy_per_token_mj",
        overrides=ENERGY, jobs=1,
    )  # fmt: skip
    assert set(frame["energy.total_j"]) > {found.to_row()["energy.total_j"]}
    with pytest.raises(axsim.InputError, match=r"needs chip\.power, which no chip here has"):
        axsim.search(given, "ax650n", {"seed": [1, 2]}, "one.energy_per_token_mj", jobs=1)


def test_requests_that_never_come_are_told(tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text("ms\n1000\n2000\n")
    (tmp_path / "some.csv").write_text("ms\n1\n2000\n3000\n")
    found = scenario(
        tmp_path, s=0.02,
        late=tiny({"csv": str(tmp_path / "late.csv")}),
        some=tiny({"csv": str(tmp_path / "some.csv")}),
        next=tiny({"after": "late"}),
        start=tiny({"fps": 10, "start_ms": 20}),
        rare=tiny({"poisson_per_s": 1e-9}),
        there=tiny({"fps": 60, "start_ms": 19}),
    )  # fmt: skip
    assert simulated(*prepared(found, "ax650n", {}), alone=False).notes == (
        "late is asked nothing: its first request comes at 1 s, the run ends at 0.02 s",
        f"some: of the 3 requests of {tmp_path}/some.csv, 2 would come after the end of the run at "
        "0.02 s",
        "start is asked nothing: its first request comes at 0.02 s, the run ends at 0.02 s",
        "next was asked nothing in 0.02 s: late has answered nothing",
        "rare was asked nothing in 0.02 s, with 1e-09 requests per second on average",
    )


NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window_s", (-1, 1)), ("window_s", (2, 1)), ("window_s", (0, NAN)), ("window_s", 5),
        ("window_s", "ab"), ("window_s", (0,)), ("window_s", (True, 2)), ("window_s", None),
        ("window_s", (0, float("inf"))), ("costs", "x"), ("alone", 3), ("overload", None),
        ("on_progress", 3), ("overrides", [("seed", 1)]), ("overrides", {1: 1}), ("overrides", 3),
        ("duration_s", NAN), ("duration_s", 0), ("duration_s", "x"), ("duration_s", True),
        ("seed", -1), ("seed", 1.5), ("seed", True), ("chip", 5), ("chip", ["ax650n"]),
    ],
)  # fmt: skip
def test_every_argument_is_checked(name: str, value: object, result: axsim.ScenarioResult) -> None:
    arguments: dict[str, Any] = {"chip": "ax650n", name: value}
    with pytest.raises(axsim.InputError, match=name):
        axsim.simulate(result.scenario, **arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seeds", 0), ("seeds", -2), ("seeds", []), ("seeds", "ab"), ("seeds", [1, 1]),
        ("seeds", True), ("seeds", NAN), ("seeds", [1.5]), ("seeds", [-1]), ("seeds", 10**7),
        ("jobs", 0), ("jobs", -1), ("jobs", "x"), ("scheduler", 5), ("overrides", 3),
    ],
)  # fmt: skip
def test_so_is_every_argument_of_seeds(
    name: str, value: object, result: axsim.ScenarioResult
) -> None:
    arguments: dict[str, Any] = {"seeds": 2, name: value}
    with pytest.raises(axsim.InputError, match=name.removesuffix("s")):
        axsim.replicate(result.scenario, "ax650n", **arguments)


def test_seeds_are_for_what_is_at_random(tmp_path: Path) -> None:
    found = scenario(tmp_path, s=0.01, one=tiny({"every_ms": 5}))
    with pytest.raises(axsim.InputError, match="seeds: nothing here is at random"):
        axsim.replicate(found, "ax650n", 2, jobs=1)


def test_keys_without_effect_are_told(tmp_path: Path) -> None:
    crowd = {"one": tiny({"every_ms": 5}, partition="one"), "other": tiny({"closed": {}},
             partition="other")}  # fmt: skip
    found = scenario(tmp_path, TWO, s=0.02, **crowd)
    idle: dict[str, object] = {
        "seed": 4, "tenants.one.priority": 3, "tenants.one.arrivals.queue": 9,
        "tenants.one.set.request.seed": 2, "chip.dram.weights": {"camera": 2.0},
    }  # fmt: skip
    telling: dict[str, object] = {
        "tenants.other.deadline_ms": 3, "tenants.one.arrivals.every_ms": 4,
        "tenants.one.memory_bytes": 5, "chip.dram.peak_gbps": 11.0, "partitions.other": "NPU2",
        "tenants.other.set.request.new_tokens": 3,
    }  # fmt: skip
    assert idle_keys(found, ["ax650n"], {**idle, **telling}) == list(idle)
    vary = {"tenants.one.priority": [1, 2], "tenants.one.arrivals.every_ms": [4, 5]}
    assert idle_keys(found, ["ax650n"], {}, vary=vary) == ["tenants.one.priority"]
    assert idle_keys(found, ["ax650n"], {"tenants.one.priority": 0}) == []  # it is that anyway


def test_python_warns_of_keys_without_effect(tmp_path: Path) -> None:
    found = scenario(tmp_path, s=0.01, one=tiny({"every_ms": 5}))
    with pytest.warns(UserWarning, match="seed=3 has no effect here"):
        axsim.simulate(found, "ax650n", seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axsim.simulate(found, "ax650n", duration_s=0.02)
    with pytest.warns(UserWarning, match=r"tenants\.one\.priority has no effect here"):
        axsim.sweep(found, "ax650n", {"tenants.one.priority": [1, 2]}, jobs=1)


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
