"""YAML that remembers its lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from axsim.errors import InputError
from axsim.spec.located import locate, parse, read, scalar, show

TEXT = """\
# heading of the file
name: x        # beside a value

# directly above
npu:           # beside a section
  clock: 1e3
  units: [1, 2]
flow: {a: 1, b: yes}  # beside a flow mapping
"""


def test_every_value_knows_its_line_and_comment() -> None:
    tree = parse(TEXT, "f.yaml")
    places = {
        ".".join(map(str, path)): (value.origin, value.comment) for path, value in tree.leaves()
    }
    assert places == {
        "name": ("f.yaml:2", "beside a value"),
        "npu.clock": ("f.yaml:6", ""),
        "npu.units": ("f.yaml:7", ""),
        "flow.a": ("f.yaml:8", ""),
        "flow.b": ("f.yaml:8", "beside a flow mapping"),
    }
    assert tree.value["npu"].comment == "beside a section"
    assert tree.plain() == {
        "name": "x",
        "npu": {"clock": 1000.0, "units": (1, 2)},
        "flow": {"a": 1, "b": "yes"},
    }


def test_the_comment_above_a_key_explains_it_but_the_heading_of_the_file_does_not() -> None:
    tree = parse("# heading\na: 1\n# first\n# second\nb: 2\n\n# apart\n\nc: 3\n", "f")
    assert [tree.value[key].comment for key in "abc"] == ["", "first second", ""]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e3", 1000.0),
        ("2.5", 2.5),
        (".5", 0.5),
        ("6.02e+23", 6.02e23),
        ("true", True),
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("007", "007"),
        ("2024-01-02", "2024-01-02"),
        ("null", None),
        ("", None),
        ("u16", "u16"),
        ("'12'", "12"),
        ("[1, [a]]", (1, ("a",))),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_scalars_are_typed_as_yaml_1_2_types_them(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_infinity_and_nan_can_be_written() -> None:
    assert scalar(".inf") == math.inf
    assert scalar("-.inf") == -math.inf
    assert math.isnan(scalar(".nan"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: is empty; allowed: a YAML mapping of keys to values"),
        ("# only a comment\n", "f.yaml: is empty"),
        ("- 1\n- 2\n", "f.yaml: holds [1, 2], not keys"),
        ("just text", "f.yaml: holds 'just text', not keys"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2: not valid YAML: "),
        ("a:\n\t- 1\n", "f.yaml:2: not valid YAML: "),
        ("a: b: c\n", "f.yaml:1: not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: not valid YAML: "),
        ("a: *nowhere\n", "f.yaml:1: not valid YAML: "),
        ("a: \x00\n", "f.yaml:1: not valid YAML: it holds the character \\x00"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4: b.c: given twice, first at f.yaml:3"),
        ("? [1]\n: 2\n", "f.yaml:1: a key must be a name"),
        ("a: &x\n  b: *x\n", "a YAML alias that contains itself"),
        ("a: !!python/object:os.system {}\n", "f.yaml:1: a: the YAML tag"),
        ("a: !!int twelve\n", "f.yaml:1: a: found 'twelve'"),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text, "f.yaml")
    assert message in str(error.value)


def test_several_faults_of_one_file_are_listed_together() -> None:
    with pytest.raises(InputError) as error:
        parse("a: 1\na: 2\nb: 3\nb: 4\n", "f.yaml")
    assert [problem.where for problem in error.value.problems] == ["f.yaml:2", "f.yaml:4"]


def test_deep_nesting_is_an_input_error_and_no_crash() -> None:
    with pytest.raises(InputError):
        parse("a: " + "[" * 20_000 + "]" * 20_000, "f.yaml")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="is a directory"):
        read(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        read(binary)


def test_an_alias_may_be_used_twice() -> None:
    assert parse("a: &x {b: 1}\nc: *x\n", "f").plain() == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, ".inf"),
        (None, "null"),
        (True, "true"),
        ("a", "'a'"),
        ({"a": (1, None)}, "{a: [1, null]}"),
        ("x" * 100, "'" + "x" * 58 + "…"),
    ],
)
def test_values_are_shown_as_yaml_writes_them(value: object, text: str) -> None:
    assert show(value) == text


def test_located_python_objects_share_one_origin() -> None:
    tree = locate({"a": [1, {"b": 2}]}, "here")
    found, depth = tree.nearest(("a", 1, "b", "c"))
    assert (found.value, found.origin, depth) == (2, "here", 3)


def test_a_deep_document_read_again_with_little_stack_left_is_an_input_error() -> None:
    text = "a: " + "[" * 300 + "]" * 300
    parse(text, "f.yaml")

    def deeper() -> None:
        try:
            deeper()
        except RecursionError:
            parse(text, "f.yaml")

    with pytest.raises(InputError, match="nested too deeply"):
        deeper()


def test_a_document_that_is_changed_is_read_afresh_the_next_time() -> None:
    changed = parse(TEXT, "f.yaml")
    changed.value["npu"].value["units"].value.pop()
    changed.value["name"].value = "y"
    del changed.value["flow"]
    again = parse(TEXT, "f.yaml").plain()
    assert again["npu"]["units"] == (1, 2)
    assert again["name"] == "x"
    assert again["flow"] == {"a": 1, "b": "yes"}
    assert parse(TEXT, "g.yaml").value["name"].origin == "g.yaml:2"
