"""The host's numbers: chunks, padding, masks, caches, end of sequence, and the time around them."""

from __future__ import annotations

import numpy as np
import pytest
import simpy

from axsim.compiler.partition import Deployment
from axsim.models.prompt import Prompt
from axsim.models.synthetic import SyntheticWeights
from axsim.numerics.comparison import cosine
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.devices import Device
from axsim.runs.host import MASKED, HostLoop, prefill_mask
from axsim.spec.chip import load_chip
from axsim.system.alone import alone
from axsim.system.request import Call, Pass, ride, walk
from axsim.system.serve import serve
from axsim.system.soc import Soc
from tests.models.running import relative
from tests.runs.tiny import TEXT, workload

CHIP = load_chip("ax630c")


def deployment(prompt: int = 20, chunk: int = 8, cache: int = 40) -> Deployment:
    build = {"prefill_chunk": chunk, "kv_cache_len": cache}
    return Deployment(workload(TEXT, build, prompt_tokens=prompt), CHIP)


def rows(count: int) -> np.ndarray:
    return SyntheticWeights(TEXT).rows(
        "language_model.model.embed_tokens.weight", [3 * i % 101 for i in range(count)]
    )


def prompt_rows(count: int) -> Prompt:
    return Prompt(rows(count), np.arange(count, dtype=np.uint32)[None])


class Loop(HostLoop):
    """A host loop that is given its tokens and keeps the logits of all."""

    def __init__(self, deployed: Deployment, device: Device) -> None:
        self.given: list[int] = []
        self.logits: list[np.ndarray] = []
        super().__init__(deployed, device, lambda: prompt_rows(self.prompt), self._given)
        self.deployed = deployed
        self.prompt = deployed.workload.prompt_tokens

    def _given(self, logits: np.ndarray) -> int:
        self.logits.append(logits)
        return self.given[len(self.logits) - 1] if len(self.logits) <= len(self.given) else 0

    def run(self, *given: int) -> list[np.ndarray]:
        """Logits after the prompt and after each of the tokens."""
        self.given = list(given)
        for _ in ride(walk(self.deployed, len(given) + 1), self.compute):
            pass
        return self.logits


def float32_loop(deployed: Deployment) -> Loop:
    return Loop(deployed, Device(deployed, SyntheticWeights(TEXT)))


def npu_loop(deployed: Deployment) -> Loop:
    weights = SyntheticWeights(TEXT)
    stored = StoredWeights(weights)
    return Loop(deployed, Device(deployed, weights, stored, None, WeightOnly()))


@pytest.mark.parametrize("make", [float32_loop, npu_loop])
@pytest.mark.parametrize("chunk", [4, 5, 8, 19, 20])
def test_several_chunks_and_padding_give_what_one_whole_chunk_gives(make, chunk) -> None:
    loop = make(deployment(20, chunk))
    (logits,) = loop.run()
    assert loop.position == 20
    (whole,) = make(deployment(20, 20)).run()
    if make is float32_loop:
        assert relative(logits, whole) < 1e-5
    else:  # bf16 everywhere: other shapes sum in another order
        assert cosine(logits, whole) > 0.99995


@pytest.mark.parametrize("make", [float32_loop, npu_loop])
def test_decoding_a_token_gives_what_prefilling_it_gives(make) -> None:
    loop = make(deployment(18))
    _, *decoded = loop.run(3 * 18 % 101, 3 * 19 % 101)
    assert loop.position == 20
    for count, logits in zip((19, 20), decoded, strict=True):
        (expected,) = make(deployment(count)).run()
        if make is float32_loop:
            assert relative(logits, expected) < 1e-5
        else:
            assert cosine(logits, expected) > 0.9999


class Talk(Loop):
    """A host loop that is asked several times."""

    def turns(self, cached: int, *prompts: int) -> list[np.ndarray]:
        """Logits after each prompt, with answers of three tokens between them. Tokens are those of
        one long prompt, of which ``cached`` are computed before."""
        if cached:
            self.precompute(prompt_rows(cached))
        answers = iter(range(200))
        self._choose = lambda logits: next(answers)
        found = []
        for index, new in enumerate(prompts):
            start, count = self.position, new + (index > 0)

            def prompt(start: int = start, count: int = count) -> Prompt:
                return Prompt(rows(start + count)[start:], np.arange(count, dtype=np.uint32)[None])

            keys = {"cached_tokens": start, "prompt_tokens": count, "new_tokens": 3}
            request = self.deployed.workload.request.model_copy(update=keys)
            asked = self.deployed.workload.model_copy(update={"request": request})
            turn = Deployment(asked, CHIP)
            self._prompt = prompt
            answers = iter([3 * (start + count + step) % 101 for step in range(3)])
            self.follow(turn)
            for _ in ride(walk(turn, 3), self.compute):
                pass
            found.append(self.first_logits)
        return found


@pytest.mark.parametrize("ladder", [None, (0, 16, 33)])
@pytest.mark.parametrize("chunk", [4, 7, 20])
@pytest.mark.parametrize("make", [float32_loop, npu_loop])
def test_a_turn_on_a_kept_cache_gives_what_one_long_prompt_gives(make, chunk, ladder) -> None:
    build = {"prefill_chunk": chunk, "kv_cache_len": 40, "prefill_history": ladder}
    deployed = Deployment(workload(TEXT, build, prompt_tokens=9), CHIP)
    loop = make(deployed)
    talk = Talk(deployed, loop._device)
    found = talk.turns(5, 9, 4, 6)
    assert talk.position == 5 + 9 + 3 + 4 + 3 + 6 + 2
    for logits, length in zip(found, (14, 21, 30), strict=True):
        (whole,) = make(deployment(length, 30)).run()
        if make is float32_loop:
            assert relative(logits, whole) < 1e-5
        else:
            assert cosine(logits, whole) > 0.9999


def test_rows_beyond_the_prompt_change_nothing() -> None:
    """Garbage that earlier requests left in the caches is masked."""
    clean, dirty = float32_loop(deployment(18)), float32_loop(deployment(18))
    dirty._k[:], dirty._v[:] = 7.0, -7.0
    for one, other in zip(clean.run(5), dirty.run(5), strict=True):
        assert np.array_equal(one, other)


def test_the_mask_is_causal_over_history_and_padding_sees_nothing() -> None:
    mask = prefill_mask(3, 4, 2)
    assert mask.shape == (1, 3, 7)
    assert mask.dtype == np.float32
    assert (mask[0, 0] == 0).tolist() == [True] * 5 + [False] * 2
    assert (mask[0, 1] == 0).tolist() == [True] * 6 + [False]
    assert (mask[0, 2] == MASKED).all()
    assert set(np.unique(mask)) == {0, MASKED}
    longer = prefill_mask(3, 4, 2, history=6)  # two rows of the history stand for nothing
    assert np.array_equal(np.delete(longer, (4, 5), axis=2), mask)
    assert (longer[:, :, 4:6] == MASKED).all()


def test_a_prompt_that_needs_more_chunks_than_are_deployed_is_refused() -> None:
    loop = float32_loop(deployment(16))
    loop.prompt = 17
    with pytest.raises(ValueError, match="17 tokens do not fit 2 chunks of 8"):
        loop.run()


def test_the_cache_takes_so_many_tokens_as_were_compiled() -> None:
    loop = float32_loop(deployment(16, cache=21))
    with pytest.raises(ValueError, match="holds 21"):
        loop.run(*[1] * 6)
    assert loop.position == 21


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
    """And no step is spent on a token that nobody reads on."""
    script = iter([3, 7, 9, 1, 5])
    found, steps = [], []

    def compute(work: Pass, call: Call, layer: int) -> int | None:
        if work.stage != "post":
            steps.append(work.stage)
            return None
        found.append(next(script))
        return found[-1]

    for _ in ride(walk(deployment(8), budget, ends), compute):
        pass
    assert found == expected
    assert steps == ["prefill"] * 2 + ["decode"] * 2 * (len(expected) - 1)


@pytest.mark.parametrize("replay", [True, False])
def test_the_timeline_is_the_same_with_and_without_kernels(replay) -> None:
    """The kernels ride on the simulated request, whose times do not depend on them."""
    deployed = deployment()
    loop = npu_loop(deployed)
    env = simpy.Environment()
    soc = Soc(env, CHIP, replay=replay)
    arrivals: list[tuple[int, float]] = []

    def on_token(token: int, ms: float) -> None:
        arrivals.append((token, ms))

    loop.given = [4, 5]
    request = serve(soc, deployed, 3, compute=loop.compute, on_token=on_token)
    timeline = env.run(env.process(request))
    assert timeline == alone(deployed, tokens=3)
    assert len([*timeline.of("prefill"), *timeline.of("decode")]) == (3 + 2) * 2
    assert [token for token, _ in arrivals] == [4, 5, 0]
    assert [ms for _, ms in arrivals] == pytest.approx(timeline.arrivals_ms)
    for one, other in zip(loop.logits, npu_loop(deployed).run(4, 5), strict=True):
        assert np.array_equal(one, other)


def test_the_end_of_sequence_ends_the_simulated_request() -> None:
    deployed = deployment()
    loop = npu_loop(deployed)
    loop.given = [4, 5, 6]
    env = simpy.Environment()
    request = serve(Soc(env, CHIP), deployed, 9, ends=(5,), compute=loop.compute)
    timeline = env.run(env.process(request))
    assert loop.tokens == [4, 5]
    assert timeline == alone(deployed, tokens=9).first(2)
    assert env.now == timeline.ms * 1e3
