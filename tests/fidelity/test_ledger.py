"""Reading ledgers and architectures; every fault is told with its line and column."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import InputError
from axsim.fidelity.ledger import (
    COLUMNS,
    load_ledger,
    load_models,
    shipped_ledger,
    shipped_models,
)
from axsim.fidelity.validate import architectures
from tests.fidelity.rows import DECODE, VISION, write


def faults(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_ledger(path)
    return [str(problem) for problem in caught.value.problems]


def test_shipped_rows_have_unique_ids_and_known_models() -> None:
    rows = load_ledger(shipped_ledger())
    models = load_models(shipped_models())
    assert len({row.id for row in rows}) == len(rows) == 155
    for row in rows:
        assert row.model in models or row.metric == "compiler_cycles"
    for name in models:
        assert models[name].decoder or models[name].vision


def test_the_rows_of_cards_are_of_the_same_columns_and_known_models() -> None:
    rows = load_ledger(shipped_ledger().with_name("card.csv"))
    models = load_models(shipped_models())
    assert len(rows) == 27
    assert {row.link for row in rows} == {"pcie", None}
    assert all(row.model in models for row in rows)


def test_a_link_is_pcie_or_nothing(tmp_path) -> None:
    path = write(tmp_path / "l.csv", [{**DECODE, "link": "PCIe"}])
    assert load_ledger(path)[0].link == "pcie"
    (fault,) = faults(write(tmp_path / "l.csv", [{**DECODE, "link": "usb"}]))
    assert "link: found 'usb'; allowed: pcie for a card" in fault


def test_a_column_is_missing(tmp_path) -> None:
    path = write(tmp_path / "l.csv", [DECODE], [c for c in COLUMNS if c != "metric"])
    assert len(faults(path)) == 1
    path = write(tmp_path / "l.csv", [DECODE], [c for c in COLUMNS if c != "value"])
    (fault,) = faults(path)
    assert "l.csv:1: value: column is missing" in fault


def test_a_column_is_unknown(tmp_path) -> None:
    path = write(tmp_path / "l.csv", [DECODE], [*COLUMNS, "image_sizes"])
    (fault,) = faults(path)
    assert "image_sizes: unknown column; did you mean 'image_size'?" in fault


@pytest.mark.parametrize(
    ("column", "text", "allowed"),
    [
        ("value", "fast", "a positive number"),
        ("value", "-3", "a positive number"),
        ("value", "0", "a positive number"),
        ("value", "nan", "a positive number"),
        ("value", "inf", "a positive number"),
        ("value", "", "a positive number"),
        ("image_size", "2.5", "a whole number"),
        ("image_size", "0", "a whole number"),
        ("cached_tokens", "-1", "a whole number"),
        ("kv_cache_len", "nan", "a whole number"),
        ("kv_cache_len", "inf", "a whole number"),
        ("metric", "speed", "vision_encode_ms"),
        ("float_matmul_on_conv", "maybe", "True, False"),
        ("id", "", "a name"),
        ("chip", " ", "a name"),
    ],
)
def test_a_value_cannot_be_read(tmp_path, column: str, text: str, allowed: str) -> None:
    (fault,) = faults(write(tmp_path / "l.csv", [DECODE, {**VISION, column: text}]))
    assert f"l.csv:3: {column}: found '{text.strip()}'" in fault
    assert allowed in fault


def test_every_fault_is_told(tmp_path) -> None:
    rows = [{**DECODE, "value": "x"}, VISION, {**VISION, "image_size": "y", "metric": "z"}]
    found = faults(write(tmp_path / "l.csv", rows))
    assert [fault.partition(": ")[0][-1] for fault in found] == ["2", "4", "4"]


def test_an_id_is_given_twice(tmp_path) -> None:
    (fault,) = faults(write(tmp_path / "l.csv", [DECODE, VISION, {**VISION, "id": "D1"}]))
    assert "l.csv:4: id: 'D1' is on line 2 too" in fault


def test_broken_files(tmp_path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("id,chip,model,metric,value\na,b\n")
    assert "fewer fields" in faults(path)[0]
    path.write_text("id,chip,model,metric,value\na,b,c,post_ms,1,extra\n")
    assert "more or fewer fields" in faults(path)[0]
    path.write_text("id,chip,model,metric,value\n")
    assert "no rows" in faults(path)[0]
    path.write_text("")
    assert len(faults(path)) == 5
    path.write_text("id,chip,model,metric,value,value\na,b,c,post_ms,1,2\n")
    assert "column is given twice" in faults(path)[0]
    path.write_text("id,chip,model,metric,value\na,b,c,post_ms," + "9" * 200_000)
    assert "no CSV" in faults(path)[0]
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in faults(path)[0]
    assert "cannot read" in faults(tmp_path / "missing.csv")[0]
    assert "cannot read" in faults(tmp_path)[0]


def test_only_the_columns_that_matter_are_needed(tmp_path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("id,chip,model,metric,value\r\nx,ax630c,Qwen3-0.6B,post_ms,12.5\r\n")
    (row,) = load_ledger(path)
    assert (row.value, row.kv_cache_len, row.line) == (12.5, None, 2)


@given(st.text(alphabet='abc,"\n\r\x00\x0b 1.', max_size=60))
def test_any_text_is_rows_or_told_faults(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "l.csv"
        path.write_text("id,chip,model,metric,value\na,b,c,post_ms,1\n" + text, newline="")
        with suppress(InputError):  # any other exception is a defect
            assert load_ledger(path)[0].id == "a"


def test_a_note_of_two_lines(tmp_path) -> None:
    rows = [{**DECODE, "note": "first\nsecond"}, {**VISION, "value": "x"}]
    (fault,) = faults(write(tmp_path / "l.csv", rows))
    assert "l.csv:4: value" in fault


def test_whole_numbers_as_spreadsheets_write_them(tmp_path) -> None:
    (row,) = load_ledger(write(tmp_path / "l.csv", [{**VISION, "image_size": "224.0"}]))
    assert row.image_size == 224
    assert isinstance(row.image_size, int)


def test_a_users_models_extend_the_shipped_ones_and_win(tmp_path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "decoders:\n"
        "  Mine: {family: llama, num_hidden_layers: 2, hidden_size: 64, intermediate_size: 128,\n"
        "         num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 1000}\n"
        "  InternVL2-1B: {family: llama, num_hidden_layers: 3, hidden_size: 64, vocab_size: 9,\n"
        "         intermediate_size: 128, num_attention_heads: 4, num_key_value_heads: 2}\n"
        "vlms:\n"
        "  Both: {vision: InternViT-300M, decoder: Mine, vocab_size: 1001}\n"
    )
    models = architectures(path)
    assert models["Both"].decoder.vocab_size == 1001
    assert models["Both"].vision == models["InternViT-300M"].vision
    assert models["InternVL2-1B"].vision is None
    assert models["InternVL2-1B"].decoder.num_hidden_layers == 3
    assert len(models) == len(architectures()) + 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vlms: {V: {vision: InternViT-300M}}", "decoder is missing"),
        ("vlms: {V: {vision: Nothing, decoder: Qwen3-0.6B}}", "'Nothing' is none of"),
        ("decoders: {V: {family: llama}}", "hidden_size"),
        ("decoders: {V: }", "V"),
        ("decoders: {V: {family: gpt, nonsense: 1}}", "nonsense"),
    ],
)
def test_a_broken_model_is_told_when_it_is_used(tmp_path, text: str, says: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    models = architectures(path)
    with pytest.raises(InputError, match=says):
        models["V"]


@pytest.mark.parametrize("text", ["decoders: [1]", "- 1", "decoders: {", ""])
def test_a_file_that_holds_no_models(tmp_path, text: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(InputError):
        architectures(path)
