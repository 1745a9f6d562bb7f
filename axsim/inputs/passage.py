"""A text that builds are judged on: a file of the reader's, or the page that comes with axsim."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axsim.errors import InputError
from axsim.inputs.tokenizer import Tokens
from axsim.spec.descriptor import data_folder

LARGEST = 16 << 20
"""Bytes of a text at most: some four million tokens."""

PAGE = "the shipped page"


class Passage:
    """A text as tokens. ``name`` says to people which it is.

    Raises InputError for a file that is missing, empty, too large or no UTF-8, and as
    :class:`~axsim.inputs.tokenizer.Tokens` for a checkpoint without a tokenizer.
    """

    def __init__(self, tokens: Tokens, file: str | Path | None = None) -> None:
        self.name = PAGE if file is None else Path(file).name
        text = read_text(shipped_page() if file is None else file)
        self.tokens: Sequence[int] = tokens.encode(text)
        self._beginning = tokens.beginning(text)
        if len(self.tokens) + len(self._beginning) < 2:
            raise InputError(f"{file} has {len(self.tokens)} tokens: there is nothing to predict")

    def windows(self, capacity: int) -> list[list[int]]:
        """The text in pieces of up to ``capacity`` tokens, each of which is read on its own and
        begins as the tokenizer begins a text. A last piece that predicts nothing is left out."""
        room = max(capacity - len(self._beginning), 1)
        pieces = [
            [*self._beginning, *self.tokens[start : start + room]]
            for start in range(0, len(self.tokens), room)
        ]
        return [piece for piece in pieces if len(piece) > 1]


def shipped_page() -> Path:
    """The page that comes with axsim, of words that no model has been trained on."""
    return data_folder("texts") / "page.txt"


def read_text(file: str | Path) -> str:
    """The text of a file; InputError when it cannot be one."""
    path = Path(file)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(f"the text {path} cannot be read: it is no file")
        if size > LARGEST:
            raise InputError(f"{path} has {size >> 20} MiB, a text at most {LARGEST >> 20}")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"the text {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: byte {error.start}") from None
    if not text.strip():
        raise InputError(f"{path} is empty: there is nothing to predict")
    return text
