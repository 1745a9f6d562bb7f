"""Segments of any kind, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from axsim.compiler.program import Segment, Step, Task


@st.composite
def segments(draw: st.DrawFn) -> tuple[Segment, int]:
    """Tasks of every kind on one to six engines; each may wait for any before it."""
    engines = draw(st.integers(1, 6))
    # whole numbers make events coincide
    amounts = st.one_of(st.integers(0, 5).map(float), st.floats(1e-3, 1e3))
    tasks = []
    for index in range(draw(st.integers(1, 25))):
        deps = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else ()
        engine, amount = draw(st.integers(0, engines - 1)), draw(amounts)
        if draw(st.booleans()):
            tasks.append(Task(engine, "compute", 0, amount, deps=tuple(deps)))
        else:
            cost = amount * draw(st.sampled_from([1.0, 2.5]))
            tasks.append(Task(engine, "ld:param", 0, 0.0, amount, cost, tuple(deps)))
    return Segment.of("segment", (Step("s", "norm", 0, 0),), tuple(tasks), (0.0,)), engines
