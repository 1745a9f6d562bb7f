"""What one server serves: a model under a name, and how its requests become orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import count
from typing import Any, Protocol

from axsim.errors import InputError
from axsim.inputs.prompts import Question
from axsim.inputs.template import Message
from axsim.inputs.tokenizer import Decodes
from axsim.server.engine import Engine, Order
from axsim.server.messages import conversation, pictures
from axsim.server.refusal import Refusal
from axsim.server.wire import ChatRequest
from axsim.spec.workload import RequestSection, Workload


class Writes(Protocol):
    """How prompts are written: :class:`axsim.inputs.prompts.Prompts`, or its stand-in."""

    @property
    def tokens(self) -> Decodes:
        """Its tokenizer."""

    def question(
        self, workload: Workload, messages: Sequence[Message], pictures: Sequence[Any] = ()
    ) -> Question:
        """A conversation that ends with a question."""


@dataclass(frozen=True)
class Service:
    """``name`` is what clients call the model, ``about`` what the list of models says of it,
    ``system`` the system prompt of conversations that have none."""

    name: str
    workload: Workload
    engine: Engine
    prompts: Writes
    about: dict[str, Any]
    system: str | None = None
    _numbers: count[int] = field(default_factory=count)

    @property
    def fingerprint(self) -> str:
        """Version, chip, variant and where answers come from, for ``system_fingerprint``."""
        parts = (self.about[key] for key in ("chip", "variant", "answers"))
        return "-".join(["axsim", version("axsim"), *parts])

    def check_name(self, name: str | None) -> None:
        """Refusal for another model's name."""
        if name is not None and name != self.name:
            what = f"there is no model {name!a}; allowed: {self.name}"
            raise Refusal(404, what, param="model", code="model_not_found")

    def order(self, asked: ChatRequest) -> Order:
        """What a request asks of the engine; Refusal when it can't be asked."""
        self.check_name(asked.model)
        messages = conversation(asked.messages, self.system)
        size, longest = self.workload.image_tokens, self.engine.longest_prompt
        opened = pictures(asked.messages, longest // size if size else None)
        try:
            question = self.prompts.question(self.workload, messages, opened)
        except InputError as error:
            raise Refusal(400, str(error), param="messages") from None
        if len(question.tokens) > longest:
            what = f"the messages have {len(question.tokens)} tokens; allowed: {longest}"
            raise Refusal(400, what, param="messages", code="context_length_exceeded")
        return Order(question, self._sampling(asked), asked.limit, tuple(asked.stop))

    def _sampling(self, asked: ChatRequest) -> RequestSection:
        """The workload's way to choose tokens, where the request says nothing else. Without a seed
        every request has the next one."""
        own, number = self.workload.request, next(self._numbers)
        seed = own.seed + number if asked.seed is None else asked.seed % 2**63
        temperature = own.temperature if asked.temperature is None else asked.temperature
        top_p = own.top_p if asked.top_p is None else asked.top_p
        top_k = own.top_k if asked.top_k is None else asked.top_k
        if not temperature or top_p == 0:
            return RequestSection(seed=seed)
        return RequestSection(
            seed=seed,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k if top_k and top_k > 0 else None,
        )
