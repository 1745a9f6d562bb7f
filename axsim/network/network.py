"""A network: one graph and where its weights come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from axsim.graph.ir import Graph
from axsim.kernels.array import Array

Shape = tuple[int, ...]
_SMALL = 1 << 16
"""Bytes up to which an array of the file is kept, once read: a bias is wanted in every run."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An array of the file. ``read()`` fetches it; None where the file has its shape alone."""

    shape: Shape
    read: Callable[[], Array] | None


@dataclass(frozen=True, slots=True)
class Derived:
    """An array computed from other ones: ``compute(*arrays of inputs)``."""

    inputs: tuple[str, ...]
    compute: Callable[..., Array]


@dataclass(frozen=True)
class Network:
    """``graph``, whose weights are named in ``sources``: each is stored in the file, or derived
    from others by what was folded into it.

    Nothing is read or computed before :meth:`weight` asks for it.
    """

    graph: Graph
    sources: Mapping[str, Stored | Derived]
    _cache: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    def weight(self, name: str) -> Array:
        """A weight as float32, or the integers that it holds. Small and derived ones are kept.

        Raises KeyError for an unknown name and ValueError for one whose values the file lacks.
        """
        if name in self._cache:
            return self._cache[name]
        source = self.sources[name]
        if isinstance(source, Derived):
            array = source.compute(*map(self.weight, source.inputs))
        elif source.read is None:
            raise ValueError(f"the file of {self.graph.name} has no values for {name}")
        else:
            array = source.read()
        if isinstance(source, Derived) or array.nbytes <= _SMALL:
            self._cache[name] = array
        return array

    def stored(self) -> dict[str, Stored]:
        """The arrays of the file that the graph's weights come from."""
        found: dict[str, Stored] = {}
        left = [t.name for t in self.graph.weights()]
        visited: set[str] = set()
        while left:
            name = left.pop()
            if name in visited:
                continue
            visited.add(name)
            source = self.sources[name]
            if isinstance(source, Stored):
                found[name] = source
            else:
                left.extend(source.inputs)
        return found

    @property
    def is_stripped(self) -> bool:
        """Whether the file has no values for some of the weights in use."""
        return any(stored.read is None for stored in self.stored().values())

    def with_values(self, values: Mapping[str, Callable[[], Array]]) -> Network:
        """The same network with ``values`` for arrays that the file lacks."""
        given = {
            name: replace(source, read=values[name])
            for name, source in self.sources.items()
            if isinstance(source, Stored) and source.read is None and name in values
        }
        return Network(self.graph, {**self.sources, **given})
