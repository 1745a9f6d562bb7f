"""The choice of the next token."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from axsim.errors import InputError
from axsim.inputs.sampling import Sampler, end_of_sequence
from axsim.models.config import ModelConfig
from axsim.spec.workload import RequestSection
from tests.runs.tiny import DECODER, workload

LOGITS = np.log(np.array([0.05, 0.5, 0.25, 0.15, 0.05], np.float32))


def draws(count: int = 4000, **request) -> Counter:
    sampler = Sampler(RequestSection(**request))
    return Counter(sampler(LOGITS) for _ in range(count))


def test_greedy_takes_the_first_of_the_largest() -> None:
    assert Sampler(RequestSection())(np.array([1.0, 3.0, 3.0, 2.0])) == 1


def test_temperature_one_draws_from_the_distribution() -> None:
    found = draws(temperature=1.0)
    shares = np.array([found[token] / 4000 for token in range(5)])
    assert np.abs(shares - np.exp(LOGITS)).max() < 0.03


def test_a_low_temperature_sharpens() -> None:
    assert draws(temperature=0.1)[1] > 3990


@pytest.mark.parametrize(
    ("request_keys", "allowed"),
    [
        ({"top_k": 1}, {1}),
        ({"top_k": 3}, {1, 2, 3}),
        ({"top_p": 0.5}, {1}),
        ({"top_p": 0.6}, {1, 2}),
        ({"top_p": 0.89}, {1, 2, 3}),
        ({"top_k": 2, "top_p": 1.0}, {1, 2}),
    ],
)
def test_only_the_likeliest_are_drawn(request_keys, allowed) -> None:
    assert set(draws(temperature=1.0, **request_keys)) == allowed


def test_the_seed_decides() -> None:
    assert draws(50, temperature=1.0, seed=1) == draws(50, temperature=1.0, seed=1)
    samplers = [Sampler(RequestSection(temperature=1.0, seed=seed)) for seed in (1, 2)]
    first, second = ([sampler(LOGITS) for _ in range(50)] for sampler in samplers)
    assert first != second


def ends(held=None, asked=None, **change) -> tuple[int, ...]:
    model = ModelConfig(replace(DECODER, **change))
    return end_of_sequence(workload(model, eos_token_id=asked, prompt_tokens=16), held)


def test_the_end_is_the_requests_or_the_checkpoints_or_the_familys() -> None:
    assert ends(vocab_size=151655) == (151645,)
    assert ends(family="llama") == (2,)
    assert ends(held=[7, 9]) == (7, 9)
    assert ends(held=[7, 9], asked=[5]) == (5,)
    assert ends(held=[7, 9], asked=5) == (5,)
    assert ends(held=[7], asked=[]) == ()


def test_a_small_vocabulary_has_no_end_of_sequence() -> None:
    assert ends() == ()
    assert ends(held=[100, 101, 102]) == (100,)
    with pytest.raises(InputError, match=r"eos_token_id: found 101.*below 101, vocab_size"):
        ends(asked=[3, 101])
