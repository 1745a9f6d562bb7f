"""The messages of a request as a conversation with its pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from axsim.errors import InputError
from axsim.inputs.images import open_picture
from axsim.inputs.template import Message
from axsim.server.refusal import Refusal
from axsim.server.wire import Picture, Spoken

MAX_PIXELS = 50_000_000
"""Of all pictures of a request together: what a telephone takes. Decoded they are 150 MB."""

NOTICES = {
    "synthetic": "[synthetic weights: seeded words without meaning]",
    "timing": "[no kernels: seeded tokens without meaning]",
}
"""What answers that no trained model gave begin with. It is no part of what the model said."""

_DATA = re.compile(r"data:image/[\w.+-]+(;[\w-]+=[\w-]*)*(?P<base64>;base64)?,", re.ASCII)


def conversation(spoken: Sequence[Spoken], system: str | None) -> list[Message]:
    """The messages in turn, ``system`` before them where none of them is a system prompt.

    Refusal for a picture that is not in a question.
    """
    messages = []
    for number, each in enumerate(spoken):
        role = "system" if each.role == "developer" else each.role
        if role != "user" and any(isinstance(part, Picture) for part in each.content):
            what = f"messages[{number}].content: a picture in a message of the {role}"
            raise Refusal(400, f"{what}; allowed: the user's", param="messages")
        said = _said(each)
        if role == "assistant":
            said = tuple(_without_notice(text) for text in said)
        messages.append(Message(role, said))
    if system is not None and all(each.role != "system" for each in messages):
        messages.insert(0, Message("system", (system,)))
    return messages


def _said(spoken: Spoken) -> tuple[str, ...]:
    """The texts between the pictures; one that follows a picture begins a line, as models of
    pictures were trained."""
    said = [""]
    for part in spoken.content:
        if isinstance(part, Picture):
            said.append("")
        else:
            after_picture = len(said) > 1 and not said[-1] and not part.text.startswith("\n")
            said[-1] += f"\n{part.text}" if after_picture and part.text else part.text
    return tuple(said)


def _without_notice(text: str) -> str:
    for notice in NOTICES.values():
        text = text.removeprefix(notice)
    return text


def pictures(spoken: Sequence[Spoken], most: int | None) -> list[Any]:
    """The pictures of the messages as Pillow images, ``most`` of them at most, or None for a model
    that sees none.

    Refusal for what is no data URI of a readable picture, for too large ones and for too many.
    """
    found = [
        (f"messages[{number}].content[{place}].image_url", part.image_url.url)
        for number, each in enumerate(spoken)
        for place, part in enumerate(each.content)
        if isinstance(part, Picture)
    ]
    if found and most is None:
        what = f"{found[0][0]}: this model sees no pictures"
        raise Refusal(400, what, param="messages", code="invalid_image_url")
    if most is not None and len(found) > most:
        what = f"{len(found)} pictures have more tokens than the context; allowed: {most}"
        raise Refusal(400, what, param="messages", code="context_length_exceeded")
    opened, left = [], MAX_PIXELS
    for place, url in found:
        opened.append(_opened(place, url, left))
        left -= opened[-1].width * opened[-1].height
    return opened


def _opened(place: str, url: str, max_pixels: int) -> Any:
    head = _DATA.match(url)
    if head is None:
        what = f"{place}: found {url[:40]!a}; allowed: data:image/png;base64,… and the like"
        hint = "" if url.startswith("data:") else " (this server fetches nothing)"
        raise Refusal(400, what + hint, param="messages", code="invalid_image_url")
    try:
        if head["base64"]:
            content = base64.b64decode(url[head.end() :], validate=True)
        else:
            content = unquote_to_bytes(url[head.end() :])
    except ValueError as error:
        what = f"{place}: no base64: {error}"
        raise Refusal(400, what, param="messages", code="invalid_image_url") from None
    try:
        return open_picture(BytesIO(content), place, max_pixels)
    except InputError as error:
        raise Refusal(400, str(error), param="messages", code="invalid_image") from None
