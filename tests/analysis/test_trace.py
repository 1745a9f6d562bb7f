"""Traces against the trace-event format and against the run they show."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import defaultdict

import pytest

import axsim
from axsim.analysis.trace import COLOURS, trace_events, write_trace

KINDS = {"compute", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"}


@pytest.fixture(scope="module", params=["ax650n", "ax630c"])
def result(request) -> axsim.RunResult:
    names = ["224-u8", "448-u16"]
    return axsim.run("internvl2_1b", request.param, variants=names, timing_only=True)


@pytest.fixture(scope="module")
def events(result) -> list[dict]:
    return list(trace_events(result))


def test_every_event_has_the_fields_of_its_phase(events) -> None:
    needed = {
        "X": {"pid", "tid", "name", "ts", "dur"},
        "M": {"pid", "name", "args"},
        "C": {"pid", "name", "ts", "args"},
    }
    for event in events:
        assert needed[event["ph"]] <= event.keys()
        assert isinstance(event["pid"], int)
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0


def test_rows_and_processes_are_named(result, events) -> None:
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    for variant in ("224-u8", "448-u16"):
        stages = ("request", "vision", "prefill", "post", "decode", "decode post")
        for stage in stages:
            assert f"{variant}: {stage}" in processes.values()
    rows = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    used = {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"}
    assert used <= rows.keys()
    names = {engine.name for engine in result[0].stages.vision.program.engines}
    assert {"conv0"} <= names <= set(rows.values())


def test_no_row_is_used_twice_at_once(events) -> None:
    rows = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            rows[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in rows.values():
        spans.sort()
        for (_, end), (start, _) in itertools.pairwise(spans):
            assert start >= end - 1e-3


def test_tasks_carry_the_vendor_fields_kinds_and_colours(events) -> None:
    tasks = [event for event in events if "cat" in event]
    assert {event["cat"] for event in tasks} <= KINDS
    assert {"compute", "ld:param", "ld:input", "st:output"} <= {e["cat"] for e in tasks}
    for event in tasks:
        args = event["args"]
        assert {"label", "inputs", "outputs", "dur", "starts", "dep_by"} <= args.keys()
        assert event.get("cname") == COLOURS.get(event["cat"])
        assert all(0 <= other < args["id"] for other in args["dep_by"])
        assert event["name"].startswith(event["cat"][:3]) or event["cat"] == "compute"


def test_dependencies_end_before_their_dependents_begin(result) -> None:
    one = axsim.RunResult(result.workload, result.chip, result.variants[:1])
    ends: dict[int, float] = {}
    for event in trace_events(one):
        if event.get("cat") not in KINDS or event["pid"] != 2:
            continue
        args = event["args"]
        assert all(ends[other] <= event["ts"] + 1e-3 for other in args["dep_by"])
        ends[args["id"]] = event["ts"] + event["dur"]
    assert len(ends) == sum(1 for _ in result[0].stages.vision.slices())


def test_stages_stand_where_the_run_says(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        request = [e for e in events if e["pid"] == pids[f"{variant.name}: request"]]
        spans = {e["name"]: e for e in request if e["ph"] == "X" and e["tid"] == 1}
        first = spans["post"]["ts"] + spans["post"]["dur"]
        assert first == pytest.approx(variant.image_to_first_token_ms.value * 1e3, abs=1e-2)
        last = spans[f"token {variant.new_tokens}"]
        expected = variant.arrivals_ms[-1] * 1e3
        assert last["ts"] + last["dur"] == pytest.approx(expected, abs=1e-1)
        assert spans["vision encode"]["dur"] == pytest.approx(variant.vision_encode_ms.value * 1e3)


def test_bytes_of_loads_are_those_of_the_breakdown(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        for stage in ("vision", "prefill", "decode"):
            pid = pids[f"{variant.name}: {stage}"]
            loaded = sum(
                e["args"]["bytes"] for e in events if e["pid"] == pid and e.get("cat") == "ld:param"
            )
            found = next(each for each in variant.breakdown if each.name == stage)
            assert loaded == pytest.approx(found.dram_bytes["ld:param"], rel=1e-5)


def test_counters_stay_within_what_the_chip_has(result, events) -> None:
    chip = result[0].chip
    seen = set()
    for event in events:
        if event["ph"] == "C":
            seen.add(event["name"])
            ((unit, value),) = event["args"].items()
            limit = chip.sustained_gbps if unit == "GB/s" else chip.ocm_bytes / 1024
            assert 0 <= value <= limit * 1.001
    assert seen == {"DRAM bandwidth", "on-chip memory"}


def test_the_bandwidth_counter_integrates_to_the_bytes_moved(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        pid = pids[f"{variant.name}: vision"]
        rates = [
            (e["ts"], e["args"]["GB/s"])
            for e in events
            if e["pid"] == pid and e["name"] == "DRAM bandwidth"
        ]
        spans = itertools.pairwise(rates)
        moved = sum((end - start) * rate * 1e3 for (start, rate), (end, _) in spans)
        vision = next(each for each in variant.breakdown if each.name == "vision")
        assert moved == pytest.approx(vision.total_dram_bytes, rel=0.01)


def test_files_are_valid_json_and_small(tmp_path) -> None:
    result = axsim.run("internvl2_1b", "ax650n", timing_only=True)  # three times the engines
    packed = tmp_path / "t.json.gz"
    write_trace(result, packed)
    text = gzip.decompress(packed.read_bytes())
    assert len(text) < 50e6
    assert packed.stat().st_size < len(text) / 5
    document = json.loads(text)
    assert document["displayTimeUnit"] == "ns"
    one = axsim.RunResult(result.workload, result.chip, result.variants[:1])
    write_trace(one, tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_bytes())["traceEvents"] == list(
        trace_events(one)
    )


def test_arrows_come_in_pairs(result) -> None:
    one = axsim.RunResult(result.workload, result.chip, result.variants[:1])
    arrows = [e for e in trace_events(one, flows=True) if e["ph"] in "sf"]
    starts = {e["id"]: e for e in arrows if e["ph"] == "s"}
    ends = {e["id"]: e for e in arrows if e["ph"] == "f"}
    assert len(arrows) == 2 * len(starts) > 1000
    assert starts.keys() == ends.keys()
    assert all(starts[i]["ts"] <= ends[i]["ts"] + 1e-3 for i in starts)
