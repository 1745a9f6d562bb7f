"""A descriptor that says only how it differs from another: ``like: NAME``."""

from __future__ import annotations

from axsim.errors import InputError, Problem
from axsim.spec.descriptor import Kind, Section, drop, find
from axsim.spec.located import Located, read, show

OWN = ("name", "description", "like")
"""Keys that are never taken from the other one."""


def completed(cls: type[Section], kind: Kind, tree: Located) -> Located:
    """``tree`` with all that it leaves out as the descriptor has it that its key ``like`` names;
    ``tree`` itself without that key. Values remember the file that they stand in.

    Raises:
        InputError: there is no such descriptor, or it is like another one itself.
    """
    like = tree.child("like")
    if like is None or like.value is None:
        return tree
    if not isinstance(like.value, str):
        raise InputError(Problem(like.origin, "like", f"found {show(like.plain())}", f"a {kind}"))
    try:
        source = find(kind, like.value)
    except InputError as error:
        (fault,) = error.problems
        raise InputError(
            Problem(like.origin, "like", fault.what, fault.allowed, fault.nearest)
        ) from None
    base = read(source)
    if base.child("like") is not None:
        what = f"{like.value} is like another {kind} itself"
        raise InputError(Problem(like.origin, "like", what, f"a {kind} that is whole"))
    for name in OWN:
        drop(base, name)
    own = {".".join(map(str, path)): leaf for path, leaf in tree.leaves()}
    for knob, dropped in cls.REPLACES.items():
        if any(key == knob or key.startswith(f"{knob}.") for key in own):
            for other in dropped:
                drop(base, other)
    return Located(_merged(base, tree).value, tree.origin, tree.comment)


def _merged(base: Located, tree: Located) -> Located:
    if not isinstance(base.value, dict) or not isinstance(tree.value, dict):
        return tree
    both = {key: _merged(base.value[key], each) if key in base.value else each
            for key, each in tree.value.items()}  # fmt: skip
    value = {**base.value, **both}
    return Located(value, tree.origin, tree.comment)
