"""Inputs that a build is calibrated on, and what tells builds apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array


def read_samples(path: Path) -> Sequence[Mapping[str, Array]]:
    """The samples of a ``.npz``: arrays by input, whose first dimension counts the samples; each
    sample keeps a first dimension of 1.

    Raises:
        InputError: the file cannot be read, or its arrays are of different lengths or empty.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "it is no .npz of plain arrays"
        raise InputError(f"cannot read {path}: {reason}") from None
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
