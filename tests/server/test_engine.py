"""Answers on the simulated chip: the same with a kept KV cache as without one, in less time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from axsim.compiler.partition import Deployment
from axsim.inputs.template import Message
from axsim.models.config import ProjectorConfig
from axsim.server.engine import Cancelled, Order, Outcome, Piece
from axsim.server.load import load, warm_up
from axsim.server.service import Service
from axsim.spec.chip import load_chip
from axsim.spec.workload import RequestSection
from axsim.system.alone import alone
from tests.runs import tiny
from tests.server.serving import synthetic, trained

GREEDY = RequestSection()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("talking")


@pytest.fixture(scope="module")
def service(folder: Path) -> Service:
    return trained(folder)


def picture(seed: int) -> Any:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8))


def said(text: str, role: str = "user", pictures: int = 0) -> Message:
    return Message(role, (*[""] * pictures, text))


def ask(
    service: Service,
    messages: Sequence[Message],
    pictures: Sequence[Any] = (),
    limit: int | None = 6,
    sampling: RequestSection = GREEDY,
    stops: Sequence[str] = (),
) -> tuple[str, Outcome, list[Piece]]:
    """The text, how it went, and the pieces after the first, which says nothing."""
    question = service.prompts.question(service.workload, messages, pictures)
    pieces: list[Piece] = []
    order = Order(question, sampling, limit, tuple(stops))
    outcome = service.engine.answer(order, pieces.append, lambda: True)
    first, *rest = pieces
    assert first.text == ""
    assert first.ms == 0
    return "".join(piece.text for piece in rest), outcome, rest


def fresh(service: Service) -> None:
    """Forget the cache."""
    service.engine.slots.forget()


def test_pieces_come_when_the_simulated_request_has_them(service: Service) -> None:
    fresh(service)
    _, outcome, pieces = ask(service, [said("hello")])
    assert outcome.new_tokens == len(pieces) == 6
    assert outcome.finish == "length"
    assert tuple(piece.ms for piece in pieces) == outcome.timeline.arrivals_ms
    for piece, after in pairwise(pieces):
        assert piece.next_ms == pytest.approx(after.ms)
    workload = service.workload
    deployed = service.engine._deployment
    request = workload.request.model_copy(
        update={"prompt_tokens": outcome.prompt_tokens, "images": 0, "new_tokens": 6}
    )
    lone = alone(deployed.with_workload(workload.model_copy(update={"request": request})), tokens=6)
    assert outcome.timeline.arrivals_ms == lone.arrivals_ms


def test_a_second_turn_goes_on_with_the_cache(service: Service) -> None:
    fresh(service)
    first, before, _ = ask(service, [said("hello")])
    turns = [said("hello"), said(first, "assistant"), said("and now?")]
    again, after, _ = ask(service, turns)
    # All but the answer's last token is there, if its text gives the same tokens again.
    assert before.prompt_tokens <= after.cached_tokens <= before.prompt_tokens + 5
    fresh(service)
    alone_text, whole, _ = ask(service, turns)
    assert again == alone_text
    assert whole.cached_tokens == 0
    assert whole.prompt_tokens == after.prompt_tokens
    assert after.timeline.ttft_ms < 0.6 * whole.timeline.ttft_ms


def test_a_picture_that_was_seen_is_not_seen_again(service: Service) -> None:
    fresh(service)
    seen = picture(0)
    first, before, _ = ask(service, [said("what?", pictures=1)], [seen])
    assert before.timeline.vision_encode_ms > 0
    turns = [said("what?", pictures=1), said(first, "assistant"), said("why?")]
    again, after, _ = ask(service, turns, [seen])
    assert after.cached_tokens >= before.prompt_tokens
    assert after.timeline.vision_encode_ms == 0
    other, changed, _ = ask(service, turns, [picture(1)])
    assert changed.timeline.vision_encode_ms == before.timeline.vision_encode_ms
    assert changed.cached_tokens < before.prompt_tokens
    fresh(service)
    assert ask(service, turns, [seen])[0] == again
    fresh(service)
    assert ask(service, turns, [picture(1)])[0] == other


def test_two_pictures_of_which_one_is_new(service: Service) -> None:
    fresh(service)
    _, before, _ = ask(service, [said("a", pictures=1)], [picture(0)])
    both = [Message("user", ("", "a", "b"))]
    text, after, _ = ask(service, both, [picture(0), picture(1)])
    assert after.timeline.vision_encode_ms == before.timeline.vision_encode_ms
    assert len([work for work in after.timeline.passes if work.stage == "vision"]) == 1
    fresh(service)
    assert ask(service, both, [picture(0), picture(1)])[0] == text


def test_the_system_prompt_is_computed_once_and_found_after_anything(folder: Path) -> None:
    service = trained(folder, system="Be brief, and never mention the weather or the war.")
    timeline = warm_up(service)
    assert timeline is not None
    assert timeline.ms > 0
    tokens = service.engine.slots.head
    begins = said(service.system or "", "system")
    text, outcome, _ = ask(service, [begins, said("hello")])
    assert outcome.cached_tokens == tokens
    ask(service, [said("something else", "system"), said("hello")])
    again, after, _ = ask(service, [begins, said("hello")])
    assert again == text
    assert after.cached_tokens == tokens
    fresh(service)
    assert ask(service, [begins, said("hello")])[0] == text


@pytest.mark.parametrize("when", ["at once", "prefill", "decode"])
def test_a_cancelled_request_leaves_a_cache_that_can_be_used(service: Service, when: str) -> None:
    fresh(service)
    first, before, _ = ask(service, [said("hello")])
    turns = [said("hello"), said(first, "assistant"), said("x" * 90)]
    question = service.prompts.question(service.workload, turns)
    pieces: list[Piece] = []
    left = {"at once": 0, "prefill": 8, "decode": 10_000}[when]

    def go_on() -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and len(pieces) < 4

    with pytest.raises(Cancelled):
        service.engine.answer(Order(question, GREEDY, 20), pieces.append, go_on)
    assert len(pieces) == {"at once": 0, "prefill": 1, "decode": 4}[when]
    expected = 0 if when == "decode" else before.prompt_tokens
    text, after, _ = ask(service, turns)
    assert after.cached_tokens >= expected
    if when == "decode":
        assert after.cached_tokens == after.prompt_tokens - 1
    fresh(service)
    assert ask(service, turns)[0] == text


def test_each_slot_keeps_a_conversation(folder: Path) -> None:
    texts: list[list[str]] = []

    def turns(slots: int) -> list[bool]:
        """Which of six questions of three conversations go on with their own cache."""
        service = trained(folder, build={"kv_slots": slots})
        talks = [[said(f"question {number}")] for number in (7, 8, 9)]
        found, before = [], [1000] * 3
        for number in (0, 1, 0, 2, 0, 1):
            answer, outcome, _ = ask(service, talks[number], limit=3)
            talks[number] += [said(answer, "assistant"), said("go on")]
            found.append(outcome.cached_tokens >= before[number])
            before[number] = outcome.prompt_tokens
        texts.append([each[-2].text for each in talks])
        return found

    assert turns(1) == [False, False, False, False, False, False]
    assert turns(2) == [False, False, True, False, True, False]
    assert turns(3) == [False, False, True, False, True, True]
    assert texts[0] == texts[1] == texts[2]


def test_two_conversations_that_begin_alike_do_not_pay_for_it() -> None:
    """A prefill call with a history takes longer than one without."""
    service = synthetic(timing_only=True, prefill_chunk=32)
    _, first, _ = ask(service, [said("tell me of cats")])
    _, second, _ = ask(service, [said("tell me of dogs")])
    assert second.cached_tokens == 0
    assert second.timeline.ttft_ms == first.timeline.ttft_ms
    long = "word " * 40
    ask(service, [said(f"{long} cats")])
    _, third, _ = ask(service, [said(f"{long} dogs")])
    assert third.cached_tokens > 32  # that saves a prefill call


def test_an_answer_ends_at_a_stop_sequence(service: Service) -> None:
    fresh(service)
    text, whole, _ = ask(service, [said("hello")], limit=12)
    middle = text[4:6]
    cut, outcome, _ = ask(service, [said("hello")], limit=12, stops=[middle])
    assert cut == text[: text.index(middle)]
    assert outcome.finish == "stop"
    assert outcome.new_tokens < whole.new_tokens
    assert len(outcome.timeline.arrivals_ms) == outcome.new_tokens


def test_an_answer_ends_at_a_token_of_the_model(service: Service) -> None:
    """Of the model or of its template: made one here, since this model says none in time."""
    fresh(service)
    text, whole, _ = ask(service, [said("hello")], limit=12)
    kept = list(service.engine.slots._kept.values())[-1].rows[whole.prompt_tokens :]
    engine, last = service.engine, kept[3]
    before = engine._ends
    engine._ends = frozenset([last])
    try:
        fresh(service)
        cut, outcome, _ = ask(service, [said("hello")], limit=12)
    finally:
        engine._ends = before
    assert outcome.finish == "stop"
    assert outcome.new_tokens == kept.index(last) + 1
    assert text.startswith(cut)


def test_an_answer_ends_where_the_cache_is_full() -> None:
    service = synthetic(timing_only=True)
    _, outcome, _ = ask(service, [said("hello")], limit=None)
    assert outcome.finish == "length"
    assert outcome.prompt_tokens + outcome.new_tokens == service.engine.context == 201
    assert service.engine.slots.tokens == 200
    longest = "a b " * 98 + "a"  # with the marks of message and answer 200 tokens
    _, full, _ = ask(service, [said(longest)], limit=None)
    assert full.prompt_tokens == service.engine.longest_prompt == 200
    assert full.new_tokens == 1


def test_compiled_histories_that_end_early_are_met_by_using_less_of_the_cache() -> None:
    service = synthetic(timing_only=True, prefill_chunk=8, prefill_max_chunks=4)
    assert service.engine.longest_prompt == 32
    _, first, _ = ask(service, [said("a b c d e")], limit=1)
    assert first.prompt_tokens == 8
    question = [said("a b c d e" + " f g h i j k l m" * 3)]
    _, second, _ = ask(service, question, limit=1)
    assert second.prompt_tokens == 32
    assert second.cached_tokens == 0  # 6 tokens would put the last chunk behind the last history


def test_what_looked_ahead_to_the_end_of_its_prompt_is_forgotten() -> None:
    model = replace(tiny.VLM, projector=ProjectorConfig(32, sees_ahead="prompt"))
    workload = tiny.workload(model, {"kv_cache_len": 200, "prefill_chunk": 64})
    service = load(Deployment(workload, load_chip("ax630c")), "tiny")
    for _ in range(2):
        _, outcome, _ = ask(service, [said("what?", pictures=1)], [picture(0)])
        assert outcome.cached_tokens == 0
        assert outcome.timeline.vision_encode_ms > 0
    assert service.engine.slots.tokens == 0
    long = [said("what? " * 12)]
    ask(service, long)
    assert ask(service, [*long, said("a", "assistant"), said("b")])[1].cached_tokens > 0


def test_sampling_follows_its_seed(service: Service) -> None:
    hot = [RequestSection(temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    texts = [ask(service, [said("hello")], limit=12, sampling=each)[0] for each in hot]
    assert texts[0] == texts[1] != texts[2]
    likeliest = RequestSection(temperature=2.0, top_k=1)
    greedy = ask(service, [said("hello")], limit=12)[0]
    assert ask(service, [said("hello")], limit=12, sampling=likeliest)[0] == greedy


def test_synthetic_weights_say_so_and_their_words_are_found_in_the_cache() -> None:
    service = synthetic()
    text, first, _ = ask(service, [said("hello")])
    assert text.startswith("[synthetic weights: seeded words without meaning] ")
    words = text.partition("] ")[2]
    assert len(words.split()) == first.new_tokens == 6
    turns = [said("hello"), said(" " + words, "assistant"), said("go on")]
    _, second, _ = ask(service, turns)
    assert second.cached_tokens == first.prompt_tokens + 5
    assert ask(service, [said("hello")])[0] == text


def test_without_kernels_times_are_the_same_and_answers_say_so(service: Service) -> None:
    computed, seeded = synthetic(), synthetic(timing_only=True)
    _, one, _ = ask(computed, [said("hello")])
    text, other, _ = ask(seeded, [said("hello")])
    assert text.startswith("[no kernels: seeded tokens without meaning] ")
    assert other.timeline.arrivals_ms == one.timeline.arrivals_ms
    assert ask(seeded, [said("hello")], sampling=RequestSection(seed=1))[0] != text
