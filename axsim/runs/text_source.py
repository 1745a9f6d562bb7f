"""Which text the builds of a run are judged on, if any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.runs.sources import Sources

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat
    from axsim.inputs.passage import Passage


def open_passage(
    deployments: Sequence[Deployment], sources: Sources, chat: Chat | None = None
) -> tuple[Passage | None, str | None]:
    """The text, or why there is none. Synthetic weights are judged on none; a question is answered
    without one unless a text is asked for.

    Raises InputError when the text that is asked for cannot be read, or nothing reads it.
    """
    if sources.checkpoint is None:
        return None, None
    if not any(each.model.decoder for each in deployments):
        if sources.text is not None:
            raise InputError("--text judges a language model: the workload has no decoder")
        return None, None
    if any(each.model.hears for each in deployments):
        what = "its decoder writes what the encoder hears, and reads no text alone"
        if sources.text is not None:
            raise InputError(f"--text judges a language model: {what}")
        return None, what
    if chat is not None and sources.text is None:
        return None, None
    from axsim.inputs.passage import Passage
    from axsim.inputs.tokenizer import Tokens

    try:
        tokens = chat.tokens if chat is not None else Tokens(sources.checkpoint)
    except InputError as error:
        if sources.text is not None:
            raise
        return None, str(error)
    return Passage(tokens, sources.text), None
