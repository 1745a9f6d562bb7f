"""Tenants on one chip: what theory says of their queues, and what is conserved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import axsim
from axsim.spec.chip import load_chip
from axsim.system.usage import program_bytes
from tests.system.shared import CHIP, ONE, TURNS, TWO, run, scenario, tiny, undisturbed

AX630C = load_chip("ax630c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenarios")


def test_one_tenant_alone_has_the_numbers_of_a_run(folder: Path) -> None:
    found = scenario(folder, {"npu": "NPU3"}, model=tiny({"every_ms": 50}))
    result = run(found)["model"]
    path = folder / "tiny.yaml"
    row = axsim.run(path, CHIP, variants=["u8"], timing_only=True)[0]
    measures = result.measures
    names = {
        "first_token_ms": "image_to_first_token_ms", "ttft_ms": "ttft_ms", "token_ms": "token_ms",
    }  # fmt: skip
    for measure, metric in names.items():
        value = row.predictions[metric].value
        assert measures[measure].least == measures[measure].greatest == value
    assert measures["latency_ms"].greatest == undisturbed(found, "model").ms
    assert measures["wait_ms"].greatest == 0


@pytest.mark.parametrize(("name", "chip"), [("ax650n", "ax650n"), ("ax630c", "ax630c")])
def test_so_has_a_shipped_model(name: str, chip: str, folder: Path) -> None:
    """With other events of SimPy between its own, to the last bit."""
    model = {
        "workload": "internvl2_1b", "variant": "224-u8", "set": {"request.new_tokens": 4},
        "arrivals": {"closed": {}},
    }  # fmt: skip
    clock = {"cpu": {"ms": 0.001, "every_ms": 7.3}}
    found = scenario(folder, {}, s=0.5, model=model, clock=clock)
    measures = run(found, load_chip(chip))["model"].measures
    keys = {"request.new_tokens": 4}
    row = axsim.run("internvl2_1b", chip, variants=["224-u8"], overrides=keys, timing_only=True)[0]
    for measure, metric in (("ttft_ms", "ttft_ms"), ("token_ms", "token_ms")):
        assert measures[measure].least == row.predictions[metric].value


def test_two_tenants_by_hand(folder: Path) -> None:
    """On one partition, asking at the same time, invocations alternate: a network of one call
    waits for the other's, whose second request finds it gone."""
    network = {
        "workload": str(network_file()),
        "arrivals": {"csv": str(csv(folder, "a.csv", "ms\n0\n"))},
    }
    other = {**network, "arrivals": {"csv": str(csv(folder, "b.csv", "ms\n0\n100\n"))}}
    found = scenario(folder, ONE, first=network, second=other)
    result = run(found)
    alone = undisturbed(found, "first").ms
    assert result["first"].measures["latency_ms"].greatest == alone
    second = result["second"].measures["latency_ms"]
    assert second.greatest == pytest.approx(2 * alone)
    assert second.least == pytest.approx(alone)
    assert result["first"].measures["wait_ms"].greatest == 0


def network_file() -> Path:
    from axsim.spec.descriptor import data_folder

    return data_folder("measurements") / "onnx" / "squeezenet1_1.onnx"


def csv(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_mean_wait_is_that_of_an_m_d_1_queue(folder: Path) -> None:
    """Poisson arrivals, one server, equal services (Pollaczek and Khinchine): rho D / 2(1 - rho).
    The tenant serves one request at a time, so that its queue is the one of the formula."""
    network = {"workload": str(network_file()), "arrivals": {"fps": 1}}
    service_ms = undisturbed(scenario(folder, model=network), "model").ms
    rho, requests = 0.6, 3000
    rate = rho / service_ms * 1e3
    model = {**network, "arrivals": {"poisson_per_s": rate}}
    found = scenario(folder, seed=3, s=requests / rate, model=model)
    wait = run(found)["model"].measures["wait_ms"]
    assert wait.count == pytest.approx(requests, rel=0.05)
    # the standard error of a mean of dependent waits is about 5 % here
    assert wait.mean == pytest.approx(rho * service_ms / 2 / (1 - rho), rel=0.12)


def test_littles_law(folder: Path) -> None:
    """Requests present on average are the rate times the mean latency: counted at arrivals and
    ends on the one side, taken from the requests' own durations on the other."""
    found = scenario(
        folder, TWO, s=0.15, one=tiny({"poisson_per_s": 100}, partition="one"),
        other=tiny({"closed": {"clients": 3}}, partition="other"),
    )  # fmt: skip
    result = run(found)
    for name in ("one", "other"):
        tenant = result[name]
        assert tenant.record is not None
        latency = tenant.measures["latency_ms"]
        rate = latency.count / result.outcome.ended_us  # per microsecond
        assert tenant.present == pytest.approx(rate * latency.mean * 1e3, rel=1e-9)
    assert result["other"].present == pytest.approx(3, rel=0.1)  # to the end of the last one


@pytest.mark.parametrize("chip", [CHIP, AX630C], ids=["beside each other", "by turns"])
def test_work_and_bytes_are_conserved(chip: Any, folder: Path) -> None:
    """Requests take what they take alone, whoever else is there: NPU time where memory is not what
    they meet at, bytes, and the host's time."""
    tenants = {
        "one": tiny({"poisson_per_s": 60}, partition="one"),
        "other": tiny({"poisson_per_s": 60}, partition="other"),
        "work": {"cpu": {"cores": 1, "ms": 2, "every_ms": 10}},
        "camera": {"camera": {"size": "640x480", "fps": 100, "pattern": "bursts"}},
        "display": {"display": "640x480@100 nv12"},
    }
    result = run(scenario(folder, TURNS, **tenants), chip)
    for name in ("one", "other"):
        request = undisturbed(result.scenario, name, chip)
        record, tenant = result[name].record, result[name]
        assert record is not None
        assert record.requests == record.finished > 40
        steps = [s for work in request.passes for s in work.steps * work.layers]
        host = sum(s.us * s.cores for s in steps if not hasattr(s, "subgraph"))
        size = sum(program_bytes(s.subgraph.program).size for s in steps if hasattr(s, "subgraph"))
        assert tenant.cpu_core_ms == pytest.approx(record.finished * host / 1e3)
        assert tenant.dram_bytes == pytest.approx(record.finished * size)
        busy = sum(d.duration_us for d in request.details if d is not None)
        assert tenant.npu_ms >= record.finished * busy / 1e3 * (1 - 1e-9)
    frame, ended_s = 640 * 480 * 1.5, result.outcome.ended_us / 1e6
    # the last one may be under way when the last request ends
    assert result["camera"].dram_bytes / frame == pytest.approx(100 * ended_s, abs=1)
    assert result["display"].dram_bytes == pytest.approx(frame * 100 * ended_s)
    assert result["work"].cpu_core_ms == pytest.approx(200 * ended_s, abs=2.1)
    for fractions in result.busy.values():
        assert max(fractions) <= 1 + 1e-9


def test_by_turns_a_busy_npu_is_halved(folder: Path) -> None:
    """Two that never stop, with pieces of different lengths: each has half of the time."""
    network = {"workload": str(network_file()), "arrivals": {"closed": {}}}
    isp = {"npu": {"ms": 10, "every_ms": 10, "turn_ms": 0.7}, "partition": "other"}
    found = scenario(folder, TURNS, one={**network, "partition": "one"}, isp=isp)
    result = run(found, AX630C)
    assert result.mean_busy["npu one"] == pytest.approx(0.5, rel=0.01)
    assert result.mean_busy["npu other"] == pytest.approx(0.5, rel=0.01)


def test_steady_traffic_leaves_the_rest(folder: Path) -> None:
    """A display of half of the bandwidth: a model has the time of a chip with half of it."""
    half = CHIP.sustained_gbps * 1e9 / 2
    found = scenario(folder, model=tiny({"every_ms": 50}), display={"bytes_per_s": half})
    slow = load_chip("ax650n", {"dram.peak_gbps": CHIP.dram.bandwidth_gbps / 2})
    latency = run(found)["model"].measures["latency_ms"]
    assert latency.greatest == pytest.approx(undisturbed(found, "model", slow).ms)
    assert latency.greatest > undisturbed(found, "model").ms


def test_a_burst_has_its_weight(folder: Path) -> None:
    """Beside an endless display of the NPU's it moves faster the heavier it is."""
    tenants = {
        "model": tiny({"closed": {}}, set={"build.kv_cache_len": 4000}),
        "camera": {"camera": {"size": "4000x2000", "fps": 60, "pattern": "bursts"}},
    }
    slowed = [
        run(
            scenario(folder, s=0.1, **tenants), load_chip("ax650n", {"dram.weights.camera": weight})
        )
        for weight in (0.1, 1.0, 10.0)
    ]
    means = [each["model"].measures["token_ms"].mean for each in slowed]
    assert means[0] < means[1] < means[2]


def test_smaller_priorities_go_first(folder: Path) -> None:
    def latencies(first: int, second: int) -> list[float]:
        network = {"workload": str(network_file()), "arrivals": {"closed": {"clients": 2}}}
        tenants = {name: {**network, "priority": p} for name, p in (("a", first), ("b", second))}
        result = run(scenario(folder, s=0.05, **tenants))
        return [result[name].measures["latency_ms"].mean for name in "ab"]

    fair, favoured = latencies(0, 0), latencies(1, 0)
    assert fair[0] == pytest.approx(fair[1], rel=0.05)
    assert favoured[1] < fair[1] < favoured[0]


def test_what_finds_no_place_is_dropped(folder: Path) -> None:
    service = undisturbed(scenario(folder, model=tiny({"fps": 1})), "model").ms
    every = {"every_ms": service / 2.5}  # the third after one that is served finds it free
    dropping, queueing = (
        run(scenario(folder, s=0.4, model=tiny({**every, "queue": queue})))["model"]
        for queue in (0, 2)
    )
    assert dropping.record is not None
    assert queueing.record is not None
    assert dropping.record.dropped == pytest.approx(dropping.record.requests * 2 / 3, rel=0.01)
    assert dropping.measures["wait_ms"].greatest == 0
    assert queueing.record.most_waiting == 2
    assert queueing.record.queued == queueing.record.finished - 1  # all but the first
    assert dropping.record.queued == 0
    assert queueing.measures["wait_ms"].greatest == pytest.approx(2 * service, rel=0.4)


def test_several_at_a_time(folder: Path) -> None:
    """Two processes of a model that waits for the host between invocations do more than one."""
    single, double = (
        run(scenario(folder, s=0.2, model=tiny({"every_ms": 0.3, "queue": 0}, parallel=n)))["model"]
        for n in (1, 2)
    )
    assert 1.05 < double.per_s / single.per_s <= 2


def test_one_after_the_other(folder: Path) -> None:
    found = scenario(
        folder, first=tiny({"every_ms": 20}), then=tiny({"after": "first"}, deadline_ms=0.001)
    )
    result = run(found)
    first, then = result["first"], result["then"]
    assert first.record is not None
    assert then.record is not None
    assert then.record.requests == first.record.finished == then.record.late
    chain = then.measures["chain_ms"]
    both = first.measures["latency_ms"].mean + then.measures["latency_ms"].mean
    assert chain.mean == pytest.approx(both)
    assert "chain_ms" not in first.measures


def test_times_and_lengths_from_a_file(folder: Path) -> None:
    text = "ms,prompt_tokens,new_tokens\n5,,\n20,9,2\n40,30,\n"
    way = {"csv": str(csv(folder, "lengths.csv", text)), "start_ms": 10}
    result = run(scenario(folder, model=tiny(way)), window_s=(0.0, 1.0))
    served = result.outcome.window
    assert [each.job.arrived_us for each in served] == [15e3, 30e3, 50e3]
    assert [len(each.timeline.arrivals_ms) for each in served] == [5, 2, 5]
    prefill = [each.timeline.spans for each in served]
    assert [sum(part.stage == "prefill" for part in spans) for spans in prefill] == [3, 2, 4]


@settings(max_examples=6, deadline=None)
@given(
    st.integers(0, 99), st.floats(1, 60), st.floats(1, 500), st.sampled_from(["steady", "bursts"])
)
def test_memory_traffic_makes_no_model_faster(
    tmp_path_factory: pytest.TempPathFactory, seed: int, fps: float, rate: float, pattern: str
) -> None:
    """For one model with a first-in-first-out queue and arrivals of its own, whatever crosses the
    memory: no request ends earlier. It is no law for several models: in which order invocations
    reach a partition depends on when they ask, and delaying one can let another go first."""
    folder = tmp_path_factory.getbasetemp()
    model = tiny({"poisson_per_s": rate})
    camera = {"camera": {"size": "3000x2000", "fps": fps, "pattern": pattern}}
    options = {"overload": True, "window_s": (0.0, 10.0)}
    alone = run(scenario(folder, s=0.05, seed=seed, model=model), **options)
    company = run(scenario(folder, s=0.05, seed=seed, model=model, camera=camera), **options)
    pairs = list(zip(alone.outcome.window, company.outcome.window, strict=True))
    for lonely, shared in pairs:
        assert lonely.job == shared.job
        assert shared.latency_ms >= lonely.latency_ms * (1 - 1e-9)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 99), st.floats(100, 800), st.floats(100, 800))
def test_models_of_one_call_make_each_other_no_faster(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rate: float, other: float
) -> None:
    """On one partition, with equal priorities: first in, first out, nothing overtakes."""
    folder = tmp_path_factory.getbasetemp()
    network = {"workload": str(network_file())}
    tenants = {
        name: {**network, "arrivals": {"poisson_per_s": per_s}}
        for name, per_s in (("a", rate), ("b", other))
    }
    options = {"overload": True, "window_s": (0.0, 10.0)}
    both = run(scenario(folder, s=0.04, seed=seed, **tenants), **options)
    for name, tenant in tenants.items():
        lonely = run(scenario(folder, s=0.04, seed=seed, **{name: tenant}), **options)
        found = [each for each in both.outcome.window if each.name == name]
        for alone, shared in zip(lonely.outcome.window, found, strict=True):
            assert alone.job == shared.job
            assert shared.latency_ms >= alone.latency_ms * (1 - 1e-9)


def test_nobody_waits_for_the_end_of_an_empty_second(folder: Path) -> None:
    """Background alone is simulated to the end of the time; so is a model that nobody asks."""
    result = run(scenario(folder, tracker={"cpu": {"ms": 1, "every_ms": 100}}))
    assert result.outcome.ended_us == pytest.approx(1e6)
    assert not result.models
    idle = run(scenario(folder, model=tiny({"every_ms": 10, "start_ms": 5000})))
    assert idle["model"].measures == {}


def test_equal_seeds_are_equal_results(folder: Path) -> None:
    found = scenario(
        folder, s=0.3, model=tiny({"poisson_per_s": 100}), other=tiny({"poisson_per_s": 9})
    )
    parts: list[float] = []
    first, again = run(found), run(found, on_progress=parts.append)
    assert first.to_dict() == again.to_dict()
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert run(found, seed=1).to_dict() != first.to_dict()
    alone = run(found.only(("model",)))
    arrived = first["model"].record, alone["model"].record
    assert arrived[0] is not None
    assert arrived[1] is not None
    assert arrived[0].requests == arrived[1].requests  # whoever else is there
