"""Turns of a conversation in the trace and on the page."""

from __future__ import annotations

from axsim.runs.run import run
from axsim.show.report.variants_table import turns_section
from axsim.show.trace import trace_events
from tests.runs.test_conversation import TALK
from tests.runs.tiny import workload


def test_every_turn_is_shown() -> None:
    asked = workload(build={"kv_cache_len": 80}, text_tokens=None, turns=TALK, new_tokens=3)
    result = run(asked, "ax630c", timing_only=True)
    names = [e["args"]["name"] for e in trace_events(result) if e["name"] == "process_name"]
    assert names == ["56-u8", "56-u8, turn 2", "56-u8, turn 3"]
    page = str(turns_section(result))
    assert page.count("<tr>") == 4  # a heading and three turns
    assert turns_section(run(workload(), "ax630c", timing_only=True)) is None
