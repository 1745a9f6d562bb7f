"""Integer products through onnxruntime's MatMulInteger and QLinearMatMul.

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

from axsim.kernels.arithmetic import MAX_INNER_BYTES
from axsim.kernels.array import Array
from axsim.kernels.integer import Packed, Product, bytes_of, check_inner
from axsim.kernels.onnx_model import one_node
from axsim.kernels.scratch import Scratch


class OnnxBackend:
    """See :class:`axsim.kernels.integer.Backend`.

    ``signed``: whether right operands are int8; by default what :meth:`probe` finds exact. Raises
    ArithmeticError when no kernel of this onnxruntime is exact on this CPU.
    """

    name = "onnxruntime"

    def __init__(self, signed: bool | None = None) -> None:
        self._scratch = Scratch()
        for candidate in (True, False) if signed is None else (signed,):
            self._right = np.dtype(np.int8 if candidate else np.uint8)
            self._sums = _session(one_node("MatMulInteger", self._operands(), ("int32", 2)))
            right = self._right.name
            scalars: list[tuple[str, str, int]] = [("as", "float32", 0), ("az", "uint8", 0)]
            operands = [("a", "uint8", 2), *scalars, ("b", right, 2)]
            operands += [("bs", "float32", 0), ("bz", right, 0)]
            operands += [("ys", "float32", 0), ("yz", "uint8", 0)]
            self._codes = _session(one_node("QLinearMatMul", operands, ("uint8", 2)))
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
        expected = a.astype(np.int64) @ codes.T.astype(np.int64)
        b = (codes.T.view(np.uint8) ^ 128).copy()
        wide = a.astype(np.int64) @ b.astype(np.int64)
        pairs = a.astype(np.int64) @ bytes_of(b.astype(np.uint16) * 256).astype(np.int64)
        halves = np.clip(np.rint(wide.astype(np.float32) * np.float32(1e-4)), 0, 255)
        found = np.empty(wide.shape, np.uint8)
        self.product_codes(b, (0, 0, 0), 1e-4)(a, found)
        return (
            bool(np.array_equal(self.pack(codes).sums(a), expected))
            and bool(np.array_equal(self.pack_bytes(b.astype(np.uint16) * 256).sums(a), pairs))
            and bool(np.array_equal(found, halves))
        )

    def pack(self, codes: Array) -> Packed:
        """Packs the codes inside an onnxruntime session; they are not needed any more."""
        check_inner(codes.shape[1])
        constants = {"b": self._stored(codes.T), "az": _U8_ZERO, "bz": self._zero(0)}
        model = one_node("MatMulInteger", self._operands(), ("int32", 2), constants)
        return _OnnxPacked(_session(model), len(codes), self._scratch, {})

    def pack_bytes(self, codes: Array) -> Packed:
        """Keeps the bytes; onnxruntime packs them for each product."""
        check_inner(len(codes), MAX_INNER_BYTES)
        right = self._flipped(bytes_of(codes))
        return _OnnxPacked(
            self._sums,
            right.shape[1],
            self._scratch,
            {"b": right, "az": _U8_ZERO, "bz": self._zero(-128)},
        )

    def product_codes(self, b: Array, zeros: tuple[int, int, int], multiplier: float) -> Product:
        """See :class:`~axsim.kernels.integer.Backend`."""
        check_inner(len(b), MAX_INNER_BYTES)
        feed = {"b": self._flipped(b), "as": _ONE, "ys": _ONE}
        feed["az"] = np.array(zeros[0], np.uint8)
        feed["bz"] = self._zero(zeros[1] - 128)
        feed["bs"] = np.array(multiplier, np.float32)
        feed["yz"] = np.array(zeros[2], np.uint8)
        return lambda a, out: _run(self._codes, {"a": a, **feed}, out)

    def _operands(self) -> list[tuple[str, str, int]]:
        right = self._right.name
        return [("a", "uint8", 2), ("b", right, 2), ("az", "uint8", 0), ("bz", right, 0)]

    def _stored(self, codes: Array) -> Array:
        """int8 codes as the kernels take them."""
        if self._right == np.int8:
            return np.ascontiguousarray(codes)
        flipped: Array = np.ascontiguousarray(codes).view(np.uint8) ^ np.uint8(128)
        return flipped

    def _flipped(self, codes: Array) -> Array:
        """U8 codes as the kernels take them; in int8 they are 128 less."""
        codes = np.ascontiguousarray(codes)
        if self._right == np.uint8:
            return codes
        flipped: Array = (codes ^ np.uint8(128)).view(np.int8)
        return flipped

    def _zero(self, signed: int) -> Array:
        """The zero point of right operands that is ``signed`` when they are int8."""
        return np.array(signed if self._right == np.int8 else signed + 128, self._right)


class _OnnxPacked(Packed):
    def __init__(
        self, session: Any, columns: int, scratch: Scratch, operands: dict[str, Array]
    ) -> None:
        self._session, self._columns = session, columns
        self._scratch, self._operands = scratch, operands

    def sums(self, a: Array) -> Array:
        out = self._scratch.array("sums", (a.shape[0], self._columns), np.int32)
        _run(self._session, {"a": a, **self._operands}, out)
        return out

    def prepared(self, a: Array) -> Packed:
        out = np.empty((a.shape[0], self._columns), np.int32)
        return _Bound(self._session, _binding(self._session, {"a": a, **self._operands}, out), out)


class _Bound(Packed):
    """A product whose left operand and sums stay where they are."""

    def __init__(self, session: Any, binding: Any, out: Array) -> None:
        self._session, self._binding, self._out = session, binding, out

    def sums(self, a: Array) -> Array:
        self._session.run_with_iobinding(self._binding)
        return self._out


_U8_ZERO = np.array(0, np.uint8)
_ONE = np.array(1, np.float32)


def _run(session: Any, feed: dict[str, Array], out: Array) -> None:
    """Compute the one output into ``out`` (C-contiguous), without a copy."""
    session.run_with_iobinding(_binding(session, feed, out))


def _binding(session: Any, feed: dict[str, Array], out: Array) -> Any:
    """The session's operands and result where they lie; ``feed`` and ``out`` must outlive it."""
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    binding.bind_output("y", "cpu", 0, out.dtype.type, out.shape, out.ctypes.data)
    return binding


def _session(model: bytes) -> Any:
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
