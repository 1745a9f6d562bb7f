"""Traces against the trace-event format and against the run they show."""

from __future__ import annotations

import bisect
import gzip
import itertools
import json
import math
from collections import defaultdict

import pytest

import axsim
from axsim.show.palette import TRACE
from axsim.show.trace import trace_events, write_trace

KINDS = {"compute", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"}


@pytest.fixture(scope="module", params=["ax650n", "ax630c"])
def result(request) -> axsim.RunResult:
    names = ["224-u8", "448-u16"]
    return axsim.run("internvl2_1b", request.param, variants=names, timing_only=True)


@pytest.fixture(scope="module")
def events(result) -> list[dict]:
    return list(trace_events(result))


def ns(us: float) -> int:
    found = round(us * 1e3)
    assert abs(us * 1e3 - found) < 1e-3  # whole nanoseconds: Perfetto has no finer ones
    return found


def check_slice(event: dict) -> None:
    assert {"pid", "tid", "name", "ts", "dur"} <= event.keys()
    assert ns(event["dur"]) >= 0
    assert isinstance(event.get("args", {}), dict)
    assert event.get("cname") in {None, *CHROME_TRACE}


def check_metadata(event: dict) -> None:
    kind = {"name": str, "sort_index": int}
    (key,) = event["args"]
    assert isinstance(event["args"][key], kind[key])
    assert event["name"] in {f"process_{key}", f"thread_{key}"}
    assert ("tid" in event) == event["name"].startswith("thread")


def check_counter(event: dict) -> None:
    assert event["args"]
    for value in event["args"].values():
        assert type(value) in (int, float)
        assert math.isfinite(value)


def check_arrow(event: dict) -> None:
    assert {"pid", "tid", "ts", "name", "cat", "id"} <= event.keys()
    assert event.get("bp") == ("e" if event["ph"] == "f" else None)


CHECKS = {
    "X": check_slice,
    "M": check_metadata,
    "C": check_counter,
    "s": check_arrow,
    "f": check_arrow,
}
CHROME_TRACE = {
    "thread_state_uninterruptible", "thread_state_iowait", "thread_state_running",
    "thread_state_runnable", "thread_state_sleeping", "thread_state_unknown",
    "background_memory_dump", "light_memory_dump", "detailed_memory_dump", "vsync_highlight_color",
    "generic_work", "good", "bad", "terrible", "black", "grey", "white", "yellow", "olive",
    "rail_response", "rail_animation", "rail_idle", "rail_load", "startup",
    "heap_dump_stack_frame", "heap_dump_object_type", "heap_dump_child_node_arrow",
    "cq_build_running", "cq_build_passed", "cq_build_failed", "cq_build_abandoned",
    "cq_build_attempt_runnig", "cq_build_attempt_passed", "cq_build_attempt_failed",
}  # fmt: skip
"""The names that the trace-event format reserves."""


def test_every_event_follows_the_format(events) -> None:
    for event in events:
        assert isinstance(event["pid"], int)
        assert isinstance(event.get("tid", 0), int)
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event.get("cat", ""), str)
        assert ns(event.get("ts", 0)) >= 0
        CHECKS[event["ph"]](event)
    assert {event["ph"] for event in events} == CHECKS.keys()


def test_each_engine_has_a_row_under_its_vendors_name(result, events) -> None:
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    rows = defaultdict(list)
    for event in events:
        if event["name"] == "thread_name":
            rows[event["pid"]].append((event["tid"], event["args"]["name"]))
    vision = result[0].planned.of("vision")[0].timeline
    names = [engine.name for engine in vision.program.engines]
    assert {"conv0", "sdma4.rd" if result.chip == "ax650n" else "sdma3.rd"} <= set(names)
    assert list(processes.values()) == ["224-u8", "448-u16"]
    for pid in processes:
        assert rows[pid] == list(enumerate(["request", "host", *names], 1))
    used = {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"}
    assert used <= {(pid, tid) for pid, named in rows.items() for tid, _ in named}


def by_row(events: list[dict]) -> dict[tuple[int, int], list[tuple[int, int, dict]]]:
    """Start, end and event of the slices of each row, in time, as nanoseconds."""
    rows = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start = ns(event["ts"])
            rows[event["pid"], event["tid"]].append((start, start + ns(event["dur"]), event))
    for row in rows.values():
        row.sort(key=lambda each: each[:2])
    return rows


def test_no_row_is_used_twice_at_once(events) -> None:
    for spans in by_row(events).values():
        for (_, end, _), (start, _, _) in itertools.pairwise(spans):
            assert start >= end


def test_arrows_bind_to_a_task_and_to_one_that_needs_it(events) -> None:
    rows = by_row(events)
    starts = {key: [start for start, _, _ in row] for key, row in rows.items()}

    def bound(arrow: dict) -> dict:
        """The slice that a viewer binds the end of an arrow to."""
        key, time = (arrow["pid"], arrow["tid"]), ns(arrow["ts"])
        start, end, event = rows[key][bisect.bisect_right(starts[key], time) - 1]
        assert start <= time < end
        return event

    pairs = defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            pairs[event["cat"], event["name"], event["id"]].append(event)
    drawn = set()
    for tail, head in pairs.values():
        assert (tail["ph"], head["ph"]) == ("s", "f")
        assert tail["ts"] <= head["ts"]
        source, target = bound(tail), bound(head)
        assert source["args"]["id"] in target["args"]["dep_by"]
        drawn.add((target["pid"], source["args"]["id"], target["args"]["id"]))
    tasks = {(e["pid"], e["args"]["id"]): e for e in events if "dep_by" in e.get("args", ())}
    for (pid, own), event in tasks.items():
        for other in event["args"]["dep_by"]:
            needed = tasks[pid, other]
            held = event["dur"] > 0 and needed["dur"] > 0  # nothing binds to an empty slice
            assert ((pid, other, own) in drawn) == held


def test_layers_that_are_alike_refer_to_the_first(result, events) -> None:
    explained = {(e["pid"], e["args"]["id"]): e for e in events if "dep_by" in e.get("args", ())}
    again = [e for e in events if "as" in e.get("args", ())]
    layers = 24
    assert len(again) > len(explained) * (layers - 2) / 2  # the first layer may be placed apart
    for event in again:
        first = explained[event["pid"], event["args"]["as"]]
        same = {key: event.get(key) for key in ("tid", "cat", "cname")}
        assert same == {key: first.get(key) for key in same}
        assert abs(ns(event["dur"]) - ns(first["dur"])) <= 1
        assert event["name"].split(".")[-1] == first["name"].split(".")[-1]
    tasks = sum(1 for event in events if event.get("cat") in KINDS)
    expected = 0
    for variant in result:
        request = variant.timeline
        drawn = [*request.of("vision")[:1], *request.of("prefill")]
        drawn += [*request.of("decode")[:layers], *request.of("post")[:2]]
        expected += sum(1 for each in drawn for _ in each.timeline.slices())
    assert tasks == expected == len(again) + len(explained)


def test_tasks_carry_the_vendor_fields_kinds_and_colours(events) -> None:
    tasks = [event for event in events if event.get("cat") in KINDS]
    assert {event["cat"] for event in events if "cat" in event} == {*KINDS, "dependency"}
    assert {"compute", "ld:param", "ld:input", "st:output"} <= {e["cat"] for e in tasks}
    for event in tasks:
        assert event["name"].startswith(event["cat"][:3]) or event["cat"] == "compute"
        assert event.get("cname") == TRACE.get(event["cat"])
        args = event["args"]
        if "as" in args:
            continue
        assert {
            "label",
            "inputs",
            "outputs",
            "dur_cycles",
            "starts_cycles",
            "dep_by",
        } <= args.keys()
        assert all(0 <= other < args["id"] for other in args["dep_by"])


def test_dependencies_end_before_their_dependents_begin(events) -> None:
    tasks = {(e["pid"], e["args"]["id"]): e for e in events if "dep_by" in e.get("args", ())}
    for (pid, _), event in tasks.items():
        for other in event["args"]["dep_by"]:
            needed = tasks[pid, other]
            assert ns(needed["ts"]) + ns(needed["dur"]) <= ns(event["ts"])


def spans(events, pid: int) -> dict[str, dict]:
    """What is done in one process, by name."""
    return {e["name"]: e for e in events if (e["ph"], e["pid"], e.get("tid")) == ("X", pid, 1)}


def inside(event: dict, span: dict) -> bool:
    """Whether an event is in the time of a span."""
    return span["ts"] <= event["ts"] < span["ts"] + span["dur"]


def test_the_request_stands_where_the_run_says(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        found = spans(events, pids[variant.name])
        begin = found["preprocess"]["ts"]
        first = found["post"]["ts"] + found["post"]["dur"] - begin
        assert first == pytest.approx(variant.image_to_first_token_ms.value * 1e3, abs=1e-2)
        for token, arrival in enumerate(variant.arrivals_ms[1:], 2):
            last = found[f"token {token}, post"]
            assert last["ts"] + last["dur"] - begin == pytest.approx(arrival * 1e3, abs=1e-2)
        assert found["vision"]["dur"] == pytest.approx(variant.vision_encode_ms.value * 1e3)
        last = max(e["ts"] + e["dur"] for e in events if e["ph"] == "X" and e["pid"] == last["pid"])
        assert last - begin == pytest.approx(variant.arrivals_ms[-1] * 1e3, abs=1e-2)


def test_variants_stand_one_after_the_other(events) -> None:
    times = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            times[event["pid"]] += event["ts"], event["ts"] + event["dur"]
    first, second = (times[pid] for pid in sorted(times))
    assert min(first) == 0
    assert max(first) + 1000 == pytest.approx(min(second), abs=0.01)


def test_the_host_works_where_the_npu_does_not(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        own = [e for e in events if e["ph"] == "X" and e["pid"] == pids[variant.name]]
        host = [(e["ts"], e["ts"] + e["dur"]) for e in own if e["tid"] == 2]
        begins = [begin for begin, _ in host]
        # preparation, a layer of prefill and of each decode step, a choice for every token
        tokens = variant.new_tokens
        assert len(host) == 1 + 24 + 24 * (tokens - 1) + tokens
        for event in own:
            if event["tid"] > 2:
                before = bisect.bisect_right(begins, event["ts"]) - 1
                assert host[before][1] <= event["ts"]


def test_bytes_of_loads_are_those_of_the_breakdown(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        pid = pids[variant.name]
        loads = [e for e in events if e["pid"] == pid and e.get("cat") == "ld:param"]
        size = {e["args"]["id"]: e["args"]["bytes"] for e in loads if "id" in e["args"]}
        found = spans(events, pid)
        for name, stage in (("vision", 1), ("prefill", 2), ("token 2, layers", 4)):
            own = [e["args"] for e in loads if inside(e, found[name])]
            loaded = sum(size[each.get("id", each.get("as"))] for each in own)
            expected = variant.breakdown[stage].dram_bytes["ld:param"]
            assert loaded == pytest.approx(expected, rel=1e-5)


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


def test_counters_run_forward_change_every_time_and_end_at_nothing(events) -> None:
    series = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            (value,) = event["args"].values()
            series[event["pid"], event["name"]].append((event["ts"], value))
    processes = {event["pid"] for event in events}
    assert series.keys() == set(itertools.product(processes, ("DRAM bandwidth", "on-chip memory")))
    for points in series.values():
        for (before, one), (after, other) in itertools.pairwise(points):
            assert before < after
            assert one != other
        assert max(value for _, value in points) > 0
        assert points[-1][1] == 0


def test_the_bandwidth_counter_integrates_to_the_bytes_moved(result, events) -> None:
    pids = {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}
    for variant in result:
        pid = pids[variant.name]
        window = spans(events, pid)["vision"]
        rates = [
            (e["ts"], e["args"]["GB/s"])
            for e in events
            if e["pid"] == pid and e["name"] == "DRAM bandwidth" and inside(e, window)
        ]
        pairs = itertools.pairwise(rates)
        moved = sum((end - start) * rate * 1e3 for (start, rate), (end, _) in pairs)
        vision = next(each for each in variant.breakdown if each.name == "vision")
        assert moved == pytest.approx(vision.total_dram_bytes, rel=0.01)


@pytest.mark.parametrize("chip", [pytest.param("ax650n", marks=pytest.mark.slow), "ax630c"])
def test_a_file_of_four_variants_is_valid_and_small(tmp_path, chip) -> None:
    result = axsim.run("internvl2_1b", chip, timing_only=True)
    packed = tmp_path / "t.json.gz"
    write_trace(result, packed)
    text = gzip.decompress(packed.read_bytes())
    assert len(text) < 50e6
    assert packed.stat().st_size < len(text) / 5
    document = json.loads(text, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert document.keys() == {"displayTimeUnit", "traceEvents"}
    assert document["displayTimeUnit"] == "ns"
    one = axsim.RunResult(result.workload, result.chip, result.variants[:1])
    write_trace(one, tmp_path / "one.json")
    assert json.loads((tmp_path / "one.json").read_bytes())["traceEvents"] == list(
        trace_events(one)
    )
