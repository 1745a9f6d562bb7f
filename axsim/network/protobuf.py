"""The protobuf of an ONNX file without its large arrays, which stay in the file.

A scan of the wire format replaces the bytes of every large initialiser by a note of where they lie,
the same that ONNX has for external data. What is left is small, however large the file: the onnx
package parses it, and arrays are memory-mapped when they are asked for.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.kernels.array import Array

_LARGE = 4096
"""Bytes from which an array stays in the file."""

# Field numbers of onnx.proto.
_GRAPH, _INITIALIZER, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 7, 5, 9, 13, 14
_HERE = ""
"""The location that stands for the file itself."""


def load(path: Path) -> Any:
    """The ModelProto of ``path``; large initialisers are external data at location "".

    Raises InputError for a file that is no ONNX model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    if path.exists() and not path.is_file():
        raise InputError(Problem(str(path), "", "is no file"))
    try:
        if not path.stat().st_size:
            raise ValueError("it is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            small = _model(data)
        model = ModelProto.FromString(small)
    except OSError as error:
        raise InputError(Problem(str(path), "", f"cannot be read: {error.strerror}")) from None
    except (DecodeError, IndexError, ValueError) as error:
        raise InputError(Problem(str(path), "", f"is no ONNX model ({error})")) from None
    if not model.HasField("graph") or not model.opset_import:
        raise InputError(Problem(str(path), "", "is no ONNX model (it holds no graph)"))
    return model


def has_values(tensor: Any) -> bool:
    """Whether a TensorProto brings the numbers of its shape along."""
    if tensor.data_location == tensor.EXTERNAL or 0 in tensor.dims:
        return True
    fields = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    return any(len(getattr(tensor, name)) for name in fields)


def array(tensor: Any, path: Path) -> Array:
    """The numbers of a TensorProto of the file ``path``; floats of every width as float32.

    Raises InputError for a missing or short file of external data.
    """
    from onnx import helper, numpy_helper

    if tensor.data_location != tensor.EXTERNAL:
        try:
            return _plain(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, KeyError) as error:
            what = f"its values are not those of its shape and type ({error})"
            raise InputError(Problem(str(path), tensor.name, what)) from None
    notes = {entry.key: entry.value for entry in tensor.external_data}
    location = notes.get("location")
    if location is None or "\0" in location:
        raise InputError(Problem(str(path), tensor.name, "its data are outside, without a place"))
    file = path if location == _HERE else path.parent / location
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise InputError(Problem(str(path), tensor.name, f"its data lie outside: {file}"))
    if file.exists() and not file.is_file():
        raise InputError(Problem(str(file), tensor.name, "cannot be read: it is no file"))
    shape = tuple(tensor.dims)
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).newbyteorder("<")
        mapped = np.memmap(file, dtype, "r", int(notes.get("offset", 0)), shape)
    except (OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the file is too short"
        raise InputError(Problem(str(file), tensor.name, f"cannot be read: {reason}")) from None
    return _plain(np.asarray(mapped))


def _plain(array: Array) -> Array:
    return array if array.dtype.kind in "iub" else array.astype(np.float32, copy=False)


def _model(data: Any) -> bytes:
    parts = []
    for field, start, begin, end in _fields(data, 0, len(data)):
        whole = bytes(data[start:end])
        parts.append(_field(_GRAPH, _graph(data, begin, end)) if field == _GRAPH else whole)
    return b"".join(parts)


def _graph(data: Any, start: int, stop: int) -> bytes:
    parts = []
    for field, first, begin, end in _fields(data, start, stop):
        if field == _INITIALIZER and end - begin > _LARGE:
            parts.append(_field(_INITIALIZER, _tensor(data, begin, end)))
        else:
            parts.append(bytes(data[first:end]))
    return b"".join(parts)


def _tensor(data: Any, start: int, stop: int) -> bytes:
    parts = []
    for field, first, begin, end in _fields(data, start, stop):
        if field != _RAW_DATA or end - begin <= _LARGE:
            parts.append(bytes(data[first:end]))
            continue
        notes = {"location": _HERE, "offset": str(begin), "length": str(end - begin)}
        for key, value in notes.items():
            entry = _field(1, key.encode()) + _field(2, value.encode())
            parts.append(_field(_EXTERNAL_DATA, entry))
        parts.append(_number(_DATA_LOCATION << 3) + _number(1))
    return b"".join(parts)


def _fields(data: Any, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, first byte, first byte of the content and end of each field of a message."""
    at = start
    while at < stop:
        first = at
        tag, at = _varint(data, at)
        wire = tag & 7
        begin = at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 1:
            at += 8
        elif wire == 2:
            length, begin = _varint(data, at)
            at = begin + length
        elif wire == 5:
            at += 4
        else:
            raise ValueError(f"wire type {wire} at byte {first}")
        if at > stop:
            raise ValueError("it ends too early")
        yield tag >> 3, first, begin, at


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"no number at byte {at}")


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(content)) + content
