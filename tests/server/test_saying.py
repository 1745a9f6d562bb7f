"""Text up to the first stop sequence, however it comes in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from axsim.server.saying import Stops

TEXTS = st.text("ab", max_size=12)


@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=3))
def test_it_ends_where_the_whole_text_would(pieces: list[str], sequences: list[str]) -> None:
    stops, said = Stops(sequences), ""
    for count, piece in enumerate(pieces, 1):
        said += stops.push(piece)
        so_far = "".join(pieces[:count])
        places = [so_far.find(each) for each in sequences if each and each in so_far]
        assert stops.found == bool(places)
        if places:
            break
        assert so_far.startswith(said)
    whole = "".join(pieces)
    ends = [whole.find(each) for each in sequences if each and each in whole]
    said += stops.rest()
    if not ends:
        assert said == whole
    else:
        assert not any(each in said for each in sequences if each)
        assert whole.startswith(said)


def test_only_what_may_become_one_is_held_back() -> None:
    stops = Stops(["\n\n", "END"])
    assert stops.push("one\n") == "one"
    assert stops.push("two E") == "\ntwo "
    assert stops.push("N") == ""
    assert stops.push("x") == "ENx"
    assert stops.push("a END b") == "a "
    assert stops.found
    assert stops.push("more") == ""
    assert stops.rest() == ""
