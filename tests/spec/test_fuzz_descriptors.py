"""Whatever is written into a descriptor, the answer is a descriptor or an InputError."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import InputError, Problem
from axsim.spec.chip import Chip
from axsim.spec.descriptor import Section, load_mapping, shipped
from axsim.spec.located import parse
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def documents(kind: Any) -> dict[str, Any]:
    return {name: yaml.safe_load(path.read_text()) for name, path in shipped(kind).items()}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    below = [place for key in keys for place in places(value[key], (*path, key))]
    return [*([path] if path else []), *below]


def complaints(action: Callable[[], object]) -> tuple[Problem, ...]:
    """The problems of an InputError; any other exception is a failure of the test."""
    try:
        action()
    except InputError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("cls", "document"),
    [
        *((Workload, each) for each in documents("workload").values()),
        *((Chip, each) for each in documents("chip").values()),
        *((Scenario, each) for each in documents("scenario").values()),
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_odd_values_anywhere(cls: type[Section], document: dict[str, Any], data: Any) -> None:
    changed = copy.deepcopy(document)
    *parents, last = data.draw(st.sampled_from(places(document)))
    holder = changed
    for key in parents:
        holder = holder[key]
    action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
    if action == "replace":
        holder[last] = data.draw(ODD)
    elif action == "rename" and isinstance(last, str):
        holder[last[:-1]] = holder.pop(last)
    else:
        del holder[last]
    problems = complaints(lambda: load_mapping(cls, changed, "changed"))
    assert all(problem.key or problem.where for problem in problems)


@settings(max_examples=200, deadline=None)
@given(st.text("ab:[]{}-,#&*!|>'\"% \n\t\x00?1.e", max_size=40))
def test_any_text_is_a_document_or_an_input_error(text: str) -> None:
    assert all(problem.where.startswith("f") for problem in complaints(lambda: parse(text, "f")))
