"""Loading, overriding and checking descriptors, with a small class of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, PositiveInt, model_validator

from axsim.errors import Fault, Faults, InputError, checked
from axsim.spec import descriptor
from axsim.spec.descriptor import (
    Section,
    document,
    find,
    load,
    load_mapping,
    override,
    parse_overrides,
    shipped,
    split_overrides,
)


class Engine(Section):
    macs: PositiveInt | None = Field(None, description="products per cycle")
    tops: float | None = Field(None, gt=0)
    kind: Literal["u8", "u16", "bf16"] = "u8"

    @model_validator(mode="after")
    def _consistent(self) -> Engine:
        if self.macs and self.tops and self.macs != self.tops:
            raise Fault("tops", f"found {self.tops}", f"{self.macs}", also=["macs"])
        return self


class Board(Section):
    REPLACES: ClassVar[dict[str, tuple[str, ...]]] = {"npu.tops": ("npu.macs",)}

    name: str
    npu: Engine
    clocks: tuple[float, ...] = ()
    modes: dict[str, Engine] = Field({})
    spare: tuple[Engine, ...] = ()
    width: int | Literal["auto"] = "auto"
    length: float = Field(1.0, gt=0, description="metres")
    ratio: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _short_names(self) -> Board:
        faults = []
        if len(self.name) > 5:
            faults.append(Fault("name", f"found {self.name!r}", "at most 5 letters"))
        if self.clocks and self.clocks[0] < 0:
            faults.append(Fault(("clocks", 0), "is negative"))
        return checked(self, faults)


GOOD = """\
name: a
npu:
  macs: 5   # published
  kind: u8
clocks: [1, 2.5]
modes:
  fast: {macs: 9}
"""


def board(tmp_path: Path, text: str, **overrides: Any) -> Board:
    path = tmp_path / "b.yaml"
    path.write_text(text, encoding="utf-8")
    return load(Board, path, {k.replace("__", "."): v for k, v in overrides.items()})


def complaints(tmp_path: Path, text: str, **overrides: Any) -> str:
    with pytest.raises(InputError) as error:
        board(tmp_path, text, **overrides)
    return str(error.value).replace(str(tmp_path) + "/", "")


def test_a_good_file(tmp_path: Path) -> None:
    found = board(tmp_path, GOOD)
    assert found.npu.macs == 5
    assert found.clocks == (1.0, 2.5)
    assert found.modes["fast"].macs == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nnpu: {mac: 1}", "b.yaml:2: npu.mac: unknown key (value found: 1); "
         "did you mean 'macs'?; allowed: macs, tops, kind"),
        ("name: a\nnpu: {}\nnmae: b", "b.yaml:3: nmae: unknown key (value found: 'b'); did you "
         "mean 'name'?; allowed: name, npu, clocks"),
        ("name: a\nnpu: {kind: U16}", "b.yaml:2: npu.kind: found 'U16'; did you mean 'u16'?; "
         "allowed: u8, u16, bf16"),
        ("npu: {}\nnames: a", "b.yaml:1: name: missing, found 'names' instead"),
        ("name: 5\nnpu: {}", "b.yaml:1: name: found 5; allowed: text"),
        ("name: a\nnpu: {macs: 1.5}", "b.yaml:2: npu.macs: found 1.5; allowed: a whole number"),
        ("name: a\nnpu: {macs: 1.0}", "npu.macs: found 1.0; allowed: a whole number"),
        ("name: a\nnpu: {macs: '1'}", "npu.macs: found '1'; allowed: a whole number"),
        ("name: a\nnpu: {macs: true}", "npu.macs: found true; allowed: a whole number"),
        ("name: a\nnpu: {macs: 0}", "npu.macs: found 0; allowed: a number greater than 0"),
        ("name: a\nnpu: {tops: .inf}", "npu.tops: found .inf; allowed: a finite number"),
        ("name: a\nnpu: {tops: .nan}", "npu.tops: found .nan; allowed: a finite number"),
        ("name: a\nnpu: {}\nlength: long", "length: found 'long'; allowed: a number"),
        ("name: a\nnpu: {}\nratio: 1.5", "ratio: found 1.5; allowed: a number of at most 1"),
        ("name: a\nnpu: {}\nratio: -1", "ratio: found -1; allowed: a number of at least 0"),
        ("name: a\nnpu: 7", "b.yaml:2: npu: found 7; allowed: a mapping of keys to values"),
        ("name: a\nnpu: null", "npu: found null; allowed: a mapping of keys to values"),
        ("name: a\nnpu: {}\nclocks: 3", "clocks: found 3; allowed: a list"),
        ("name: a\nnpu: {}\nclocks:\n  - 1\n  - x", "b.yaml:5: clocks.1: found 'x'; allowed: a "
         "number"),
        ("name: a\nnpu: {}\nwidth: wide", "width: found 'wide'; allowed: a whole number or auto"),
        ("name: a\nnpu: {}\nmodes: {m: {macs: -1}}", "modes.m.macs: found -1"),
        ("name: a\nnpu: {}\nmodes: {m: {mac: 1}}", "modes.m.mac: unknown key (value found: 1); "
         "did you mean 'macs'?"),
        ("name: a\nnpu: {}\nspare:\n- macs: 1\n- {kind: u9}", "b.yaml:5: spare.1.kind: found 'u9'"),
        ("name: a\nnpu: {}\nspare:\n- {knd: u8}", "spare.0.knd: unknown key (value found: 'u8'); "
         "did you mean 'kind'?"),
        ("name: a\nnpu:\n  macs: 4\n  tops: 5", "b.yaml:4: npu.tops: found 5.0 [npu.macs = 4 at "
         "b.yaml:3]; allowed: 4"),
        ("name: toolong\nnpu: {}", "b.yaml:1: name: found 'toolong'; allowed: at most 5 letters"),
    ],
)  # fmt: skip
def test_a_fault_names_place_key_value_and_remedy(
    tmp_path: Path, text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in complaints(tmp_path, text)


def test_all_faults_are_listed_together_in_one_error(tmp_path: Path) -> None:
    text = complaints(tmp_path, "name: 1\nnpu: {macs: 0, knd: u8}\nlength: x\n", npu__tops=-1)
    assert len(text.splitlines()) == 4  # macs was replaced by tops


def test_a_validator_may_blame_several_keys(tmp_path: Path) -> None:
    text = complaints(tmp_path, "name: toolong\nnpu: {}\nclocks: [-1]\n")
    assert [line.split(": ")[1] for line in text.splitlines()] == ["name", "clocks.0"]


def test_an_override_replaces_a_value_and_is_cited(tmp_path: Path) -> None:
    assert board(tmp_path, GOOD, npu__kind="u16").npu.kind == "u16"
    text = complaints(tmp_path, GOOD, npu__kind="u61")
    assert text == (
        "--set npu.kind=u61: npu.kind: found 'u61'; did you mean 'u16'?; allowed: u8, u16, bf16"
    )


def test_an_override_makes_the_sections_on_its_way(tmp_path: Path) -> None:
    assert board(tmp_path, GOOD, modes__slow__macs=3).modes["slow"].macs == 3
    assert board(tmp_path, "name: a\nnpu:\n", npu__macs=3).npu.macs == 3


def test_an_override_may_enter_a_list(tmp_path: Path) -> None:
    assert board(tmp_path, GOOD, clocks__1=7).clocks == (1.0, 7.0)
    assert "no entry 2 in a list of 2" in complaints(tmp_path, GOOD, clocks__2=7)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"name__x": 1}, "--set name.x=1: name.x: name has no keys: found 'a'"),
        ({"clocks__9__x": 1}, "--set clocks.9.x=1: clocks.9.x: clocks.9 has no keys"),
        ({"npu__mcas": 1}, "--set npu.mcas=1: npu.mcas: unknown key (value found: 1); did you "
         "mean 'macs'?"),
        ({"npu": 1}, "--set npu=1: npu: found 1; allowed: a mapping"),
    ],
)  # fmt: skip
def test_overrides_that_lead_nowhere(
    tmp_path: Path, overrides: dict[str, object], message: str
) -> None:
    assert message in complaints(tmp_path, GOOD, **overrides)


def test_a_knob_replaces_its_structural_counterpart_of_the_file(tmp_path: Path) -> None:
    turned = board(tmp_path, GOOD, npu__tops=7)
    assert (turned.npu.tops, turned.npu.macs) == (7.0, None)


def test_knob_and_counterpart_in_one_layer_are_checked(tmp_path: Path) -> None:
    assert board(tmp_path, GOOD, npu__tops=7, npu__macs=7).npu.macs == 7
    text = complaints(tmp_path, GOOD, npu__tops=7, npu__macs=6)
    assert "[npu.macs = 6 at --set npu.macs=6]; allowed: 6" in text


def test_the_prefix_of_overrides_is_cited(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(GOOD)
    with pytest.raises(InputError, match=r"^--set board\.length=0: length: found 0;"):
        load(Board, path, {"length": 0}, under="board.")


def test_descriptors_from_python_objects_cite_their_name() -> None:
    assert load_mapping(Board, {"name": "a", "npu": {}, "clocks": [1]}, "mine").clocks == (1.0,)
    with pytest.raises(InputError, match=r"^mine: npu: missing"):
        load_mapping(Board, {"name": "a"}, "mine")


def test_override_of_an_instance_validates_again(tmp_path: Path) -> None:
    first = board(tmp_path, GOOD)
    second = override(first, {"npu.macs": 8})
    assert (first.npu.macs, second.npu.macs) == (5, 8)
    assert second.clocks == first.clocks
    with pytest.raises(InputError, match=r"--set npu\.macs=0"):
        override(first, {"npu.macs": 0})


def test_instances_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        board(tmp_path, GOOD).name = "b"


def test_document_shows_what_load_validates(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(GOOD)
    tree = document(Board, path, {"npu.kind": "u16"})
    assert tree.plain()["npu"] == {"macs": 5, "kind": "u16"}
    assert tree.nearest(("npu", "macs"))[0].comment == "published"
    with pytest.raises(InputError):
        document(Board, path, {"name.x": 1})


def test_settings_of_the_command_line_are_typed() -> None:
    settings = ["a.b=u16", "c=1e3", "d=[1, 2]", "e=true", "f=x=y"]
    assert parse_overrides(settings) == {
        "a.b": "u16", "c": 1000.0, "d": (1, 2), "e": True, "f": "x=y"
    }  # fmt: skip


def test_malformed_settings_are_listed() -> None:
    with pytest.raises(InputError) as error:
        parse_overrides(["a", "=1", "a..b=1", "c=[1", "d=1", "d=2"])
    assert [problem.where for problem in error.value.problems] == [
        "--set a", "--set =1", "--set a..b=1", "--set c=[1", "--set d=2"
    ]  # fmt: skip


def test_overrides_are_split_between_chip_and_workload() -> None:
    overrides = {"chip.dram.gbps": 1, "build.x": 2, "chipset": 3}
    assert split_overrides(overrides, "chip") == ({"dram.gbps": 1}, {"build.x": 2, "chipset": 3})


@pytest.mark.parametrize(
    "name",
    [
        "internvl2_1b", "InternVL2-1B", "internvl2_1b.yaml", "workloads/internvl2_1b.yaml",
        "/elsewhere/workloads/internvl2_1b.yaml", "qwen3_0.6b",
    ],
)  # fmt: skip
def test_shipped_workloads_are_found_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("workload", name) in shipped("workload").values()


def test_a_file_of_ones_own_comes_before_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "internvl2_1b.yaml"
    own.write_text("name: x")
    assert find("workload", "internvl2_1b.yaml").resolve() == own
    assert find("workload", "internvl2_1b").resolve() != own


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("internvl2_1c", "no workload is named 'internvl2_1c'; did you mean 'internvl2_1b'?; "
         "allowed: internvl2_1b, "),
        ("other/internvl2_1b.yaml", "no such file: 'other/internvl2_1b.yaml'"),
        ("folder", "'folder' is a folder"),
        ("mine", "no shipped workload is named 'mine'; did you mean 'mine.yaml'?"),
        (".", "'.' is a folder"),
        ("", "a folder"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine.yaml").write_text("name: x")
    with pytest.raises(InputError) as error:
        find("workload", name)
    assert message in str(error.value)


def test_an_installed_package_finds_its_own_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "axsim" / "data" / "chips"
    installed.mkdir(parents=True)
    (installed / "mine.yaml").write_text("name: mine")
    monkeypatch.setattr(descriptor, "__file__", str(tmp_path / "axsim" / "spec" / "descriptor.py"))
    assert find("chip", "mine") == installed / "mine.yaml"


def test_faults_read_well_outside_a_descriptor() -> None:
    assert str(Faults([Fault("a.0.b", "is bad"), Fault((), "is worse")])) == (
        "a.0.b: is bad; : is worse"
    )
