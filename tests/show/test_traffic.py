from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

import axsim
from axsim.show.traffic import dram_rates, ocm_use


@pytest.fixture(scope="module")
def timelines():
    run = axsim.run("internvl2_1b", "ax630c", timing_only=True, variants=["224-u16"])
    spans = run[0].planned.spans.values()
    return [span.invocations[0] for span in spans if span.invocations]


def test_every_byte_is_moved_once_and_no_faster_than_dram(timelines) -> None:
    for timeline in timelines:
        program = timeline.program
        for segment, timing in zip(program.segments, timeline.timings, strict=True):
            moved: Counter[str] = Counter()
            steps = list(dram_rates(segment, timing, program.dram_bytes_per_us))
            for (start, rates), (end, _) in pairwise(steps):
                assert start <= end
                assert sum(rates.values()) <= program.dram_bytes_per_us * (1 + 1e-9)
                for kind, rate in rates.items():
                    moved[kind] += rate * (end - start)
            expected: Counter[str] = Counter()
            for task in segment.tasks:
                if task.dram_bytes:
                    expected[task.kind] += task.dram_bytes
            assert moved == pytest.approx(expected, rel=1e-6)
            assert not steps or steps[-1][1] == {}


def test_memory_in_use_changes_when_steps_begin(timelines) -> None:
    for timeline in timelines:
        for segment, timing in zip(timeline.program.segments, timeline.timings, strict=True):
            found = list(ocm_use(segment, timing))
            assert [time for time, _ in found] == sorted(time for time, _ in found)
            assert {size for _, size in found} <= set(segment.ocm_bytes)
            assert len(found) == len({t.step for t in segment.tasks if t.kind == "compute"})
