"""Scenarios as they are written, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import axsim
from axsim.errors import InputError
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import load_mapping, shipped
from axsim.spec.duration import seconds, span
from axsim.spec.scenario import Scenario, load_scenario
from axsim.spec.tenant import FRAMES, PIXEL_BYTES, WAYS, Frames, PixelFormat
from axsim.spec.workload import load_workload
from axsim.system.admission import admit

MODEL: dict[str, Any] = {"workload": "internvl2_1b", "arrivals": {"fps": 1}}


def described(**tenants: Any) -> Scenario:
    return load_mapping(Scenario, {"name": "s", "tenants": tenants}, "s.yaml")


def complaint(**tenants: Any) -> str:
    with pytest.raises(InputError) as error:
        described(**tenants)
    return str(error.value)


@pytest.mark.parametrize("name", shipped("scenario"))
def test_what_is_shipped_fits_its_chip(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.chip is not None
    assert scenario.name == name
    admitted = admit(scenario, load_chip(scenario.chip))
    assert not admitted.overloaded


def test_there_are_four_and_they_are_told_apart() -> None:
    assert list(shipped("scenario")) == [
        "camera_answers", "chat", "three_models", "voice_assistant",
    ]  # fmt: skip


def test_frames_in_short_and_in_full() -> None:
    short = described(camera={"camera": "1920x1080@30 nv12"}).tenants["camera"].frames
    full = Frames(size="1920x1080", fps=30.0, format="nv12")
    assert short == full
    assert full.bytes_per_s == 1920 * 1080 * 1.5 * 30
    assert Frames(size="2x2", fps=1.0, format="raw10", passes=3).frame_bytes == 4 * 1.25 * 3
    assert set(PIXEL_BYTES) == set(get_args(PixelFormat))
    assert "1920x1080@30 nv12" in complaint(camera={"camera": "1080p"})


@pytest.mark.parametrize("kind", FRAMES)
def test_only_steady_frames_are_steady(kind: str) -> None:
    frames = {"size": "10x10", "fps": 2}
    assert described(a={kind: frames}).tenants["a"].steady_bytes_per_s == 300
    bursts = {kind: {**frames, "pattern": "bursts"}}
    assert described(a=bursts).tenants["a"].steady_bytes_per_s == 0


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        ({}, "found nothing"),
        ({**MODEL, "camera": "2x2@1 nv12"}, "found workload and camera"),
        ({"workload": "internvl2_1b"}, "arrivals: missing"),
        ({**MODEL, "arrivals": {}}, "arrivals: found nothing"),
        ({**MODEL, "arrivals": {"fps": 1, "every_ms": 3}}, "found every_ms and fps"),
        ({**MODEL, "arrivals": {"closed": {}, "queue": 1}}, "clients wait for their answers"),
        ({**MODEL, "arrivals": {"fps": 0}}, "a number greater than 0"),
        ({**MODEL, "arrivals": {"fps": 1, "start_ms": -1}}, "a number of at least 0"),
        ({**MODEL, "arrivals": {"after": "b"}}, "there is no model 'b'"),
        ({**MODEL, "arrivals": {"after": "a"}}, "in a circle"),
        ({**MODEL, "partition": "isp"}, "there is no partition 'isp'"),
        ({**MODEL, "parallel": 2, "arrivals": {"closed": {}}}, "each client has one request"),
        ({"camera": "2x2@1 nv12", "partition": "npu"}, "partition: has no effect on camera"),
        ({"npu": {"ms": 1, "every_ms": 2}, "deadline_ms": 3}, "deadline_ms: has no effect on npu"),
        ({"cpu": {"ms": 3, "every_ms": 2}}, "it would never end before it comes again"),
        ({"camera": {"size": "big", "fps": 1}}, "camera.size"),
    ],
)
def test_bad_tenants(tenant: dict[str, Any], expected: str) -> None:
    found = complaint(a=tenant)
    assert expected in found
    assert "tenants.a" in found


def test_several_partitions_want_to_be_named() -> None:
    document = {"name": "s", "partitions": {"x": "NPU1", "y": "NPU1"}, "tenants": {"a": MODEL}}
    with pytest.raises(InputError, match=r"tenants\.a\.partition: missing; allowed: x, y"):
        load_mapping(Scenario, document, "s")


def write(folder: Path, **tenants: Any) -> Path:
    path = folder / "mine.yaml"
    document = {"name": "mine", "chip": "ax650n", "tenants": tenants}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def test_faults_of_a_workload_are_told_at_the_tenant(tmp_path: Path) -> None:
    path = write(tmp_path, a={**MODEL, "set": {"build.vision_dtype": "u61"}})
    with pytest.raises(InputError) as error:
        load_scenario(path)
    text = str(error.value)
    assert "mine.yaml:" in text
    assert "tenants.a.set.build.vision_dtype: found 'u61'; did you mean 'u16'?" in text
    with pytest.raises(InputError, match="no workload is named 'internvl2_1c'"):
        load_scenario(write(tmp_path, a={**MODEL, "workload": "internvl2_1c"}))


def test_files_lie_where_the_scenario_says(tmp_path: Path, monkeypatch: Any) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "times.csv").write_text("ms\n0\n")
    source = Path("workloads/internvl2_1b.yaml").resolve()
    (below / "model.yaml").write_text(source.read_text())
    model = {"workload": "model.yaml", "arrivals": {"csv": "times.csv"}}
    path = write(below, a=model)
    monkeypatch.chdir(tmp_path)
    tenant = load_scenario(path).tenants["a"]
    assert tenant.workload == str(Path("below/model.yaml"))
    assert tenant.arrivals is not None
    assert tenant.arrivals.csv == str(Path("below/times.csv"))


def test_keys_of_workloads_are_set_one_by_one() -> None:
    keys = {
        "tenants.answer.set.build.vision_dtype": "u16",
        "tenants.answer.set.request.new_tokens": 3,
        "tenants.detector.arrivals.fps": 7,
    }
    scenario = load_scenario("camera_answers", keys)
    assert scenario.tenants["detector"].arrivals is not None
    assert scenario.tenants["detector"].arrivals.per_s == 7
    workload = scenario.workload("answer")
    assert (workload.build.vision_dtype, workload.new_tokens) == ("u16", 3)


def refused(chip: str = "ax650n", partitions: Any = None, **tenants: Any) -> str:
    document = {"name": "s", "partitions": partitions or {}, "tenants": tenants}
    with pytest.raises(InputError) as error:
        admit(load_mapping(Scenario, document, "s"), load_chip(chip))
    return str(error.value)


def test_partitions_that_a_chip_does_not_have() -> None:
    assert "ax630c has no NPU mode 'NPU3'" in refused("ax630c", {"x": "NPU3"}, a=MODEL)
    two = {"x": "NPU2", "y": "NPU2"}
    model = {**MODEL, "partition": "x"}
    assert "partitions: x: 2, y: 2 resource groups overlap" in refused("ax650n", two, a=model)
    three = {"x": "NPU1", "y": "NPU1", "z": "NPU1"}
    assert "overlap (ax630c has 1)" in refused("ax630c", three, a=model)
    both = {"x": "NPU2", "y": "NPU1"}
    assert "overlap (ax630c has 1)" in refused("ax630c", both, a=model)
    built = {**MODEL, "set": {"build.npu_mode": "NPU1"}}
    assert "found NPU1, on a partition of NPU3" in refused(a=built)


@pytest.mark.parametrize(
    ("chip", "partitions", "by_turns"),
    [
        ("ax650n", {"x": "NPU1", "y": "NPU1", "z": "NPU1"}, False),
        ("ax650n", {"x": "NPU2", "y": "NPU1"}, False),
        ("ax650n", {"x": "NPU3"}, False),
        ("ax630c", {"x": "NPU2"}, False),
        ("ax630c", {"x": "NPU1"}, False),
        ("ax630c", {"x": "NPU1", "y": "NPU1"}, True),
    ],
)
def test_partitions_that_chips_have(chip: str, partitions: dict[str, str], by_turns: bool) -> None:
    assert load_chip(chip).by_turns(partitions) is by_turns


def test_memory_is_refused_with_the_sum() -> None:
    big = {**MODEL, "memory_bytes": 5 * 2**30}
    text = refused(a=big, b=big, camera={"camera": "2x2@1 nv12", "memory_bytes": 2**20})
    assert "do not fit into memory: a 6" in text
    assert "+ camera 1 = 12" in text
    assert "up to 8192 MiB" in text


def test_what_can_never_be_stable_is_told_with_the_bottleneck() -> None:
    often = {**MODEL, "arrivals": {"fps": 5}}
    text = refused(a=often)
    assert "can never be stable: partition npu" in text
    assert "tenant a" in text
    display = {"display": "7680x4320@300 argb8888"}
    text = refused(a=MODEL, screen=display)
    assert "the DRAM 1" in text
    assert "screen" in text
    assert "up to 8, ax650n's" in refused(a={"cpu": {"cores": 9, "ms": 1, "every_ms": 2}})
    busy = {name: {"cpu": {"cores": 5, "ms": 9, "every_ms": 10}} for name in "ab"}
    assert "the CPU 112% busy (a 56%, b 56%)" in refused(**busy)
    npu = {name: {"npu": {"ms": 6, "every_ms": 10}} for name in "ab"}
    assert "partition npu 120% busy (a 60%, b 60%)" in refused(**npu)
    # those that give up, or wait for their answers, never ask for too much
    for arrivals in ({"fps": 5, "queue": 0}, {"closed": {"clients": 9}}):
        scenario = described(a={**MODEL, "arrivals": arrivals})
        assert not admit(scenario, load_chip("ax650n")).overloaded
    found = admit(described(a=often), load_chip("ax650n"), overload=True).overloaded
    assert {load.name for load in found} >= {"partition npu", "tenant a"}


def test_lengths_of_time() -> None:
    texts = {"60s": 60, "500ms": 0.5, "5 min": 300, "1h": 3600, "2": 2, "1e3ms": 1}
    assert {text: seconds(text, "") for text in texts} == texts
    assert span("0..1.5s", "") == (0, 1.5)
    assert span("100ms..2min", "") == (0.1, 120)
    for bad in ("", "soon", "-1s", "0s", "1d"):
        with pytest.raises(InputError, match="such as 60s"):
            seconds(bad, "--duration")
    for bad in ("1s", "2s..1s", "a..b"):
        with pytest.raises(InputError, match=r"1s\.\.2s"):
            span(bad, "--window")


def test_every_way_of_coming_has_a_test() -> None:
    """tests/system/test_company.py and test_chat.py execute each of them."""
    text = "".join(
        (Path(__file__).parents[1] / "system" / name).read_text()
        for name in ("test_company.py", "test_chat.py")
    )
    assert all(f'"{way}":' in text for way in WAYS)


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (
            load_workload,
            "scenarios/chat.yaml",
            "chat.yaml:9: tenants: says that this is",
        ),
        (load_scenario, "workloads/qwen3_0_6b.yaml", "model: says that this is a workload"),
        (load_chip, "workloads/qwen3_0_6b.yaml", "says that this is a workload; allowed: a chip"),
    ],
)
def test_a_file_of_another_kind(load: Any, name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(Path(axsim.__file__).parent.parent / name)
    (problem,) = caught.value.problems
    assert message in str(problem)
