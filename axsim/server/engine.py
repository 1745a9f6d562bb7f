"""Answers questions on a simulated chip, one after the other, on what is left in the KV cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from simpy import Environment

from axsim.compiler.partition import Deployment
from axsim.inputs.prompts import Question
from axsim.inputs.sampling import Sampler
from axsim.inputs.tokenizer import Decodes
from axsim.machine.npu import Npu
from axsim.server.computing import Computing
from axsim.server.history import Rows
from axsim.server.saying import Saying
from axsim.server.slots import Slots
from axsim.spec.descriptor import override
from axsim.spec.workload import BuildSection, RequestSection
from axsim.system.alone import alone
from axsim.system.request import Call, Pass
from axsim.system.request_timeline import RequestTimeline
from axsim.system.serve import serve
from axsim.system.soc import Soc


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Order:
    """A question, how tokens are chosen (of a request's keys those of sampling count), how many at
    most (None: what the KV cache holds), and texts that end the answer."""

    question: Question
    sampling: RequestSection
    limit: int | None = None
    stops: tuple[str, ...] = ()


class Piece(NamedTuple):
    """Text and when it is there, simulated ms after the request's turn has come; ``next_ms`` is
    when the next is to be expected. The first piece, at 0, says nothing but that."""

    text: str
    ms: float
    next_ms: float


@dataclass(frozen=True)
class Outcome:
    """How a request went. ``prompt_tokens`` includes ``cached_tokens``, which were in the KV cache;
    ``timeline`` is the simulated request."""

    prompt_tokens: int
    cached_tokens: int
    new_tokens: int
    finish: Literal["stop", "length"]
    timeline: RequestTimeline


def longest_prompt(build: BuildSection) -> int:
    """Tokens of the longest prompt that the KV cache and the compiled histories take."""
    compiled = build.compiled_histories
    longest = compiled[-1] + build.prefill_chunk if compiled else build.kv_cache_len
    return min(longest, build.kv_cache_len)


class Engine:
    """One deployed model. ``ends`` are its tokens that end an answer, ``notice`` what every answer
    begins with. Without ``computing`` no kernels run and seeded tokens come at the same times.
    All prompts begin with the same ``head`` tokens; see :class:`~axsim.server.slots.Slots`.
    """

    def __init__(
        self,
        deployment: Deployment,
        tokens: Decodes,
        ends: Sequence[int],
        computing: Computing | None = None,
        notice: str = "",
        head: int = 0,
    ) -> None:
        self._deployment, self._tokens, self._ends = deployment, tokens, frozenset(ends)
        self._computing = computing
        self._notice = notice
        self._npu = Npu()
        self.slots = Slots(deployment.workload.build, head, computing)

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together at most: the last one is not cached."""
        return self._deployment.workload.build.kv_cache_len + 1

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt that an answer can follow."""
        return longest_prompt(self._deployment.workload.build)

    def precompute(self, question: Question) -> RequestTimeline:
        """Fill the KV cache with the head of a question, and keep it for all others. Returns what
        that takes."""
        tokens = self.slots.head
        head = Question(question.tokens[:tokens], question.image_rows[:tokens], (), ())
        outcome = self._run(Order(head, RequestSection(), 1), lambda piece: None, lambda: None)
        self.slots.precompute()
        return outcome.timeline

    def answer(
        self, order: Order, tell: Callable[[Piece], None], go_on: Callable[[], bool]
    ) -> Outcome:
        """Simulate a request; each piece of the answer is told as soon as it is computed.

        Raises:
            Cancelled: ``go_on`` said no.
            InputError: the prompt does not fit what is compiled.
        """

        def check() -> None:
            if not go_on():
                raise Cancelled

        check()
        return self._run(order, tell, check)

    def _run(
        self, order: Order, tell: Callable[[Piece], None], check: Callable[[], None]
    ) -> Outcome:
        question = order.question
        rows = Rows(question, self._deployment.workload.image_tokens)
        forgets = self._forgets(question)
        cached = self.slots.take(None if forgets else rows)
        known = rows.pictures_in(cached)
        pictures = question.pictures[known:]
        deployment, limit = self._asked(order, cached, len(pictures))
        planned = alone(deployment, self._npu)
        ends = {*self._ends, *question.ends}
        said = Saying(self._tokens, order.stops, ends, limit, self._notice)
        sampler = Sampler(order.sampling)
        if self._computing is None:
            compute = self._seeded(order.sampling.seed, ends)
        else:
            self._computing.begin(deployment, question, cached, pictures, sampler, check)
            compute = self._computing.compute

        def on_token(token: int, ms: float) -> None:
            check()
            text = said.push(token)
            tell(Piece(text, ms, ms + planned.token_ms))

        tell(Piece("", 0.0, planned.image_to_first_token_ms))
        env = Environment()
        soc = Soc(env, deployment.chip, {"npu": deployment.mode.name}, npu=self._npu)
        request = serve(soc, deployment, limit, ends=ends, compute=compute, on_token=on_token)
        try:
            timeline = env.run(env.process(request))
        finally:
            if said.tokens and not forgets:
                self.slots.keep(rows.all, said.tokens)
        assert isinstance(timeline, RequestTimeline)
        finish: Literal["stop", "length"] = "stop" if said.ended else "length"
        return Outcome(len(question.tokens), cached, len(said.tokens), finish, timeline)

    def _forgets(self, question: Question) -> bool:
        """Whether what is cached fits no other prompt: its rows have looked ahead to its end."""
        projector = self._deployment.model.projector
        ahead = projector is not None and projector.sees_ahead == "prompt"
        return ahead and bool(question.pictures)

    def _asked(self, order: Order, cached: int, pictures: int) -> tuple[Deployment, int]:
        """The deployment with what is asked of it, and how many tokens there can be."""
        asked = len(order.question.tokens)
        room = self.context - asked
        limit = room if order.limit is None else min(order.limit, room)
        workload = self._deployment.workload
        keys: dict[str, object] = {
            "request.prompt_tokens": asked - cached,
            "request.cached_tokens": cached,
            "request.new_tokens": limit,
        }
        if workload.model.vision is not None:
            keys["request.images"] = pictures
        return self._deployment.with_workload(override(workload, keys)), limit

    def _seeded(self, seed: int, ends: set[int]) -> Callable[[Pass, Call, int], int | None]:
        """Tokens in place of computed ones; none of them ends the answer."""
        decoder = self._deployment.model.decoder
        assert decoder is not None
        stream = np.random.SFC64(np.random.SeedSequence([seed]))
        before = frozenset(ends)

        def compute(work: Pass, call: Call, layer: int) -> int | None:
            if work.stage != "post":
                return None
            while (token := int(stream.random_raw() % decoder.vocab_size)) in before:
                pass
            return token

        return compute
