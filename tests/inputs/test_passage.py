"""Texts that builds are judged on."""

from __future__ import annotations

import pytest

pytest.importorskip("tokenizers")

from axsim.errors import InputError
from axsim.inputs import passage
from axsim.inputs.passage import Passage, shipped_page
from axsim.inputs.tokenizer import Tokens
from tests.runs.talking import write_tokenizer


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    write_tokenizer(folder, whole=True)
    return Tokens(folder)


@pytest.fixture
def beginning(tmp_path):
    """A tokenizer that begins every text with a token of its own, as Llama's does."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    write_tokenizer(tmp_path, whole=True)
    file = str(tmp_path / "tokenizer.json")
    model = Tokenizer.from_file(file)
    mark = model.token_to_id("<|endoftext|>")
    model.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", mark)]
    )
    model.save(file)
    return Tokens(tmp_path), mark


def test_the_shipped_page_is_a_page(tokens) -> None:
    page = Passage(tokens)
    text = shipped_page().read_text(encoding="utf-8")
    assert page.name == "the shipped page"
    assert tokens.decode(page.tokens) == text
    assert 600 < len(text.split()) < 900


def test_every_token_is_in_one_piece(tokens) -> None:
    page = Passage(tokens)
    pieces = page.windows(100)
    assert [t for piece in pieces for t in piece] == list(page.tokens)
    assert {len(piece) for piece in pieces[:-1]} == {100}
    assert len(page.windows(10**6)) == 1


def test_a_last_piece_that_predicts_nothing_is_left_out(tokens, tmp_path) -> None:
    (tmp_path / "t.txt").write_text("abcdefghijk", encoding="utf-8")
    assert [len(p) for p in Passage(tokens, tmp_path / "t.txt").windows(5)] == [5, 5]


def test_every_piece_begins_as_the_tokenizer_does(beginning) -> None:
    tokens, mark = beginning
    page = Passage(tokens)
    pieces = page.windows(64)
    assert all(piece[0] == mark and len(piece) <= 64 for piece in pieces)
    assert [t for piece in pieces for t in piece[1:]] == list(page.tokens)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"caf\xe9", "no text in UTF-8: byte 3"),
        (b"a", "has 1 tokens: there is nothing to predict"),
        (b"x" * 65, "has 0 MiB, a text at most 0"),
    ],
)
def test_what_is_no_text(tokens, tmp_path, monkeypatch, content, message) -> None:
    monkeypatch.setattr(passage, "LARGEST", 64)
    if content is not None:
        (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        Passage(tokens, tmp_path / "t.txt")


@pytest.mark.parametrize("path", [".", "/dev/zero"])
def test_what_is_no_file(tokens, path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is no file"):
        Passage(tokens, path)


def test_a_byte_order_mark_is_no_text(tokens, tmp_path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfhello there")
    assert tokens.decode(Passage(tokens, tmp_path / "t.txt").tokens) == "hello there"
