"""Files that are no deployed file, or a damaged one: one clear error each."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from axsim.axmodel.archive import MANIFEST, Archive
from axsim.axmodel.manifest import Manifest
from axsim.axmodel.model import Model
from axsim.errors import InputError
from axsim.spec.chip import load_chip
from tests.cli.command import axsim
from tests.runs import tiny


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A post layer for AX630C."""
    folder = tmp_path_factory.mktemp("archive")
    arguments = tiny.write(folder), "--chip", "ax630c", "-o", folder, "--no-check"
    axsim("build", *arguments)
    return folder / "qwen2_post.axmodel"


def changed(built, path, manifest=None, drop=(), add=(), compression=zipfile.ZIP_STORED):
    """The file with some of it changed."""
    with zipfile.ZipFile(built) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == MANIFEST and manifest is not None:
                document = json.loads(content)
                manifest(document)
                content = json.dumps(document)
            if name not in drop:
                new.writestr(name, content)
        for name, content in add:
            new.writestr(name, content)
    return path


def fault_of(path, chip="ax630c"):
    with pytest.raises(InputError) as caught:
        Model(path, load_chip(chip))
    (problem,) = caught.value.problems
    return str(problem)


def test_an_unchanged_copy_is_read(built, tmp_path):
    assert len(Model(changed(built, tmp_path / "a.axmodel"), load_chip("ax630c")).groups) == 1


def test_the_page_about_the_container_has_every_key():
    page = (Path(__file__).parents[2] / "docs" / "axmodel.md").read_text(encoding="utf-8")
    table = page[page.index("The manifest:") : page.index("Shape groups")]
    first = " ".join(line.split("|")[1] for line in table.splitlines()[4:] if "|" in line)
    assert set(first.replace("`", "").replace(",", " ").split()) == {*Manifest.model_fields}


def test_another_chip(built):
    assert "is built for ax630c, this is ax650n; build it with --chip ax650n" in fault_of(
        built, "ax650n"
    )


def test_damage(built, tmp_path):
    content = bytearray(built.read_bytes())
    content[len(content) // 3] ^= 255
    (tmp_path / "flipped").write_bytes(content)
    (tmp_path / "cut").write_bytes(built.read_bytes()[:-100])
    for name in ("flipped", "cut"):
        assert "is damaged" in fault_of(tmp_path / name)
        assert "build it again" in fault_of(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x08\x0a\x12\x07Pulsar2" + bytes(99), "this is Axera's compiled format; build it from"),
        (b"\x08\x08\x12\x07pytorch" + bytes(99), "looks like an ONNX file: build it, axsim build"),
        (b"no model at all", "is no .axmodel of axsim"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "a.axmodel"
    path.write_bytes(content)
    assert message in fault_of(path)


def test_a_bomb_is_refused_before_it_is_opened(built, tmp_path):
    bomb = [("arrays/99999.npy", bytes(50 << 20))]
    path = changed(built, tmp_path / "a", add=bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "compressed or encrypted" in fault_of(path)


def test_entries_that_overlap_are_refused(built, tmp_path):
    """The directory points to the same bytes many times."""
    path = changed(built, tmp_path / "a", add=[("arrays/99999.npy", bytes(9000))])
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    start = int.from_bytes(content[end + 16 : end + 20], "little")
    directory = content[start:end]
    at = directory.rindex(b"PK\x01\x02")
    last = directory[at:]
    more = b"".join(last.replace(b"99999", b"%05d" % i) for i in range(90000, 90020))
    whole = directory + more
    count = (int.from_bytes(content[end + 10 : end + 12], "little") + 20).to_bytes(2, "little")
    tail = content[end : end + 8] + count + count + len(whole).to_bytes(4, "little")
    path.write_bytes(content[:start] + whole + tail + content[end + 16 :])
    assert "larger than the file" in fault_of(path)


@pytest.mark.parametrize("name", ["../outside.npy", "/etc/passwd", "a/../../b", "C:\\x", "a b"])
def test_names_that_lead_elsewhere_are_refused(built, tmp_path, name):
    path = changed(built, tmp_path / "a", add=[(name, b"x")])
    assert "has an entry named" in fault_of(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a"]


def test_an_array_of_objects_is_refused(built, tmp_path):
    out = io.BytesIO()
    np.save(out, np.array([{}], object), allow_pickle=True)
    path = changed(built, tmp_path / "a", add=[("arrays/99999.npy", out.getvalue())])
    assert "is no array" in fault_of(path)


def test_an_array_larger_than_its_entry_is_refused_before_it_has_memory(built, tmp_path):
    out = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(out, header)
    path = changed(built, tmp_path / "a", add=[("arrays/99999.npy", out.getvalue())])
    assert "not as large as it says" in fault_of(path)


@pytest.mark.parametrize("header", [b"{'descr'\n", b"  {\n x\n", b"[" * 200, b"{1: 2}\n", b"7\n"])
def test_an_array_whose_header_says_nothing(built, tmp_path, header):
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = changed(built, tmp_path / "a", add=[("arrays/99999.npy", content)])
    assert "that is no array" in fault_of(path)


def test_scales_without_a_dimension_are_refused(built, tmp_path):
    out = io.BytesIO()
    np.save(out, np.float32(1))
    name = "arrays/99999.npy"

    def manifest(document):
        for entry in document["tensors"].values():
            if "scale" in entry:
                entry["scale"] = name

    path = changed(built, tmp_path / "a", manifest, add=[(name, out.getvalue())])
    assert "its scales are float32 []" in fault_of(path)


def _other(key, value):
    return lambda document: document.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other("format", 99), "is of format version 99; build it again; allowed: version 1"),
        (lambda d: d["tensors"].pop("lm_head.weight"), "misses 1 weights: lm_head.weight"),
        (lambda d: d["tensors"]["lm_head.weight"].update(shape=[3, 3]), "lm_head.weight"),
        (lambda d: d["tensors"]["lm_head.weight"].update(dtype="s4"), "lm_head.weight"),
        (lambda d: d["tensors"]["lm_head.weight"].update(shape=[float("inf")]), "lm_head.weight"),
        (lambda d: d["tensors"]["lm_head.weight"].update(codes="arrays/7.npy"), "misses the array"),
        (_other("part", "tower"), "part: found 'tower'; allowed: "),
        (_other("part", "network"), "is a network of a model that has none"),
        (
            _other("qparams", {"input": {"scale": 0.1, "zero_point": 262, "dtype": "u8"}}),
            "qparams.input: found 262; allowed: 0 to 255 in u8",
        ),
        (_other("surprise", 1), "surprise: unknown key"),
        (lambda d: d["workload"]["model"].pop("decoder"), "is a post of a model that has none"),
    ],
)
def test_a_manifest_that_is_wrong(built, tmp_path, change, message):
    path = changed(built, tmp_path / "a", manifest=change)
    with pytest.raises(InputError) as caught:
        Model(path, load_chip("ax630c"))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_manifest_that_is_missing_or_no_json(built, tmp_path):
    assert f"without {MANIFEST}" in fault_of(changed(built, tmp_path / "a", drop=[MANIFEST]))
    broken = changed(built, tmp_path / "b", drop=[MANIFEST], add=[(MANIFEST, b"{")])
    assert "is no JSON" in fault_of(broken)


def test_an_array_that_is_missing(built, tmp_path):
    entry = Archive(built).manifest["tensors"]["lm_head.weight"]["codes"]
    assert f"misses the array '{entry}'" in fault_of(changed(built, tmp_path / "a", drop=[entry]))
