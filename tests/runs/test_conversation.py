"""Several turns on one KV cache: times, tokens and numbers of each."""

from __future__ import annotations

import pytest

from axsim.compiler.partition import Deployment
from axsim.runs.run import run
from axsim.system.alone import alone
from tests.runs.tiny import workload

TALK = ({"text_tokens": 9, "images": 1}, {"text_tokens": 5}, {"text_tokens": 6, "images": 2})


def test_a_conversation_has_times_and_tokens_for_each_turn() -> None:
    keys = {"text_tokens": None, "turns": TALK, "cached_tokens": 3, "new_tokens": 3}
    build = {"kv_cache_len": 80, "kv_slots": 2, "prefill_history": (0, 16, 64)}
    asked = workload(build=build, **keys)
    (found,) = run(asked, "ax630c")
    turns = found.to_dict()["turns"]
    assert [turn["cached_tokens"] for turn in turns] == [3, 18, 26]
    assert [turn["prompt_tokens"] for turn in turns] == [13, 6, 15]
    assert [turn["prefill_history"] for turn in turns] == [[16, 16], [64], [64, 64]]
    assert [turn["images"] for turn in turns] == [1, 0, 2]
    assert ["vision_encode_ms" in turn for turn in turns] == [True, False, True]
    for turn, one in zip(turns, found.turns, strict=True):
        lone = Deployment(asked.turn(found.turns.index(one)), found.chip)
        assert turn["ttft_ms"] == pytest.approx(alone(lone).ttft_ms, rel=1e-12)
        assert turn["arrivals_ms"] == list(alone(lone, tokens=3).arrivals_ms)
        assert len(turn["tokens"]) == 3
    assert turns[0]["tokens"] == list(found.numerics.tokens)
    assert found.to_dict()["memory"]["kv_slot_bytes"] * 2 == found.memory.kv_cache
    assert found.numerics.logits_cosine > 0.99
    again = run(asked, "ax630c")[0].to_dict()["turns"]
    assert again == turns


def test_an_answer_that_ends_early_leaves_less_in_the_cache() -> None:
    keys = {"text_tokens": None, "turns": TALK[:2], "new_tokens": 4}
    whole = run(workload(**keys), "ax630c")[0]
    ends = whole.numerics.tokens[1]
    (short,) = run(workload(**keys, eos_token_id=(ends,)), "ax630c")
    assert len(short.numerics.tokens) == whole.numerics.tokens.index(ends) + 1 < 4
    assert short.later[0].numerics.tokens != whole.later[0].numerics.tokens
    kept = 13 + len(short.numerics.tokens) - 1  # prompt and answer, less its last token
    asked = workload(**keys).turn(1, kept)
    served = short.later[0].served
    lone = alone(Deployment(asked, short.chip), tokens=len(short.later[0].numerics.tokens))
    assert served.lengths_us == lone.lengths_us
    assert served.arrived_us == pytest.approx(short.served.ms * 1e3)
