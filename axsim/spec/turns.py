"""Turns of a conversation: what each asks, and what earlier ones leave in the KV cache."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from axsim.errors import Fault
from axsim.spec.descriptor import Section


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


class Compiled(NamedTuple):
    """What is compiled for prompts: tokens of a prefill call, its histories (empty: all that are
    needed), tokens that the KV cache holds; and the keys of the build that were ``given``."""

    chunk: int
    histories: tuple[int, ...]
    kv_cache_len: int
    given: Collection[str]


def length_faults(
    turns: Iterable[Asked], compiled: Compiled, prompt_key: tuple[str, ...] | None
) -> Iterator[Fault]:
    """What the first of the turns asks in vain of the KV cache or the compiled prefill;
    ``prompt_key`` is what a lone request's is blamed on."""
    chunk, ladder, longest, given = compiled
    for index, turn in enumerate(turns):
        key: tuple[str | int, ...] = prompt_key or ("request", "turns", index)
        after = f" after {turn.cached_tokens} cached ones" if turn.cached_tokens else ""
        what = f"a prompt of {turn.prompt_tokens} tokens"
        last = turn.cached_tokens + (turn.prompt_tokens - 1) // chunk * chunk
        if turn.kept_tokens > longest:
            what += f" and {turn.new_tokens} new ones{after} is longer than the compiled context"
            allowed = "cached_tokens + " if after else ""
            allowed += f"prompt_tokens + new_tokens up to {longest + 1}, kv_cache_len + 1"
            also = ["build.kv_cache_len"] if "kv_cache_len" in given else []
            yield Fault(key, what, allowed, also=also)
            return
        if ladder and last > ladder[-1]:
            what += f"{after} is longer than the compiled prefill"
            allowed = f"up to {ladder[-1] + chunk} tokens{' in all' if after else ''}: "
            if "prefill_history" in given:
                allowed += f"a chunk of {chunk} after {ladder[-1]}"
                also = ["build.prefill_history"]
            else:
                allowed += f"{len(ladder)} chunks of {chunk}"
                also = ["build.prefill_max_chunks"]
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
