"""The host loop: chunks, padding, masks, caches, end of sequence, and the machine around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from axsim.compiler.partition import Deployment
from axsim.machine.npu import Npu
from axsim.models.config import ModelConfig
from axsim.models.synthetic import SyntheticWeights
from axsim.numerics.comparison import cosine
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.devices import Float32Device, SimulatedNpu
from axsim.runs.host import MASKED, HostLoop, generate, prefill_mask
from axsim.spec.chip import load_chip
from tests.models.running import relative
from tests.runs.tiny import DECODER, workload

CHIP = load_chip("ax630c")
TEXT = ModelConfig(DECODER)


def deployment(prompt: int = 20, chunk: int = 8, cache: int = 40) -> Deployment:
    build = {"prefill_chunk": chunk, "kv_cache_len": cache}
    return Deployment(workload(TEXT, build, prompt_tokens=prompt), CHIP)


def rows(count: int) -> np.ndarray:
    return SyntheticWeights(TEXT).rows(
        "language_model.model.embed_tokens.weight", [3 * i % 101 for i in range(count)]
    )


def float32_loop(deployed: Deployment) -> HostLoop:
    return HostLoop(deployed, Float32Device(deployed, SyntheticWeights(TEXT)))


def npu_loop(deployed: Deployment, npu: Npu | None = None) -> HostLoop:
    weights = SyntheticWeights(TEXT)
    stored = StoredWeights(weights)
    return HostLoop(deployed, SimulatedNpu(deployed, weights, stored, None, WeightOnly(), npu))


@pytest.mark.parametrize("make", [float32_loop, npu_loop])
@pytest.mark.parametrize("chunk", [4, 5, 8, 19, 20])
def test_several_chunks_and_padding_give_what_one_whole_chunk_gives(make, chunk) -> None:
    loop = make(deployment(20, chunk))
    logits = loop.prefill(rows(20))
    assert loop.position == 20
    whole = make(deployment(20, 20)).prefill(rows(20))
    if make is float32_loop:
        assert relative(logits, whole) < 1e-5
    else:  # bf16 everywhere: other shapes sum in another order
        assert cosine(logits, whole) > 0.99995


@pytest.mark.parametrize("make", [float32_loop, npu_loop])
def test_decoding_a_token_gives_what_prefilling_it_gives(make) -> None:
    loop = make(deployment(18))
    loop.prefill(rows(18))
    token = 3 * 18 % 101
    decoded = [loop.decode(token), loop.decode(3 * 19 % 101)]
    assert loop.position == 20
    for count, logits in zip((19, 20), decoded, strict=True):
        expected = make(deployment(count)).prefill(rows(count))
        if make is float32_loop:
            assert relative(logits, expected) < 1e-5
        else:
            assert cosine(logits, expected) > 0.9999


def test_rows_beyond_the_prompt_change_nothing() -> None:
    """Garbage that earlier requests left in the caches is masked."""
    clean, dirty = float32_loop(deployment(18)), float32_loop(deployment(18))
    dirty._k[:], dirty._v[:] = 7.0, -7.0
    assert np.array_equal(clean.prefill(rows(18)), dirty.prefill(rows(18)))
    assert np.array_equal(clean.decode(5), dirty.decode(5))


def test_the_mask_is_causal_over_history_and_padding_sees_nothing() -> None:
    mask = prefill_mask(3, 4, 2)
    assert mask.shape == (1, 3, 7)
    assert mask.dtype == np.float32
    assert (mask[0, 0] == 0).tolist() == [True] * 5 + [False] * 2
    assert (mask[0, 1] == 0).tolist() == [True] * 6 + [False]
    assert (mask[0, 2] == MASKED).all()
    assert set(np.unique(mask)) == {0, MASKED}


def test_a_prompt_that_needs_more_chunks_than_are_deployed_is_refused() -> None:
    with pytest.raises(ValueError, match="17 tokens do not fit 2 chunks of 8"):
        float32_loop(deployment(16)).prefill(rows(17))


def test_the_cache_takes_so_many_tokens_as_were_compiled() -> None:
    loop = float32_loop(deployment(16, cache=21))
    loop.prefill(rows(16))
    for _ in range(5):
        loop.decode(1)
    with pytest.raises(ValueError, match="holds 21"):
        loop.decode(1)


class Scripted:
    """Stands for a loop: logits that favour the given tokens."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens
        self.fed: list[int] = []

    def logits(self) -> np.ndarray:
        return np.eye(10)[self.tokens[len(self.fed)]]

    def decode(self, token: int) -> np.ndarray:
        self.fed.append(token)
        return self.logits()


@pytest.mark.parametrize(
    ("budget", "ends", "expected"),
    [
        (4, (), [3, 7, 9, 1]),
        (1, (), [3]),
        (9, (9,), [3, 7, 9]),
        (9, (5, 9), [3, 7, 9]),
        (9, (3, 9), [3]),
        (2, (9,), [3, 7]),
    ],
)
def test_tokens_come_until_the_end_of_sequence_or_the_budget(budget, ends, expected) -> None:
    loop = Scripted([3, 7, 9, 1, 5])
    found = list(generate(loop, loop.logits(), budget, lambda x: int(x.argmax()), ends))
    assert found == expected
    assert loop.fed == expected[:-1]  # no step is spent on a token that nobody reads on


@pytest.mark.parametrize("replay", [True, False])
def test_the_timeline_is_the_same_with_and_without_kernels(replay) -> None:
    deployed = deployment()
    seen = []

    class Watched(Npu):
        def run(self, program, on_retire=None):
            timeline = super().run(program, on_retire)
            seen.append((program, timeline))
            return timeline

    loop = npu_loop(deployed, Watched(replay=replay))
    loop.decode(int(loop.prefill(rows(20)).argmax()))
    bare = {p: Npu(replay=False).run(p) for p, _ in seen}
    assert len(seen) == 4 * 2 + 2  # three chunks and a token through two layers, post twice
    for program, timeline in seen:
        assert timeline == replace(bare[program])


@pytest.mark.parametrize("replay", [True, False])
def test_kernels_run_on_the_machine_as_they_do_without_it(replay) -> None:
    deployed = deployment()
    weights = SyntheticWeights(TEXT)

    class Plain(SimulatedNpu):
        def _execute(self, subgraph, executor, inputs, kind):
            return executor.run_all(inputs)

    plain = Plain(deployed, weights, StoredWeights(weights), None, WeightOnly())
    expected = HostLoop(deployed, plain).prefill(rows(20))
    assert np.array_equal(npu_loop(deployed, Npu(replay=replay)).prefill(rows(20)), expected)
