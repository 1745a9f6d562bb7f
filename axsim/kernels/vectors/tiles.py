"""The innermost loop of matrix products in a CPU's widest vectors, written for LLVM.

numba has no vectors of its own: what is here builds LLVM's instructions, one by one, for numba's
loops to call. Float32 numbers take fused multiply-adds. Bytes take ``vpdpbusd`` (AVX-512 VNNI),
which adds the products of four U8 and four S8 numbers to each S32 lane without saturating; other
CPUs get them as S16 numbers for ``vpmaddwd``, which multiplies two pairs (Intel 64 and IA-32
Architectures Software Developer's Manual, volume 2). All have a word of 32 bits in each lane, so
one loop does for all.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


def supported(*features: str) -> bool:
    """Whether numba compiles for this CPU, and it has vectors of 256 bits at least, fused
    multiply-adds, and the ``features`` (LLVM's names)."""
    settings = vars(config)
    if settings["CPU_NAME"] or settings["CPU_FEATURES"]:  # it compiles for some other one
        return False
    found = binding.get_host_cpu_features()
    return all(found.get(name) for name in ("avx2", "fma", *features))


_LANES = 16 if supported("avx512f") else 8
_VECTOR = 4 * _LANES
WIDTH = 2 * _LANES
"""Columns of a panel: two vectors of lanes."""
BYTES = supported("avx512vnni")
"""Whether codes are multiplied as bytes, four in a word; else they are S16, two in a word."""
LINE = 16
"""Words of a cache line."""
ROWS = 12 if _LANES == 16 else 6
"""Rows of a tile: its sums and what they are made of fill the 32 or 16 vector registers."""

_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))
_alloca: Any = cgutils.alloca_once


def tile_of(rows: int) -> Any:
    """``tile(a, a_at, a_step, b, b_at, c, c_at, c_step, first, f_at, words, add)``, for numba code.

    Multiplies ``rows`` rows of ``a``, ``a_step`` apart, with ``words`` words of a panel ``b``
    [words, WIDTH] and writes sums to rows of ``c``, ``c_step`` apart: added to what is there where
    ``add``, else to one number of ``first`` for each row. Either all are float32, or ``a`` is U8,
    ``b`` has four S8 numbers in an int32, and the rest is S32; without :data:`BYTES` ``a`` is S16,
    and ``b`` has two S16 numbers in an int32 or two S8 ones in an int16. Arrays are flat and begin
    at the index after them.
    """

    def tile(
        typing: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, c: Any, c_at: Any,
        c_step: Any, first: Any, f_at: Any, words: Any, add: Any,
    ) -> Any:  # fmt: skip
        kinds = a, a_at, a_step, b, b_at, c, c_at, c_step, first, f_at, words, add
        return types.void(*kinds), code

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a = address(context, builder, signature, values, 0)
        lines = [moved(builder, a, values[2], r * _size(signature, 0)) for r in range(rows)]
        return _multiplied(context, builder, signature, values, lines, 3)

    return intrinsic(tile)


def scattered_tile_of(rows: int) -> Any:
    """``tile(a, a_at, places, p_at, pieces, q_at, count, b, …)``: as that of :func:`tile_of`, but
    for where words of a row of ``a`` begin: at elements of the int64 array ``places`` from ``p_at``
    on, beside ``a_at``, and ``count`` pieces of a row one after another at those of ``pieces`` from
    ``q_at`` on, of so many ``words`` each. Sums begin with 0 where they are added to what is there:
    short sums of sums round less."""

    def tile(
        typing: Any, a: Any, a_at: Any, places: Any, p_at: Any, pieces: Any, q_at: Any, count: Any,
        b: Any, b_at: Any, c: Any, c_at: Any, c_step: Any, first: Any, f_at: Any, words: Any,
        add: Any,
    ) -> Any:  # fmt: skip
        row = a, a_at, places, p_at, pieces, q_at, count
        kinds = *row, b, b_at, c, c_at, c_step, first, f_at, words, add
        return types.void(*kinds), code

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        a, places, pieces = (address(context, builder, signature, values, n) for n in (0, 2, 4))
        begins = [_number(builder, places, _I64(r)) for r in range(rows)]
        lines = [moved(builder, a, begin, _size(signature, 0)) for begin in begins]
        return _multiplied(context, builder, signature, values, lines, 7, (pieces, values[6]))

    return intrinsic(tile)


def _number(builder: Any, numbers: Any, i: Any) -> Any:
    """The int64 ``i`` after those that ``numbers`` points at."""
    return builder.load(builder.bitcast(moved(builder, numbers, i, 8), _I64.as_pointer()))


def _multiplied(
    context: Any,
    builder: Any,
    signature: Any,
    values: Any,
    lines: list[Any],
    b_index: int,
    pieces: tuple[Any, Any] | None = None,
) -> Any:
    """The body of a tile whose rows begin at ``lines``; ``b`` and what follows are the arguments
    from ``b_index`` on. With ``pieces``, where they begin and their number, what is there is added
    to the sums at their end."""
    rows = len(lines)
    real = signature.args[b_index + 2].dtype == types.float32
    lane = ir.FloatType() if real else _I32
    b, c, first = (address(context, builder, signature, values, b_index + n) for n in (0, 2, 5))
    c_step, words, add = (values[b_index + n] for n in (4, 7, 8))
    sums = [
        _vector(builder, moved(builder, moved(builder, c, c_step, 4 * r), _I64(_VECTOR), v), lane)
        for r in range(rows)
        for v in range(2)
    ]
    # LLVM keeps these in registers.
    vector = ir.VectorType(lane, _LANES)
    held = [_alloca(builder, vector) for _ in sums]
    with builder.if_else(add) as (then, otherwise):
        with then:
            for total, place in zip(sums, held, strict=True):
                start = ir.Constant(vector, None) if pieces else builder.load(total, align=4)
                builder.store(start, place)
        with otherwise:
            for i, place in enumerate(held):
                start = moved(builder, first, _I64(4), i // 2)
                builder.store(_in_all_lanes(builder, start, lane), place)
    size = _size(signature, b_index)

    def products(lines: list[Any], panel: Any) -> None:
        with cgutils.for_range(builder, words) as loop:
            here = moved(builder, panel, loop.index, size * WIDTH)
            places = (moved(builder, here, _I64(size * _LANES), v) for v in range(2))
            factors = [_words(builder, place, lane, size) for place in places]
            for r, line in enumerate(lines):
                word = _in_all_lanes(builder, moved(builder, line, loop.index, 4), lane)
                for place, factor in zip(held[2 * r : 2 * r + 2], factors, strict=True):
                    builder.store(_added(builder, builder.load(place), word, factor), place)

    if pieces is None:
        products(lines, b)
    else:
        begins, count = pieces
        with cgutils.for_range(builder, count) as piece:
            begin = _number(builder, begins, piece.index)
            there = [moved(builder, line, begin, _size(signature, 0)) for line in lines]
            products(there, moved(builder, b, builder.mul(piece.index, words), size * WIDTH))
        with builder.if_then(add):
            for total, place in zip(sums, held, strict=True):
                before, own = builder.load(total, align=4), builder.load(place)
                both = builder.fadd(before, own) if real else builder.add(before, own)
                builder.store(both, place)
    for total, place in zip(sums, held, strict=True):
        builder.store(builder.load(place), total, align=4)
    return context.get_dummy_value()


def _prefetch(typing: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        line = address(context, builder, signature, values, 0)
        kind = ir.FunctionType(ir.VoidType(), [line.type, _I32, _I32, _I32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [line.type], kind)
        builder.call(fetch, [line, _I32(0), _I32(2), _I32(1)])  # to read, into L2, data
        return context.get_dummy_value()

    return types.void(array, at), code


prefetch: Any = intrinsic(_prefetch)
"""``prefetch(array, at)`` asks for the cache line of a flat array's element ``at``, which may be
beyond the end."""


def _added(builder: Any, total: Any, word: Any, factor: Any) -> Any:
    """``total`` and the products of the lanes' words."""
    kind = ir.FunctionType(total.type, [total.type] * 3)
    if isinstance(total.type.element, ir.FloatType):
        fused = builder.module.declare_intrinsic(f"llvm.fma.v{_LANES}f32", fnty=kind)
        return builder.call(fused, [word, factor, total])
    if BYTES:
        dot = builder.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.512", fnty=kind)
        return builder.call(dot, [total, word, factor])
    pairs = ir.VectorType(ir.IntType(16), 2 * _LANES)
    name = "llvm.x86.avx512.pmaddw.d.512" if _LANES == 16 else "llvm.x86.avx2.pmadd.wd"
    kind = ir.FunctionType(total.type, [pairs] * 2)
    dot = builder.module.declare_intrinsic(name, fnty=kind)
    numbers = [builder.bitcast(words, pairs) for words in (word, factor)]
    return builder.add(total, builder.call(dot, numbers))


def _size(signature: Any, i: int) -> int:
    return int(signature.args[i].dtype.bitwidth // 8)


def address(context: Any, builder: Any, signature: Any, values: Any, i: int) -> Any:
    """Of the element of array ``i`` of the arguments whose index is the one after it."""
    data = context.make_array(signature.args[i])(context, builder, values[i]).data
    start = builder.bitcast(data, _I8.as_pointer())
    return moved(builder, start, values[i + 1], _size(signature, i))


def moved(builder: Any, pointer: Any, step: Any, times: int) -> Any:
    """The pointer ``step`` times so many bytes on."""
    return builder.gep(pointer, [builder.mul(step, _I64(times))])


def _vector(builder: Any, pointer: Any, lane: Any) -> Any:
    return builder.bitcast(pointer, ir.VectorType(lane, _LANES).as_pointer())


def _words(builder: Any, pointer: Any, lane: Any, size: int) -> Any:
    """A vector of words in memory, of ``size`` bytes; of two, which are S8 numbers, each becomes
    S16."""
    if size == 4:
        return builder.load(_vector(builder, pointer, lane), align=1)
    narrow, wide = (ir.VectorType(ir.IntType(bits), 2 * _LANES) for bits in (8, 16))
    numbers = builder.load(builder.bitcast(pointer, narrow.as_pointer()), align=1)
    return builder.bitcast(builder.sext(numbers, wide), ir.VectorType(lane, _LANES))


def _in_all_lanes(builder: Any, pointer: Any, lane: Any) -> Any:
    nothing = ir.Constant(ir.VectorType(lane, _LANES), ir.Undefined)
    number = builder.load(builder.bitcast(pointer, lane.as_pointer()), align=1)
    one = builder.insert_element(nothing, number, _I32(0))
    return builder.shuffle_vector(
        one, nothing, ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES)
    )
