"""Answers as OpenAI's chat completions have them, whole and in chunks."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from axsim.server.engine import Outcome, Piece


@dataclass(frozen=True)
class Completion:
    """What all documents of one answer have in common."""

    model: str
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, outcome: Outcome) -> dict[str, Any]:
        """The answer as one document."""
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            **self._head("chat.completion"),
            "choices": [self._choice(message=message, finish=outcome.finish)],
            "usage": usage(outcome),
        }

    def chunk(self, piece: Piece, first: bool) -> dict[str, Any]:
        """One piece of a stream, with its simulated time."""
        delta = {"role": "assistant", "content": ""} if first else {"content": piece.text}
        return {
            **self._head("chat.completion.chunk"),
            "choices": [self._choice(delta=delta)],
            "simulated": {"ms": piece.ms, "next_ms": piece.next_ms},
        }

    def last(self, outcome: Outcome) -> dict[str, Any]:
        """The end of a stream."""
        choice = self._choice(delta={}, finish=outcome.finish)
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def used(self, outcome: Outcome) -> dict[str, Any]:
        """The usage behind the end of a stream."""
        head = self._head("chat.completion.chunk")
        return {**head, "choices": [], "usage": usage(outcome)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }

    @staticmethod
    def _choice(finish: str | None = None, **said: Any) -> dict[str, Any]:
        return {"index": 0, **said, "logprobs": None, "finish_reason": finish}


def usage(outcome: Outcome) -> dict[str, Any]:
    """Tokens, and under ``simulated`` the times of the chip: those of :mod:`axsim.system.metrics`,
    None where a request has none."""
    timeline = outcome.timeline
    return {
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.new_tokens,
        "total_tokens": outcome.prompt_tokens + outcome.new_tokens,
        "prompt_tokens_details": {"cached_tokens": outcome.cached_tokens},
        "simulated": {
            "vision_encode_ms": timeline.vision_encode_ms or None,
            "ttft_ms": timeline.ttft_ms,
            "image_to_first_token_ms": timeline.image_to_first_token_ms,
            "decode_tokens_per_s": timeline.decode_tokens_per_s or None,
            "total_ms": timeline.ms,
        },
    }
