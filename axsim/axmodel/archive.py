"""The container: a zip whose entries are stored as they are, a manifest and arrays.

Nothing is ever unpacked to a folder, and no entry is compressed, so that a file can neither write
elsewhere nor become larger than it is.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.files import whole_file
from axsim.kernels.array import Array

FORMAT = 1
"""Version of the layout; files of another one are refused."""
MANIFEST = "model.json"
PADDING = "padding"
"""Zeros that make a file as large as the vendor's, whose weights lie in padded tiles."""

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(/[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)*")
_LONGEST_MANIFEST = 64 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # equal models are equal files
_OVERHEAD = 200  # bytes that an entry takes beside its name and content, at most

VENDORS = "this is Axera's compiled format; build it from ONNX: axsim build MODEL.onnx --chip CHIP"


class Writer:
    """The arrays of a file in the making; :func:`written` opens one."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._count = 0

    def add(self, array: Array) -> str:
        """Store an array; the name of its entry."""
        name = f"arrays/{self._count:05d}.npy"
        self._count += 1
        with self._archive.open(_entry(name), "w", force_zip64=True) as file:
            np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
        return name

    def finish(self, manifest: Mapping[str, Any], size: int) -> None:
        """Write the manifest, and zeros up to a file of ``size`` bytes if it is smaller."""
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        self._archive.writestr(_entry(MANIFEST), text)
        directory = sum(_OVERHEAD + len(entry.filename) for entry in self._archive.infolist())
        file = self._archive.fp
        assert file is not None
        missing = size - file.tell() - directory - _OVERHEAD
        if missing > 0:
            with self._archive.open(_entry(PADDING), "w", force_zip64=True) as out:
                for start in range(0, missing, _BLOCK):
                    out.write(bytes(min(_BLOCK, missing - start)))


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """A new file that appears when the block has ended without an exception."""
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        yield Writer(archive)


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _DATE)


class Archive:
    """A file, checked and read whole: ``manifest`` as JSON has it, and its arrays.

    Raises InputError for a file that cannot be read, is damaged, of another format or version, the
    vendor's, or not made by the rules of the container.
    """

    def __init__(self, path: Path | io.BytesIO, name: str = "") -> None:
        self.name = name or str(path)
        try:
            if isinstance(path, Path):
                with path.open("rb") as file:
                    self._check_kind(file.read(_BEGINNING))
            else:
                self._check_kind(path.getvalue()[:_BEGINNING])
            with zipfile.ZipFile(path) as archive:
                self._check_entries(archive)
                self.manifest = self._manifest(archive)
                self._arrays = {
                    each.filename: self._array(archive, each.filename)
                    for each in archive.infolist()
                    if each.filename not in (MANIFEST, PADDING)
                }
        except OSError as error:
            raise self.fault(f"cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise self.fault(f"is damaged: {error}; build it again") from None

    def fault(self, what: str, allowed: str = "") -> InputError:
        """What is wrong with this file."""
        return InputError(Problem(self.name, "", what, allowed))

    def array(self, entry: object) -> Array:
        """The array of an entry; InputError when there is none."""
        if not isinstance(entry, str) or entry not in self._arrays:
            raise self.fault(f"misses the array {entry!r}; build it again")
        return self._arrays[entry]

    def _check_kind(self, beginning: bytes) -> None:
        """Tell files that are something else."""
        if beginning[:2] == b"PK":
            return
        if not beginning:
            raise self.fault("is empty; build it again")
        # A protobuf that begins with ModelProto.ir_version; the vendor's says who made it.
        if beginning[:1] == b"\x08" and not re.search(rb"(?i)pulsar|axera|neu[ _]?mode", beginning):
            what = "is no .axmodel of axsim but looks like an ONNX file"
            raise self.fault(f"{what}: build it, axsim build {self.name} --chip CHIP")
        if beginning[:1] == b"\x08":
            raise self.fault(VENDORS)
        raise self.fault(f"is no .axmodel of axsim; if it is the vendor's: {VENDORS}")

    def _check_entries(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if MANIFEST not in names:
            raise self.fault(f"is a zip without {MANIFEST}, no .axmodel of axsim")
        strange = next((name for name in names if not _NAME.fullmatch(name)), None)
        if strange is not None or len(set(names)) < len(names):
            what = "an entry twice" if strange is None else f"an entry named {strange!r}"
            raise self.fault(f"has {what}; no build of axsim does that")
        file = archive.fp
        assert file is not None
        room = file.seek(0, io.SEEK_END)
        for entry in entries:
            is_stored = entry.compress_type == zipfile.ZIP_STORED
            if not is_stored or entry.file_size != entry.compress_size or entry.flag_bits & 1:
                what = f"has the entry {entry.filename} compressed or encrypted"
                raise self.fault(f"{what}; builds of axsim store entries as they are")
            room -= entry.file_size
        if room < 0:
            raise self.fault("has entries that are larger than the file")

    def _manifest(self, archive: zipfile.ZipFile) -> dict[str, Any]:
        if archive.getinfo(MANIFEST).file_size > _LONGEST_MANIFEST:
            raise self.fault(f"has {MANIFEST} of more than {_LONGEST_MANIFEST >> 20} MiB")
        try:
            manifest = json.loads(archive.read(MANIFEST))
        except (ValueError, RecursionError) as error:
            raise self.fault(f"has {MANIFEST} that is no JSON: {error}") from None
        version = manifest.get("format") if isinstance(manifest, dict) else None
        if version != FORMAT or not isinstance(manifest, dict):
            what = f"is of format version {version!r}; build it again"
            raise self.fault(what, f"version {FORMAT}")
        return manifest

    def _array(self, archive: zipfile.ZipFile, name: str) -> Array:
        data = archive.read(name)  # checks the entry's sum, too
        try:
            return array_of(data)
        except ValueError as error:
            raise self.fault(f"has the entry {name} that is no array: {error}") from None


def array_of(data: bytes) -> Array:
    """The array of a file in numpy's format; ValueError for what is none."""
    try:
        if _announced(data) != len(data):
            raise ValueError("it is not as large as it says")
        array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (TokenError, SyntaxError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its header says nothing ({type(error).__name__})") from None
    return array


def _announced(data: bytes) -> int:
    """The length that the header of an array gives it; ValueError for what is no array."""
    file, form = io.BytesIO(data), np.lib.format
    first = form.read_magic(file) == (1, 0)
    header = form.read_array_header_1_0 if first else form.read_array_header_2_0
    shape, _, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("its elements are objects")
    return file.tell() + math.prod(shape) * dtype.itemsize


def is_container(path: Path) -> bool:
    """Whether a file begins as one of these does."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


_BEGINNING = 1 << 16
_BLOCK = 1 << 20
