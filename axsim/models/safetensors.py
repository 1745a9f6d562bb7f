"""Reading safetensors files by memory map: nothing is read before it is asked for."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array

Shape = tuple[int, ...]

# bfloat16 and the 8-bit floats have no numpy type: they are read as their bits.
_DTYPES = {
    "BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8",
    "I8": "i1", "U8": "u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8",
    "BOOL": "?", "F8_E4M3": "u1", "F8_E5M2": "u1",
}  # fmt: skip


@lru_cache(maxsize=2)
def _float8_values(dtype: str) -> Array:
    """The float32 value of every 8-bit pattern: E5M2 is the upper half of a float16; E4M3 has no
    infinity, one NaN of each sign, and a bias of 7 (OCP 8-bit floating point specification)."""
    bits = np.arange(256)
    if dtype == "F8_E5M2":
        halves: Array = (bits.astype(np.uint16) << np.uint16(8)).view(np.float16)
        return halves.astype(np.float32)
    exponent, mantissa = bits >> 3 & 15, bits & 7
    size = np.where(exponent, (8 + mantissa) * 2.0 ** (exponent - 10), mantissa * 2.0**-9)
    size[bits & 127 == 127] = np.nan
    values: Array = np.where(bits < 128, size, -size).astype(np.float32)
    return values


class SafetensorsFile:
    """One safetensors file: ``shapes`` has every tensor's shape by name.

    Raises InputError when the file is cut short or is no safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= size - 8:
                    raise InputError(f"{path} is no safetensors file: its header is cut short")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            self._entries: dict[str, tuple[str, Shape, int]] = {}
            places = []
            for name, entry in header.items():
                dtype, shape = entry["dtype"], tuple(map(_count, entry["shape"]))
                begin, end = map(_count, entry["data_offsets"])
                if dtype not in _DTYPES:
                    raise InputError(f"{path}: {name} has the unknown dtype {dtype}")
                if 8 + length + end > size:
                    raise InputError(f"{path} is cut short: {name} lies beyond its end")
                if end - begin != prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
                    raise InputError(f"{path}: {name} has {end - begin} bytes for {dtype} {shape}")
                self._entries[name] = (dtype, shape, begin)
                places.append((begin, end, name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no readable safetensors file: {error}") from error
        except RecursionError:
            what = "its header is nested too deeply"
            raise InputError(f"{path} is no readable safetensors file: {what}") from None
        for (_, end, name), (begin, _, other) in pairwise(sorted(places)):
            if begin < end:
                raise InputError(f"{path}: {name} and {other} share bytes, which none may")
        self.shapes = {name: shape for name, (_, shape, _) in self._entries.items()}
        self._start = 8 + length

    def stored(self, name: str) -> Array:
        """The tensor as stored, a read-only view of the file; bfloat16 as uint16 bits."""
        dtype, shape, begin = self._entries[name]
        kind = np.dtype(_DTYPES[dtype])
        if not prod(shape):
            return np.empty(shape, kind)
        # A map of its own for each read: dropped with the array, so that pages once read do not
        # stay in this process.
        mapped = np.memmap(self.path, kind, "r", self._start + begin, shape)
        return mapped.view(np.ndarray)

    def float32(self, name: str, rows: Array | None = None) -> Array:
        """The tensor, or some of its rows, as a float32 array of its own."""
        value = self.stored(name)
        if rows is not None:
            value = value[rows]
        dtype = self._entries[name][0]
        if dtype.startswith("F8"):
            return _float8_values(dtype)[value]
        if dtype != "BF16":
            return value.astype(np.float32)
        bits = value.astype(np.uint32)
        bits <<= np.uint32(16)
        return bits.view(np.float32)


def _count(value: object) -> int:
    """A size or an offset of a header; ValueError when it can be none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"found {json.dumps(value)[:40]}, where a whole number from 0 on is due")
    if value > sys.maxsize:
        raise ValueError(f"found a number above {sys.maxsize}")
    return value


def tensor_names(path: Path) -> frozenset[str]:
    """The names in a file's header, whatever their types; none when it cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= size - 8 else {}
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(header) - {"__metadata__"} if isinstance(header, dict) else frozenset()
