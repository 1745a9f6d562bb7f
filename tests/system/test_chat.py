"""Conversations that keep their KV cache."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from axsim.errors import InputError
from axsim.spec.chip import load_chip
from axsim.system.admission import admit
from axsim.system.alone import alone
from axsim.system.deployed import Deployed
from tests.system.shared import CHIP, run, scenario, tiny

TURNS = (
    {"text_tokens": 9, "images": 1, "new_tokens": 3},
    {"text_tokens": 4, "new_tokens": 5},
    {"text_tokens": 2, "new_tokens": 2},
)


def talking(folder: Path, clients: int = 1, **chat: Any) -> Any:
    way = {"chat": {"clients": clients, "think_ms": 1.0, **chat}}
    return scenario(folder, s=0.2, people=tiny(way, set={"request.turns": TURNS}))


def test_each_turn_is_the_request_that_finds_the_others_in_its_cache(tmp_path: Path) -> None:
    found = talking(tmp_path)
    served = run(found, window_s=(0.0, 1.0)).outcome.window
    turns = Deployed(found, "people", CHIP).turns
    assert len(served) > 2 * len(TURNS)
    for number, each in enumerate(served):
        turn = turns[number % len(TURNS)]
        expected = alone(turn, tokens=turn.workload.new_tokens)
        assert each.timeline.lengths_us == expected.lengths_us
        assert each.latency_ms == expected.ms
    # nothing is prefilled again: what is asked, and the last token of the answer before
    assert [turn.workload.prompt_tokens for turn in turns] == [9 + 4, 1 + 4, 1 + 2]
    assert [turn.workload.cached_tokens for turn in turns] == [0, 15, 24]
    gaps = [b.job.arrived_us - a.timeline.arrived_us - a.timeline.ms * 1e3
            for a, b in itertools.pairwise(served)]  # fmt: skip
    assert gaps == pytest.approx([1000] * len(gaps))


def test_everybody_who_talks_has_a_cache(tmp_path: Path) -> None:
    one, three = (admit(talking(tmp_path, n), CHIP).memory["people"] for n in (1, 3))
    kv = Deployed(talking(tmp_path), "people", CHIP).deployment.memory.kv_slot
    assert kv > 0
    assert three - one == 2 * kv


def test_a_chat_wants_turns_and_turns_a_chat(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"people\.arrivals\.chat: tiny has one turn only"):
        admit(scenario(tmp_path, people=tiny({"chat": {}})), CHIP)
    several = tiny({"fps": 1}, set={"request.turns": TURNS})
    with pytest.raises(InputError, match="a conversation of 3 turns comes as a chat"):
        admit(scenario(tmp_path, people=several), CHIP)
    many = tiny({"chat": {}}, set={"request.turns": TURNS * 4})
    with pytest.raises(InputError, match="longer than the compiled context"):
        admit(scenario(tmp_path, people=many), load_chip("ax650n"))


def test_who_thinks_when_the_time_is_over_is_not_waited_for(tmp_path: Path) -> None:
    patient = scenario(tmp_path, s=0.2, people=tiny({"closed": {"clients": 2, "think_ms": 1e100}}))
    found = run(patient).outcome
    assert found.records["people"].finished == 2
    assert found.ended_us == pytest.approx(0.2e6)
