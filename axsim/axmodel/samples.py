"""Inputs that a build is calibrated on, and what tells builds apart."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from axsim.axmodel.archive import array_of
from axsim.errors import InputError
from axsim.kernels.array import Array

LARGEST = 8 << 30
"""Bytes of unpacked samples."""


def read_samples(path: Path) -> Sequence[Mapping[str, Array]]:
    """The samples of a ``.npz``: arrays by input, whose first dimension counts the samples; each
    sample keeps a first dimension of 1.

    Raises:
        InputError: the file cannot be read, or its arrays are of different lengths or empty.
    """
    try:
        with ZipFile(path) as file:
            size = sum(each.file_size for each in file.infolist())
            if size > LARGEST:
                raise InputError(f"{path} is too large: more than {LARGEST >> 30} GiB unpacked")
            arrays = {
                each.filename.removesuffix(".npy"): array_of(file.read(each))
                for each in file.infolist()
            }
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error):
        raise InputError(f"cannot read {path}: it is no .npz of plain arrays") from None
    odd = [name for name, array in arrays.items() if array.dtype.kind not in "fiub"]
    if odd:
        what = f"{odd[0]} holds {arrays[odd[0]].dtype}"
        raise InputError(f"{path}: {what}; allowed: floating-point and whole numbers")
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(lengths) != 1 or 0 in lengths:
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise InputError(f"{path}: arrays must have as many samples each, at least one: {told}")
    floats = {name: _as_fed(array) for name, array in arrays.items()}
    return [
        {name: array[i : i + 1] for name, array in floats.items()} for i in range(lengths.pop())
    ]


def identity_of(*sources: Path | None) -> str:
    """Names, sizes and times of change of the files that a build reads; of a folder, those inside
    it."""
    told = []
    for source in sources:
        if source is None:
            continue
        inside = sorted(source.iterdir()) if source.is_dir() else [source]
        for path in inside:
            if path.is_file():
                status = path.stat()
                told.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(told)


def _as_fed(array: Array) -> Array:
    """As networks take them: whole numbers in 64 bits, others in float32."""
    is_float = array.dtype.kind == "f"
    whole: Array = array.astype(np.float32 if is_float else np.int64)
    return whole
