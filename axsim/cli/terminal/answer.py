"""The answer to ``axsim run --prompt``, token by token, with the time it would take the chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from axsim.inputs.tokenizer import Tokens
    from axsim.runs.results import VariantResult

Piece: TypeAlias = "tuple[str, float] | None"
"""The text of a token and its arrival in ms after the start; None at the end of an answer."""
Show: TypeAlias = "Callable[[Answer, Piece], None]"


class Answer:
    """What one variant answers: token ids, the text that each completes, and its arrival in ms
    after the picture (or, without one, the prompt) was there."""

    def __init__(self, variant: VariantResult, tokens: Tokens) -> None:
        from axsim.inputs.tokenizer import Stream

        self.name = variant.name
        self._first = variant.stages.image_to_first_token_ms
        self._step = variant.stages.token_ms
        self._stream = Stream(tokens)
        self.pieces: list[tuple[int, str, float]] = []

    def push(self, token: int) -> tuple[str, float]:
        """Take in the next token; its text and its arrival."""
        arrival = self._first + len(self.pieces) * self._step
        text = self._stream.push(token)
        self.pieces.append((token, text, arrival))
        return text, arrival

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(text for _, text, _ in self.pieces)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        pieces = [{"id": i, "text": text, "arrival_ms": ms} for i, text, ms in self.pieces]
        return {"text": self.text, "tokens": pieces}
