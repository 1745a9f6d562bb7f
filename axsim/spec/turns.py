"""Turns of a conversation: what each asks, and what earlier ones leave in the KV cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from axsim.errors import Fault
from axsim.spec.descriptor import Section

if TYPE_CHECKING:
    from axsim.spec.workload import BuildSection, RequestSection


class Turn(Section):
    """One turn of a conversation. A picture that an earlier turn has shown is in the KV cache, so
    that asking about it again takes no ``images``."""

    text_tokens: PositiveInt = Field(description="tokens around the images of this turn")
    images: NonNegativeInt = Field(0, description="images (tiles) that are new in this turn")
    new_tokens: PositiveInt | None = Field(
        None, description="tokens of the answer; request.new_tokens when not given"
    )


class Asked(NamedTuple):
    """What one turn asks: tokens whose keys and values are there before it, images, tokens that
    prefill has to take, tokens to generate at most."""

    cached_tokens: int
    images: int
    prompt_tokens: int
    new_tokens: int

    @property
    def kept_tokens(self) -> int:
        """Tokens whose keys and values are there after it: the last token of an answer has not been
        through the layers."""
        return self.cached_tokens + self.prompt_tokens + self.new_tokens - 1


def length_faults(
    turns: Iterable[Asked], build: BuildSection, request: RequestSection
) -> Iterator[Fault]:
    """What the first of the turns asks in vain of the KV cache or the compiled prefill."""
    given = [key for key in ("prompt_tokens", "text_tokens") if getattr(request, key)]
    for index, turn in enumerate(turns):
        key = ("request", "turns", index) if request.turns else ("request", *given[:1])
        after = f" after {turn.cached_tokens} cached ones" if turn.cached_tokens else ""
        what = f"a prompt of {turn.prompt_tokens} tokens"
        chunk, ladder = build.prefill_chunk, build.compiled_histories
        last = turn.cached_tokens + (turn.prompt_tokens - 1) // chunk * chunk
        if turn.kept_tokens > build.kv_cache_len:
            what += f" and {turn.new_tokens} new ones{after} is longer than the compiled context"
            allowed = "cached_tokens + " if after else ""
            most = build.kv_cache_len + 1
            allowed += f"prompt_tokens + new_tokens up to {most}, kv_cache_len + 1"
            also = ["build.kv_cache_len"] if "kv_cache_len" in build.model_fields_set else []
            yield Fault(key, what, allowed, also=also)
            return
        if ladder and last > ladder[-1]:
            what += f"{after} is longer than the compiled prefill"
            allowed = f"up to {ladder[-1] + chunk} tokens{' in all' if after else ''}: "
            if build.prefill_history is None:
                allowed += f"{len(ladder)} chunks of {chunk}"
                also = ["build.prefill_max_chunks"]
            else:
                allowed += f"a chunk of {chunk} after {ladder[-1]}"
                also = ["build.prefill_history"]
            yield Fault(key, what, allowed, also=also)
            return


def asked(
    turns: Iterable[Turn], cached_tokens: int, image_tokens: int, new_tokens: int
) -> Iterator[Asked]:
    """What each of the turns asks, given the tokens kept before the first, those of an image and
    those of an answer. From the second turn on the last token of the answer before comes first in
    prefill, see :attr:`Asked.kept_tokens`."""
    carried = 0
    for turn in turns:
        prompt = carried + turn.text_tokens + turn.images * image_tokens
        found = Asked(cached_tokens, turn.images, prompt, turn.new_tokens or new_tokens)
        yield found
        carried, cached_tokens = 1, found.kept_tokens
