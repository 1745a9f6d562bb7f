"""The tasks of a segment, emitted as columns.

One function of numbers and flat lists alone, so that numba compiles it as it stands where many
segments are tiled (:mod:`axsim.compiler.emit_numba`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from axsim.compiler.program import KINDS, Column

TILE_BYTES = 512 * 1024
"""Weights of one tile and group; the vendor's traces show loads of 0.46 and 0.98 MB."""

MATRIX, VECTOR, FIRST, PARTS = 0, 1, 2, 4
"""Parts of a step's work: a tile's product, or its vector work; FIRST is added for the tile that
the step is issued with. PARTS is how many there are."""

COMPUTE, PARAM, INPUT, SWAP_IN, SWAP_OUT, OUTPUT = range(len(KINDS))
MOVES = INPUT, SWAP_IN, SWAP_OUT, OUTPUT
"""What a tile moves beside weights, in the order of ``Steps.moves``: two loads and two stores."""


class Engines(NamedTuple):
    """How many units of each kind a group has, and the first queue of each kind in every group."""

    convs: int
    tengs: int
    conv: Column
    teng: Column
    read: Column
    write: Column


class Steps(NamedTuple):
    """What tiling has to know of each step.

    ``tiles`` in every group; whether it has a product on CONV (``conv``) or TENG (``teng``) and
    vector work (``vector``), and loads its weights ``in_turn`` with its products; of one tile and
    group the bytes of ``weight`` and, by kind of :data:`MOVES`, bytes and cost of ``moves``
    [steps, 4, 2]; ``buffer``, the group's on-chip memory that is left to weights; and the steps
    that it reads from, ``maker[maker_begin[i] : maker_begin[i + 1]]``, each with whether it goes to
    this one band by band (``banded``).
    """

    tiles: Column
    conv: Column
    teng: Column
    vector: Column
    in_turn: Column
    weight: Column
    moves: Column
    buffer: Column
    maker_begin: Column
    maker: Column
    banded: Column


Columns = tuple[Column, ...]
"""The columns of :class:`axsim.compiler.program.Tiling`. Durations are those of each step by part
(PARTS times the step, and the part), and behind them the 0 of transfers."""


def column(values: Any) -> Column:
    """A finished column: the list itself; numba makes an array of it."""
    return values


def emit(engines: Engines, steps: Steps, preloaded: float, following: float) -> Columns:
    """The columns of a segment's tasks, of whose weights ``preloaded`` bytes of each group are on
    chip already; ``following`` bytes of the next segment's are loaded at the end."""
    groups, count = len(engines.read), len(steps.tiles)
    tasks_begin = [0]  # of each step, where its tiles stand in tile_first and tile_stop
    for tiles in steps.tiles:
        tasks_begin.append(tasks_begin[-1] + tiles * groups)
    # the tasks that computed each tile
    tile_first, tile_stop = [0] * tasks_begin[-1], [0] * tasks_begin[-1]
    transfer = PARTS * count  # which duration it has
    # empty lists whose type numba can tell
    engine, kind, step_of, duration = [0][:0], [0][:0], [0][:0], [0][:0]
    size, cost = [0.0][:0], [0.0][:0]
    dep_begin, deps = [0], [0][:0]
    # results of each step and group: the tasks that computed the last tile, and its last store
    made_first, made_stop = [0] * (count * groups), [0] * (count * groups)
    stored = [-1] * (count * groups)
    # the stream of weights of each group: tiles, and which tasks use them last
    most = int(following / TILE_BYTES) + 2
    for tiles in steps.tiles:
        most += tiles
    stream = [0.0] * (groups * most)
    use_first, use_stop = [0] * (groups * most), [0] * (groups * most)
    streamed, freed = [0] * groups, [0] * groups
    # each group's last products of operations that load their weights in turn
    turn_first, turn_stop = [0] * groups, [0] * groups
    held, have = [0.0] * groups, [preloaded] * groups

    def add(on: Any, what: Any, step: Any, how_long: Any, moved: Any, taken: Any) -> None:
        """A task; its dependencies are those that were appended before."""
        engine.append(on)
        kind.append(what)
        step_of.append(step)
        duration.append(how_long)
        size.append(moved)
        cost.append(taken)
        dep_begin.append(len(deps))

    def computed_by(step: Any) -> None:
        """Wait for the results of a step in all groups."""
        for made in range(step * groups, (step + 1) * groups):
            for needed in range(made_first[made], made_stop[made]):
                deps.append(needed)

    def banded_by(step: Any, tile: Any, of: Any) -> None:
        """Wait for as many bands of a step as a ``tile`` among ``of`` needs, with a band of halo
        behind it."""
        tiles = steps.tiles[step]
        last = min(tiles - 1, int((tile + 1) * tiles / of))
        for group in range(groups):
            made = tasks_begin[step] + group * tiles + last
            for needed in range(tile_first[made], tile_stop[made]):
                deps.append(needed)

    def load_weights(group: Any, step: Any, wanted: Any, tile: Any) -> None:
        """Load the next bytes of the stream, those of a ``tile`` of the step or, where that is -1,
        of the next segment; waits until the buffer has room for them."""
        first, stop = 0, 0
        held[group] += wanted
        # Coarse tiles stand for several of the hardware's: the buffer always holds two and a bit.
        room = max(steps.buffer[step], 2.5 * wanted)
        while held[group] > room and freed[group] < streamed[group]:
            oldest = group * most + freed[group]
            held[group] -= stream[oldest]
            freed[group] += 1
            first, stop = use_first[oldest], use_stop[oldest]
        left = wanted
        if have[group] > 0:
            # Every group starts with the same share; it is used up in the order of the stream.
            there = min(wanted, have[group])
            have[group] -= there
            left = wanted - there
        if left > 1e-6 or left == wanted:
            for needed in range(first, stop):
                deps.append(needed)
            if tile >= 0 and steps.in_turn[step]:
                for needed in range(turn_first[group], turn_stop[group]):
                    deps.append(needed)
                if tile == 0:
                    for maker in steps.maker[steps.maker_begin[step] : steps.maker_begin[step + 1]]:
                        computed_by(maker)
            add(engines.read[group], PARAM, step, transfer, left, left)

    for step in range(count):
        makers = steps.maker[steps.maker_begin[step] : steps.maker_begin[step + 1]]
        weight, moves = steps.weight[step], steps.moves[step]
        product = steps.conv[step] or steps.teng[step]
        for group in range(groups):
            before_first, before_stop = 0, 0  # compute tasks of the tile before the last
            last_first, last_stop = 0, 0
            for tile in range(steps.tiles[step]):
                issue = FIRST if tile == 0 else 0
                # Inputs and spilled operands are loaded once the tile two before is used up.
                wait_first = len(engine)
                for move in range(2):
                    if moves[move][0]:
                        for needed in range(before_first, before_stop):
                            deps.append(needed)
                        if MOVES[move] == SWAP_IN:
                            for maker in makers:
                                for other in range(groups):
                                    if stored[maker * groups + other] >= 0:
                                        deps.append(stored[maker * groups + other])
                        read = engines.read[group]
                        add(read, MOVES[move], step, transfer, moves[move][0], moves[move][1])
                if weight:
                    load_weights(group, step, weight, tile)
                wait_stop = len(engine)
                before_first, before_stop = last_first, last_stop
                for part in (MATRIX, VECTOR):
                    if not (product if part == MATRIX else steps.vector[step] or not product):
                        continue
                    on_conv = part == MATRIX and steps.conv[step]
                    unit = engines.conv[group] if on_conv else engines.teng[group]
                    begin = len(engine)
                    for number in range(engines.convs if on_conv else engines.tengs):
                        for needed in range(wait_first, wait_stop):
                            deps.append(needed)
                        if part == MATRIX or not product:
                            for entry in range(
                                steps.maker_begin[step], steps.maker_begin[step + 1]
                            ):
                                if steps.banded[entry]:
                                    banded_by(steps.maker[entry], tile, steps.tiles[step])
                                elif tile == 0:
                                    computed_by(steps.maker[entry])
                        how_long = PARTS * step + part + issue
                        add(unit + number, COMPUTE, step, how_long, 0.0, 0.0)
                    wait_first, wait_stop, issue = begin, len(engine), 0
                    if part == MATRIX and steps.in_turn[step]:
                        turn_first[group], turn_stop[group] = wait_first, wait_stop
                last_first, last_stop = wait_first, wait_stop
                done = tasks_begin[step] + group * steps.tiles[step] + tile
                tile_first[done], tile_stop[done] = last_first, last_stop
                if weight:
                    place = group * most + streamed[group]
                    stream[place] = weight
                    use_first[place], use_stop[place] = last_first, last_stop
                    streamed[group] += 1
                for move in range(2, 4):
                    if moves[move][0]:
                        for needed in range(last_first, last_stop):
                            deps.append(needed)
                        stored[step * groups + group] = len(engine)
                        write = engines.write[group]
                        add(write, MOVES[move], step, transfer, moves[move][0], moves[move][1])
            made = step * groups + group
            made_first[made], made_stop[made] = last_first, last_stop
    for group in range(groups):
        left = following
        while left > 1e-6:
            wanted = min(left, TILE_BYTES)
            load_weights(group, count - 1, wanted, -1)
            stream[group * most + streamed[group]] = wanted
            streamed[group] += 1
            left -= wanted
    return (
        column(engine),
        column(kind),
        column(step_of),
        column(duration),
        column(size),
        column(cost),
        column(dep_begin),
        column(deps),
    )
