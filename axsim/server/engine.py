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
from axsim.server.computing import Computing, KeysAndValues
from axsim.server.history import Row, Rows
from axsim.server.saying import Saying
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

    A prompt goes on with the rows that it has in common with the last one and its answer, if those
    are more than the ``head`` tokens that all prompts begin with: a prefill call with a history
    takes longer than one without, which two conversations that begin alike would pay for nothing.
    The head itself is kept where it was computed before, see :meth:`precompute`.
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
        self._notice, self._head = notice, head
        self._npu = Npu()
        self._kept: list[Row] = []
        self._system: list[Row] = []
        self._system_cache: KeysAndValues | None = None

    @property
    def kept_tokens(self) -> int:
        """Tokens in the KV cache."""
        return len(self._kept)

    @property
    def head_tokens(self) -> int:
        """Tokens that all prompts begin with."""
        return self._head

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
        tokens = self._head
        head = Question(question.tokens[:tokens], question.image_rows[:tokens], (), ())
        outcome = self._run(Order(head, RequestSection(), 1), lambda piece: None, lambda: None)
        self._system = self._kept[:tokens]
        if self._computing is not None:
            self._system_cache = self._computing.keys_and_values(tokens)
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
        cached = self._resume(rows)
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
        self._kept = rows.all[:cached]
        try:
            timeline = env.run(env.process(request))
        finally:
            if said.tokens and not self._forgets(question):
                self._kept = [*rows.all, *said.tokens[:-1]]
        assert isinstance(timeline, RequestTimeline)
        finish: Literal["stop", "length"] = "stop" if said.ended else "length"
        return Outcome(len(question.tokens), cached, len(said.tokens), finish, timeline)

    def _resume(self, rows: Rows) -> int:
        """How many rows are in the cache; the system prompt is put there if that is more."""
        if self._forgets(rows.question):
            return 0
        last, system = self._common(rows, self._kept), self._common(rows, self._system)
        if last <= self._head:
            last = 0
        if system <= last:
            return last
        if self._computing is not None and self._system_cache is not None:
            self._computing.restore(self._system_cache)
        return system

    def _common(self, rows: Rows, kept: Sequence[Row]) -> int:
        """What of a prompt is kept: whole chunks of it where the compiled histories do not reach
        further."""
        build = self._deployment.workload.build
        common, size = rows.common(kept), build.prefill_chunk
        last = common + (len(rows.all) - 1 - common) // size * size
        if build.compiled_histories and last > build.compiled_histories[-1]:
            return rows.common(kept[: common // size * size])
        return common

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
