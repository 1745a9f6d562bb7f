"""An ONNX model in the making: nodes, initialisers, and where large ones are stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from axsim.files import whole_file
from axsim.graph.onnx_twin import ELEMENT
from axsim.kernels.array import Array

IR_VERSION = {18: 8, 21: 10}
"""The file format version that came with each operator set used here."""

INLINE = 4096
"""Initialisers of up to so many bytes stay in the model file even when the others do not."""


class Writer:
    """Collects one model. ``data`` is an open file for large initialisers, or None to hold them in
    the model; ``opset`` is the operator set declared."""

    def __init__(self, opset: int, data: IO[bytes] | None = None, location: str = "") -> None:
        self.opset = opset
        self._data, self._location = data, location
        self._nodes: list[Any] = []
        self._initialisers: dict[str, Any] = {}

    def constant(self, name: str, array: Array) -> str:
        """An initialiser; a name given again must mean the same values."""
        if name not in self._initialisers:
            array = np.ascontiguousarray(array).reshape(np.shape(array))
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            self._store(name, kind, array.shape, array.astype(array.dtype.newbyteorder("<")))
        return name

    def nibbles(self, name: str, codes: Array) -> str:
        """An INT4 initialiser of int8 codes, two in a byte, the first one low."""
        flat = codes.reshape(-1).view(np.uint8) & 15
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        self._store(name, TensorProto.INT4, codes.shape, flat[::2] | flat[1::2] << 4)
        return name

    def node(
        self, op: str, inputs: Sequence[str], outputs: str | Sequence[str], **attrs: Any
    ) -> str:
        """Append a node, named like its first output, which is returned."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self._nodes.append(helper.make_node(op, list(inputs), names, name=names[0], **attrs))
        return names[0]

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """The finished ModelProto; ``inputs`` and ``outputs`` are (name, dtype, shape)."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(n, ELEMENT[d], s) for n, d, s in inputs],
            [helper.make_tensor_value_info(n, ELEMENT[d], s) for n, d, s in outputs],
            list(self._initialisers.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION[self.opset],
            producer_name="axsim",
        )

    def _store(self, name: str, kind: int, shape: Sequence[int], array: Array) -> None:
        tensor = TensorProto(name=name, data_type=kind, dims=shape)
        if self._data is None or array.nbytes <= INLINE:
            tensor.raw_data = array.tobytes()
        else:
            offset = self._data.tell()
            self._data.write(array.tobytes())
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", self._location),
                ("offset", offset),
                ("length", array.nbytes),
            ):
                tensor.external_data.add(key=key, value=str(value))
        self._initialisers[name] = tensor


def save(model: Any, path: Path) -> None:
    """Write and check a model file.

    Raises:
        InputError: it cannot be written.
    """
    with whole_file(path) as file:
        file.write(model.SerializeToString())
    onnx.checker.check_model(str(path), full_check=True)
