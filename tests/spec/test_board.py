"""Boards: a chip with what is built around it."""

from __future__ import annotations

from pathlib import Path

import pytest

import axsim
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.show.report import content
from axsim.spec.board import load_board
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import shipped
from tests.cli.command import axsim as command
from tests.runs.tiny import workload, write

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "chip", "npu"),
    [
        ("m5stack_module_llm", "ax630c", 3 * GIB),
        ("maixcam2", "ax630c", 3 * GIB),
        ("ax650n_card", "ax8850_card", 7040 * 2**20),
    ],
)
def test_a_shipped_board_is_its_chip_with_less_memory(name: str, chip: str, npu: int) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.chip == chip
    assert board.storage_mb_per_s is None  # nobody has published it
    own, built_in = load_chip(chip), board.chip_on_it()
    assert built_in.dram.npu_bytes == npu < own.dram.capacity_bytes
    assert built_in.times_as(own)
    assert built_in.host.link == own.host.link
    a, b = (axsim.run("qwen3_0_6b", each, timing_only=True)[0] for each in (own, built_in))
    assert a.predictions.keys() == b.predictions.keys()
    for metric, found in a.predictions.items():
        assert b.predictions[metric].value == found.value
        assert b.predictions[metric].interval == found.interval


def test_all_shipped_boards_are_those_above_and_listed() -> None:
    assert set(shipped("board")) == {"m5stack_module_llm", "maixcam2", "ax650n_card"}
    listed = command("boards").stdout
    assert max(map(len, listed.splitlines())) <= 80
    for name in shipped("board"):
        assert name in listed
        assert f"board {name}" in command("show", name).stdout


def test_every_key_sets_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nchip: ax650n\nmemory_bytes: 17179869184\nnpu_bytes: 12884901888\n"
        "storage_mb_per_s: 250\nlink: pcie\n"
    )
    chip = load_board(path).chip_on_it({"dram.npu_bytes": 5 * GIB})
    assert (chip.dram.capacity_bytes, chip.dram.npu_bytes) == (16 * GIB, 5 * GIB)
    assert (chip.host.storage_mb_per_s, chip.host.link) == (250, "pcie")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\n", "chip: missing"),
        ("name: a\nchip: ax630d\n", "did you mean 'ax630c'?"),
        ("name: a\nchip: ax630c\nnpu_byte: 3\n", ":3: npu_byte: unknown key"),
        ("name: a\nchip: ax630c\nnpu_bytes: 5000000000\n", "up to 4294967296, capacity_bytes"),
        ("name: a\nchip: ax630c\nlink: usb\n", ":3: link: found 'usb'; allowed: pcie"),
    ],
)
def test_what_is_wrong_with_a_board(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_board(path).chip_on_it()
    assert said in str(error.value)


def test_loading_takes_the_bytes_over_the_storage_and_the_link() -> None:
    chips = [
        load_chip("ax650n", {"host.storage_mb_per_s": 100, **keys})
        for keys in ({}, {"host.link": "pcie", "host.pcie_gbps": 0.5})
    ]
    own, card = (Deployment(workload(), chip) for chip in chips)
    files = sum(own.memory.stored.values())
    assert own.load_ms == pytest.approx((files + own.memory.embedding) / 100e6 * 1e3)
    assert card.load_ms == pytest.approx(own.load_ms + files / 0.5e9 * 1e3)
    assert Deployment(workload(), load_chip("ax650n")).load_ms is None


def test_on_the_command_line(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nchip: ax630c\nnpu_bytes: 65536\nstorage_mb_per_s: 10\n"
    )
    base = ("run", "tiny.yaml", "--board", "mine.yaml", "--timing-only")
    shown = command(*base, folder=tmp_path).stdout
    assert "does not" in shown
    assert "s, at 10 MB/s of storage" in shown
    failed = command(*base, "--must-fit", folder=tmp_path, code=1)
    assert "error: u8: the model does not fit: needs" in failed.output
    roomy = command(*base, "--must-fit", "--set", "chip.dram.npu_bytes=99999999", folder=tmp_path)
    assert "fits: needs" in roomy.stdout
    for wrong in ([], ["--board", "mine.yaml", "--chip", "ax630c"], ["--board", "none"]):
        command("run", "tiny.yaml", "--timing-only", *wrong, folder=tmp_path, code=2)


def test_on_a_page(tmp_path: Path, monkeypatch) -> None:
    def unmeasured(*_: object, **__: object) -> None:
        raise InputError("the ledger is not what this is about")

    monkeypatch.setattr(content, "draw", lambda *_: {})
    monkeypatch.setattr(content, "validate", unmeasured)
    write(tmp_path)
    (tmp_path / "mine.yaml").write_text("name: mine\nchip: ax630c\nnpu_bytes: 65536\n")
    page = ("report", "tiny.yaml", "--board", "mine.yaml", "--timing-only", "-o", "page.html", "-q")
    command(*page, "--must-fit", "--set", "chip.power.idle_w=2", folder=tmp_path, code=1)
    text = (tmp_path / "page.html").read_text()
    assert "does not fit" in text
    assert "Energy per token" in text
    assert text.count("Energy, from the power block of ax630c: no source given") == 2


def test_in_a_sweep(tmp_path: Path) -> None:
    write(tmp_path)
    base = ("sweep", "tiny.yaml", "--timing-only", "-q", "-j", 1)
    both = ("--chip", "ax630c", "--board", "maixcam2,ax650n_card")
    goal = ("--objective", "ttft_ms", "--constraint", "chip==ax650n_card")
    shown = command(*base, *both, *goal, "-o", "out.csv", folder=tmp_path).output
    assert "axsim run tiny.yaml --board ax650n_card" in shown
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1::2]] == ["ax630c", "maixcam2", "ax650n_card"]
    assert "load_ms" in rows[0]
    command(*base, folder=tmp_path, code=2)
