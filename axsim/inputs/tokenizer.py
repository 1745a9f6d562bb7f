"""The checkpoint's tokenizer, by the ``tokenizers`` package: tokenizer.json, or Qwen's older files
vocab.json, merges.txt and added_tokens.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from axsim.errors import InputError
from axsim.files import read_json

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2's tokenizer cuts text before byte pairs are merged (its tokenizer.json)."""


class Tokens:
    """Text to token ids and back.

    Raises InputError when the folder has no tokenizer, a broken one, or tokenizers is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        try:
            import tokenizers
        except ImportError:
            raise InputError("text needs tokenizers: pip install 'axsim[tokenizers]'") from None
        whole, vocabulary = folder / "tokenizer.json", folder / "vocab.json"
        if not whole.exists() and not vocabulary.exists():
            raise InputError(f"{folder} has neither tokenizer.json nor vocab.json and merges.txt")
        try:
            if whole.exists():
                self._model = tokenizers.Tokenizer.from_file(str(whole))
            else:
                self._model = _byte_pairs(folder)
        except InputError:
            raise
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:  # plain Exception, and Rust's panics, which are none
            raise InputError(f"the tokenizer of {folder} cannot be read: {error}") from None

    def encode(self, text: str, begin: bool = False) -> list[int]:
        """Token ids of ``text``, special tokens written out in it recognised; ``begin`` lets the
        tokenizer put its own around them.

        Raises InputError for text with half a surrogate pair, which is no character.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            what = f"the character {error.start + 1} of the prompt is half of a surrogate pair"
            raise InputError(f"{what}, which no text has") from None
        ids: list[int] = self._model.encode(text, add_special_tokens=begin).ids
        return ids

    def beginning(self, text: str) -> list[int]:
        """The tokens that the tokenizer puts before ``text``, as a model was trained to begin."""
        plain, whole = self.encode(text), self.encode(text, begin=True)
        for start in range(len(whole) - len(plain) + 1):
            if whole[start : start + len(plain)] == plain:
                return whole[:start]
        return []

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids`` without special tokens."""
        text: str = self._model.decode(list(ids), skip_special_tokens=True)
        return text

    def id(self, token: str) -> int | None:
        """The id of a token written out, or None when the vocabulary has none such."""
        found: int | None = self._model.token_to_id(token)
        return found


class Decodes(Protocol):
    """Token ids to text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ``ids`` without special tokens."""


class Stream:
    """Pieces of text of tokens that come one by one. A piece waits while its last character is not
    complete: one character may take several tokens."""

    def __init__(self, tokens: Decodes) -> None:
        self._tokens = tokens
        self._ids: list[int] = []
        self._shown = ""

    def push(self, token: int) -> str:
        """The text that ``token`` completes; may be empty."""
        self._ids.append(token)
        text = self._tokens.decode(self._ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        piece = text[len(self._shown) :]
        self._shown = text
        return piece


def _byte_pairs(folder: Path) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers import pre_tokenizers as before

    merges = folder / "merges.txt"
    if not merges.exists():
        raise InputError(f"{folder} has vocab.json but no merges.txt")
    model = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(merges)))
    model.normalizer = normalizers.NFC()
    model.pre_tokenizer = before.Sequence(
        [
            before.Split(Regex(_WORDS), behavior="isolated"),
            before.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    model.decoder = decoders.ByteLevel()
    extra = folder / "added_tokens.json"
    if extra.exists():
        wanted = read_json(extra)
        for token, number in sorted(wanted.items(), key=lambda item: int(item[1])):
            model.add_special_tokens([AddedToken(token, special=True, normalized=False)])
            if model.token_to_id(token) != number:
                found = model.token_to_id(token)
                raise InputError(f"{extra}: {token} cannot have the id {number}; {found} is next")
    return model
