"""The innermost loop of byte products in AVX-512 VNNI instructions, written for LLVM.

``vpdpbusd`` adds the products of four U8 and four S8 numbers to each S32 lane without saturating
(Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2). numba has no vectors of
its own, so what is here builds LLVM's instructions, one by one, for numba's loops to call.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes of a vector, and of a cache line."""
QUAD = 4
"""Numbers multiplied and added in one lane at once."""
WIDTH = 32
"""Columns of a panel: two vectors of S32 lanes."""

_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))
_VECTOR = ir.VectorType(_I32, 16)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)
_LANE_0 = ir.Constant(_VECTOR, [0] * 16)
_DOT = ir.FunctionType(_VECTOR, [_VECTOR] * 3)


def tile_of(rows: int) -> Any:
    """``tile(a, a_at, a_step, b, b_at, c, c_at, c_step, first, f_at, quads, add)``, for numba code.

    Multiplies ``rows`` rows of U8 codes, ``a_step`` apart, with ``quads`` quads of an S8 panel
    [quads, 32, 4] and writes S32 sums to rows of ``c``, ``c_step`` apart: added to what is there
    where ``add``, else to one number of ``first`` for each row. Arrays are flat and begin at the
    index after them.
    """

    def tile(
        typing: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, c: Any, c_at: Any,
        c_step: Any, first: Any, f_at: Any, quads: Any, add: Any,
    ) -> Any:  # fmt: skip
        kinds = a, a_at, a_step, b, b_at, c, c_at, c_step, first, f_at, quads, add
        return types.void(*kinds), code

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a, a_step = _address(context, builder, signature, values, 0), values[2]
        b = _address(context, builder, signature, values, 3)
        c, c_step = _address(context, builder, signature, values, 5, 4), values[7]
        first = _address(context, builder, signature, values, 8, 4)
        quads, add = values[10:]
        lines = [_moved(builder, a, a_step, r) for r in range(rows)]
        sums = [
            _vector(builder, _moved(builder, _moved(builder, c, c_step, 4 * r), _I64(LINE), v))
            for r in range(rows)
            for v in range(2)
        ]
        # LLVM keeps these in registers.
        held = [cgutils.alloca_once(builder, _VECTOR) for _ in sums]
        with builder.if_else(add) as (then, otherwise):
            with then:
                for total, place in zip(sums, held, strict=True):
                    builder.store(builder.load(total, align=4), place)
            with otherwise:
                for i, place in enumerate(held):
                    start = _moved(builder, first, _I64(4), i // 2)
                    builder.store(_in_all_lanes(builder, start), place)
        dot = builder.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.512", fnty=_DOT)
        with cgutils.for_range(builder, quads) as loop:
            here = _moved(builder, b, loop.index, QUAD * WIDTH)
            factors = [
                builder.load(_vector(builder, _moved(builder, here, _I64(LINE), v)), align=1)
                for v in range(2)
            ]
            for r, line in enumerate(lines):
                four = _in_all_lanes(builder, _moved(builder, line, loop.index, QUAD))
                for place, factor in zip(held[2 * r : 2 * r + 2], factors, strict=True):
                    builder.store(builder.call(dot, [builder.load(place), four, factor]), place)
        for total, place in zip(sums, held, strict=True):
            builder.store(builder.load(place), total, align=4)
        return context.get_dummy_value()

    return intrinsic(tile)


def _prefetch(typing: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        line = _address(context, builder, signature, values, 0)
        kind = ir.FunctionType(ir.VoidType(), [line.type, _I32, _I32, _I32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [line.type], kind)
        builder.call(fetch, [line, _I32(0), _I32(2), _I32(1)])  # to read, into L2, data
        return context.get_dummy_value()

    return types.void(array, at), code


prefetch: Any = intrinsic(_prefetch)
"""``prefetch(array, at)`` asks for the cache line of a flat array's byte ``at``; it may be beyond
the end."""


def _address(context: Any, builder: Any, signature: Any, values: Any, i: int, size: int = 1) -> Any:
    """Of the element of array ``i`` of the arguments whose index is the one after it."""
    data = context.make_array(signature.args[i])(context, builder, values[i]).data
    return _moved(builder, builder.bitcast(data, _I8.as_pointer()), values[i + 1], size)


def _moved(builder: Any, pointer: Any, step: Any, times: int) -> Any:
    return builder.gep(pointer, [builder.mul(step, _I64(times))])


def _vector(builder: Any, pointer: Any) -> Any:
    return builder.bitcast(pointer, _VECTOR.as_pointer())


def _in_all_lanes(builder: Any, pointer: Any) -> Any:
    number = builder.load(builder.bitcast(pointer, _I32.as_pointer()), align=1)
    one = builder.insert_element(_UNDEFINED, number, _I32(0))
    return builder.shuffle_vector(one, _UNDEFINED, _LANE_0)
