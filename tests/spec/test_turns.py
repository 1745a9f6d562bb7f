"""Conversations: what each turn asks of the KV cache, and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from axsim.errors import InputError
from axsim.spec.workload import Workload
from tests.runs.tiny import TEXT, VLM

FIRST = {"text_tokens": 16, "images": 1}
TURNS = (FIRST, {"text_tokens": 5}, {"text_tokens": 9, "images": 2, "new_tokens": 2})


def talk(model: Any = VLM, build: Any = None, **request: Any) -> Workload:
    settings = {"prefill_chunk": 8, "kv_cache_len": 80, **(build or {})}
    return Workload.of("tiny", model, build=settings, request={"new_tokens": 5, **request})


def test_each_turn_finds_the_ones_before_in_the_cache() -> None:
    """Image tokens: 4 each. The last token of an answer is read with the next prompt."""
    workload = talk(turns=TURNS, cached_tokens=3)
    assert workload.asked == ((3, 1, 20, 5), (27, 0, 6, 5), (37, 2, 18, 2))
    turns = [workload.turn(index) for index in range(3)]
    assert [turn.asked for turn in turns] == [(each,) for each in workload.asked]
    assert [turn.histories for turn in turns] == [(8, 16, 24), (32,), (40, 48, 56)]
    assert workload.all_images == 3
    assert (workload.images, workload.prompt_tokens, workload.new_tokens) == (1, 20, 5)
    shorter = workload.turn(1, 24)  # the answer before ended early
    assert shorter.asked == ((24, 0, 6, 5),)


def test_a_picture_asked_about_again_is_in_the_cache() -> None:
    again = talk(turns=(FIRST, {"text_tokens": 5}))
    shown_again = talk(turns=(FIRST, {"text_tokens": 5, "images": 1}))
    assert [turn.images for turn in again.asked] == [1, 0]
    assert shown_again.asked[1].prompt_tokens == again.asked[1].prompt_tokens + 4


def test_a_lone_request_is_one_turn() -> None:
    workload = talk(text_tokens=16)
    assert workload.asked == ((0, 1, 20, 5),)
    assert workload.turn(0) is workload


@pytest.mark.parametrize(
    ("ladder", "cached", "prompt", "histories"),
    [
        (None, 0, 20, (0, 8, 16)),
        (None, 3, 20, (8, 16, 24)),
        (None, 16, 8, (16,)),
        ((0, 16, 32), 0, 20, (0, 16, 16)),
        ((1, 16, 32), 0, 20, (0, 16, 16)),  # vendor logs call no history 1
        ((0, 16, 32), 17, 9, (32, 32)),
        ((32,), 0, 20, (32, 32, 32)),
    ],
)
def test_a_chunk_takes_the_next_compiled_history(ladder, cached, prompt, histories) -> None:
    build = {"prefill_history": ladder} if ladder else {}
    workload = talk(TEXT, build, prompt_tokens=prompt, cached_tokens=cached)
    assert workload.histories == histories


@pytest.mark.parametrize(
    ("build", "request_keys", "message"),
    [
        (
            {},
            {"turns": (FIRST, {"text_tokens": 60})},
            "request.turns.1: a prompt of 61 tokens and 5 new ones after 24 cached ones is longer "
            r"than the compiled context \[build.kv_cache_len = 80 at tiny\]; allowed: cached_tokens"
            r" \+ prompt_tokens \+ new_tokens up to 81, kv_cache_len \+ 1",
        ),
        ({}, {"cached_tokens": 70}, "request: a prompt of 58 tokens and 5 new ones after 70"),
        (
            {"prefill_history": (0, 16)},
            {"text_tokens": 16, "cached_tokens": 8},
            "request.text_tokens: a prompt of 20 tokens after 8 cached ones is longer than the "
            r"compiled prefill .*; allowed: up to 24 tokens in all: a chunk of 8 after 16",
        ),
        (
            {"prefill_max_chunks": 3},
            {"text_tokens": 16, "cached_tokens": 8},
            "allowed: up to 24 tokens in all: 3 chunks of 8",
        ),
        ({"prefill_history": (16, 0)}, {}, "build.prefill_history: found .16, 0.; allowed: length"),
        ({"prefill_history": (0, 999)}, {}, "found 999, more than the KV cache holds; allowed: up"),
        ({"prefill_history": ()}, {}, "build.prefill_history: found .*such as .0, 512, 1024"),
        (
            {"prefill_history": (0,), "prefill_max_chunks": 3},
            {},
            "build.prefill_max_chunks: says in other words what is compiled",
        ),
        ({}, {"turns": (FIRST,), "images": 1}, "request.images: has no effect: each turn has its"),
        ({}, {"turns": ({"images": 1},)}, "request.turns.0.text_tokens: missing"),
        ({}, {"cached_tokens": -1}, "request.cached_tokens: found -1"),
        ({"kv_slots": 0}, {}, "build.kv_slots: found 0"),
    ],
)
def test_what_cannot_be_asked(build, request_keys, message) -> None:
    with pytest.raises(InputError, match=message):
        talk(VLM, build, **request_keys)


def test_a_tower_alone_holds_no_conversation() -> None:
    from axsim.models.config import ModelConfig

    for keys in ({"cached_tokens": 4}, {"turns": (FIRST,)}):
        with pytest.raises(InputError, match="needs a decoder, and there is none"):
            Workload.of("tower", ModelConfig(None, VLM.vision), request=keys)
