"""Chat templates: what a person says becomes the text that the model was trained to read.

The templates of the InternVL models, by the name in config.json (conversation.py); else the
checkpoint's own Jinja template; else ChatML where the tokenizer has its tokens. A model without any
of these continues the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from axsim.errors import InputError
from axsim.inputs.rendering import rendered
from axsim.inputs.tokenizer import Tokens
from axsim.models.checkpoint import read_object

TURN_END = "<|im_end|>"


class Message(NamedTuple):
    """What one side says, ``system``, ``user`` or ``assistant``: the texts between its pictures, so
    one text when it has none."""

    role: str
    said: tuple[str, ...]

    @property
    def text(self) -> str:
        """All texts, without what stands between them."""
        return "".join(self.said)


@dataclass(frozen=True)
class _ChatMl:
    """Turns between ``<|im_start|>`` and ``<|im_end|>``, with ``after`` behind each; ``system`` is
    said first where nothing else is."""

    system: str = ""
    after: str = "\n"

    def __call__(self, messages: Sequence[Message]) -> str:
        spoken = [(each.role, each.text) for each in messages]
        if self.system and spoken[0][0] != "system":
            spoken.insert(0, ("system", self.system))
        turns = [f"<|im_start|>{role}\n{text}{TURN_END}{self.after}" for role, text in spoken]
        return "".join(turns) + "<|im_start|>assistant\n"


_HERMES = _ChatMl(
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，"
    "英文名叫InternVL, 是一个有用无害的人工智能助手。",
    after="",
)
"""InternVL2's template: no line break after the separator."""
_INTERNVL2_5 = _ChatMl(
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、"
    "清华大学及多家合作单位联合开发的多模态大语言模型。"
)
TEMPLATES = {"Hermes-2": _HERMES, "internvl2_5": _INTERNVL2_5}
"""By the name in config.json."""

Render = Callable[[Sequence[Message]], str]


@dataclass(frozen=True)
class Template:
    """``render`` makes the prompt's text of a conversation whose last message is a question;
    ``ends`` are tokens that end the answer, beside the model's own. ``plain``: the text is
    continued, and the tokenizer puts its own tokens around it. ``parts``, of a template that can
    place pictures, renders what is said between them, and is None where it can't.
    """

    render: Render
    ends: tuple[str, ...] = ()
    plain: bool = False
    parts: Callable[[Sequence[Message]], str | None] | None = None


def template_of(folder: str | Path, config: Mapping[str, Any], tokens: Tokens) -> Template:
    """The template of a checkpoint with this config.json and tokenizer.

    Raises InputError for an unknown name, for a Jinja template without jinja2 and for one that
    cannot be rendered (also from ``render``).
    """
    name = config.get("template")
    if name is not None:
        if name not in TEMPLATES:
            known = ", ".join(TEMPLATES)
            raise InputError(f"{folder}: the chat template {name!r} is unknown; known: {known}")
        return _written(TEMPLATES[name])
    described = _optional(Path(folder) / "tokenizer_config.json")
    source = _jinja_source(Path(folder), described)
    if source is not None:
        return _jinja(source, folder, described)
    if tokens.id(TURN_END) is not None:
        return _written(_ChatMl())
    return Template(lambda messages: "\n".join(each.text for each in messages), plain=True)


def _written(render: Render) -> Template:
    return Template(render, (TURN_END,))


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}


def _jinja_source(folder: Path, described: Mapping[str, Any]) -> str | None:
    """The template's text from chat_template.jinja, chat_template.json or tokenizer_config.json;
    of several named ones the default."""
    alone = folder / "chat_template.jinja"
    if alone.exists():
        try:
            return alone.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{alone} is no UTF-8 text") from None
    beside = _optional(folder / "chat_template.json")
    found = beside.get("chat_template") or described.get("chat_template")
    if isinstance(found, list):
        named = [each for each in found if isinstance(each, dict)]
        defaults = [each.get("template") for each in named if each.get("name") == "default"]
        found = defaults[-1] if defaults else None
    return found if isinstance(found, str) else None


def _jinja(source: str, folder: str | Path, described: Mapping[str, Any]) -> Template:
    """A Jinja template, see :mod:`axsim.inputs.rendering`."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        what = f"{folder} has a chat template of its own, which needs jinja2"
        raise InputError(f"{what}: pip install 'axsim[tokenizers]'") from None
    special = {key: _token(described[key]) for key in described if key.endswith("_token")}

    def split(messages: Sequence[Message]) -> list[tuple[str, object]]:
        return [(each.role, _content(each)) for each in messages]

    def parts(messages: Sequence[Message]) -> str | None:
        (found,) = rendered(source, special, [split(messages)])
        return None if found.error else found.text

    def render(messages: Sequence[Message]) -> str:
        asked = messages[-1].text.strip()
        # Templates of models that see may take nothing but a list of parts.
        texts: list[tuple[str, object]] = [(each.role, each.text) for each in messages]
        whole, apart = rendered(source, special, [texts, split(messages)])
        if not whole.error and asked in whole.text:
            return whole.text
        if not apart.error and (asked in apart.text or not whole.error):
            return apart.text or whole.text
        if whole.error:
            raise InputError(f"the chat template of {folder} cannot be rendered: {whole.error}")
        return whole.text

    ends = special.get("eos_token")
    return Template(render, (ends,) if ends else (), parts=parts)


def _content(message: Message) -> list[dict[str, str]]:
    """A message as a list of texts and pictures."""
    content: list[dict[str, str]] = []
    for index, text in enumerate(message.said):
        content += [{"type": "image"}] if index else []
        # Line breaks around pictures are the template's own.
        content += [{"type": "text", "text": text.strip("\n")}] if text.strip() else []
    return content


def _token(value: object) -> str:
    """A special token of tokenizer_config.json, written out or described."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""
