"""What a deployment is asked: its prompt, embedded, and the tokens that end its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.sampling import end_of_sequence, family_end
from axsim.inputs.seeded import image_span, seeded_tokens
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt, prompt_of

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

Embed = Callable[[list[int]], Array]
"""Rows [tokens, hidden] of the embedding table."""


def asked_prompt(
    deployment: Deployment,
    embed: Embed,
    images: Sequence[Array],
    chat: Chat | None = None,
    turn: int = 0,
    carried: Sequence[int] = (),
) -> Prompt:
    """The prompt of a turn, of the question or a seeded one; the rows of ``images`` in their place.
    ``carried`` tokens of the answer before come first.

    Raises InputError when the tokenizer has more tokens than the model.
    """
    workload = deployment.workload
    if chat is not None:
        question, cached = chat.question(deployment), workload.cached_tokens
        check_vocabulary(deployment, question.tokens)
        rows, shown = embed(list(question.tokens[cached:])), question.image_rows[cached:]
        return prompt_of(deployment.model, rows, shown, images, workload.image_size)
    cfg = deployment.model.decoder
    assert cfg is not None
    count, seed = workload.prompt_tokens, workload.request.seed
    name = f"prompt {turn + 1}" if turn else "prompt"
    tokens = seeded_tokens(count - len(carried), cfg.vocab_size, seed, family_end(cfg), name)
    image_rows = np.zeros(count, np.bool_)
    if images:
        image_rows[image_span(workload)] = True
    rows = embed([*carried, *tokens])
    return prompt_of(deployment.model, rows, image_rows, images, workload.image_size)


def cached_prompt(deployment: Deployment, embed: Embed, chat: Chat | None = None) -> Prompt | None:
    """What the request finds in the KV cache, if anything."""
    count, cfg = deployment.workload.cached_tokens, deployment.model.decoder
    if not count or cfg is None:
        return None
    if chat is None:
        seed = deployment.workload.request.seed
        tokens = seeded_tokens(count, cfg.vocab_size, seed, family_end(cfg), "cached")
    else:
        tokens = list(chat.question(deployment).tokens[:count])
    return text_prompt(deployment, embed, tokens)


def text_prompt(deployment: Deployment, embed: Embed, tokens: Sequence[int]) -> Prompt:
    """Nothing but a text; InputError for a decoder that attends to an encoder."""
    if deployment.model.hears:
        name = deployment.workload.name
        raise InputError(f"{name} writes what its encoder hears: it reads no text alone")
    rows = embed(list(tokens))
    none = np.zeros(len(tokens), np.bool_)
    return prompt_of(deployment.model, rows, none, (), deployment.workload.image_size)


def ends(
    deployment: Deployment, held: Sequence[int] | None, chat: Chat | None = None
) -> tuple[int, ...]:
    """The tokens that end the answer, of which a checkpoint ``held`` some; those of a turn of a
    chat, too. None when the request does not stop there."""
    if not deployment.workload.request.stop_at_eos:
        return ()
    found = end_of_sequence(deployment.workload, held)
    return found if chat is None else (*found, *chat.question(deployment).ends)


def check_vocabulary(deployment: Deployment, tokens: Sequence[int]) -> None:
    """InputError when the model has no embedding for a token."""
    cfg = deployment.model.decoder
    assert cfg is not None
    if max(tokens) >= cfg.vocab_size:
        what = f"the tokenizer has the id {max(tokens)}"
        raise InputError(f"{what}, the model {cfg.vocab_size} rows for embeddings")
