"""Integer products through onnxruntime's MatMulInteger.

Sessions are single-threaded: callers split rows over threads themselves
(:mod:`axsim.kernels.parallel`), so no session keeps a pool, and nothing spins.

On x86 without VNNI the u8 x s8 kernels add pairs of products in saturating int16. Each backend
object therefore tries the extremes before it is used, and holds signed operands as unsigned codes
with zero point 128, whose kernels widen first, where the signed ones fail.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from axsim.kernels.array import Array
from axsim.kernels.onnx_model import one_node
from axsim.kernels.products import Packed, bytes_of, totals_of
from axsim.kernels.scratch import Scratch


class OnnxProducts:
    """See :class:`axsim.kernels.products.Products`.

    ``signed``: whether right operands are int8; by default what :meth:`probe` finds exact. Raises
    ArithmeticError when no kernel of this onnxruntime is exact on this CPU.
    """

    name = "onnxruntime"

    def __init__(self, signed: bool | None = None) -> None:
        for candidate in (True, False) if signed is None else (signed,):
            self._right = np.dtype(np.int8 if candidate else np.uint8)
            self._session = session(one_node("MatMulInteger", self._inputs(), ("int32", 2)))
            if self.probe():
                return
        raise ArithmeticError("this onnxruntime has no exact 8-bit matrix product on this CPU")

    def probe(self) -> bool:
        """Whether the kernels in use are exact where int16 sums of two products saturate."""
        rng = np.random.default_rng(0)
        codes = rng.choice(np.array([-128, 127], np.int8), (40, 96))
        codes[:16] = -128
        a = rng.choice(np.array([0, 255], np.uint8), (24, 96))
        a[:8] = 255
        wide = codes.view(np.uint8) ^ np.uint8(128)
        return all(
            np.array_equal(
                self.pack(b, zero).sums(a)[:, 0], a.astype(np.int64) @ (b.astype(np.int64) - zero).T
            )
            for b, zero in ((codes, 0), (wide, 0), (wide, 255))
        )

    def pack(self, codes: Array, zero: int = 0) -> Packed:
        """Packs int8 codes, which are weights, inside a session; others are packed for each
        product."""
        right = self._right_operand(bytes_of(codes, zero))
        totals = totals_of(codes, zero)
        if codes.dtype != np.int8:
            return _OnnxPacked(self._session, right, totals)
        model = one_node("MatMulInteger", self._inputs(), ("int32", 2), right)
        return _OnnxPacked(session(model), {}, totals)

    def _inputs(self) -> list[tuple[str, str, int]]:
        right = self._right.name
        return [("a", "uint8", 2), ("b", right, 2), ("az", "uint8", 0), ("bz", right, 1)]

    def _right_operand(self, operands: list[tuple[Array, int]]) -> dict[str, Array]:
        """Bytes side by side, with a zero point for all columns, or one for each if they differ; in
        unsigned codes both are 128 more than in signed ones."""
        right = np.hstack([codes.T for codes, _ in operands])
        columns = len(operands[0][0]) if len(operands) > 1 else 1
        zeros = np.repeat([zero for _, zero in operands], columns)
        if right.dtype != self._right:
            right = (right.view(np.uint8) ^ np.uint8(128)).view(self._right)
            zeros += -128 if self._right == np.int8 else 128
        return {"b": right, "az": np.array(0, np.uint8), "bz": zeros.astype(self._right)}


class _OnnxPacked(Packed):
    def __init__(self, session: Any, right: dict[str, Array], totals: Array) -> None:
        self._session, self._right, self.totals = session, right, totals
        self._bytes = right["b"].shape[1] // totals.size if right else 1

    def sums(self, a: Array) -> Array:
        columns = self._bytes * self.totals.size
        out = _scratch.array("sums", (len(a), columns), np.int32)
        _run(self._session, {"a": a, **self._right}, out)
        return out.reshape(len(a), self._bytes, -1)


_scratch = Scratch()


def _run(session: Any, feed: dict[str, Array], out: Array) -> None:
    """Compute the one output into ``out`` (C-contiguous), without a copy."""
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
    session.run_with_iobinding(binding)


def session(model: bytes) -> Any:
    """A session of one thread for a model that is run as it is."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # freed memory goes back to the system
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Kept for other providers only, of which there are none: as many bytes as the packed matrix.
    session._model_bytes = b""
    return session
