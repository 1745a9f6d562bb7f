"""What an operator is: everything that axsim knows of it, under its ONNX name.

The compiler, the executors, calibration and export ask these objects; none of them keeps a list of
operator names of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from axsim.graph.onnx_twin import Twin, same

Shape = tuple[int, ...]

Role = Literal[
    "view", "join", "cast", "gather", "matrix", "norm", "function", "elementwise", "vector"
]
"""What kind of work an operator is, which decides who does it and what may be fused with it:

* ``view``: the elements of one tensor in another arrangement. Tiles are addressed in place, so it
  costs no time, and codes stay what they are.
* ``join``: several tensors side by side. It costs no time either.
* ``cast``: another storage type of the same values; free, except that pixels are read by it.
* ``gather``: some elements of a table, moved.
* ``matrix``: multiply-accumulates. Input 1 is the matrix, input 2 a bias that starts the sums.
* ``norm``: statistics of each row in float32, whatever the storage.
* ``function``: of one number, element by element, with one input; integer codes have a table of it.
* ``elementwise``: of several broadcast tensors, element by element.
* ``vector``: anything else that the vector unit computes.
"""

ReportClass = Literal["elementwise", "norm", "activation", "softmax", "rope"]
"""Under which name tables show the work of an operator."""

Noise = Literal["relative", "absolute", "exponential"]
"""What becomes of small errors of an operand: ``relative``, they stay in proportion to the values,
as in products; ``absolute``, they keep their size, as in sums; ``exponential``, they become
relative errors of the result, as in a softmax."""


@dataclass(frozen=True, slots=True)
class Work:
    """Arithmetic of one node, free of any chip.

    ``macs``: multiply-accumulates (matrix engine work).
    ``passes``: vector element-operations (adds, multiplies, compares, conversions), total count.
    ``transcendentals``: exp, erf, tanh, rsqrt, reciprocal evaluations, total count.
    ``moves``: elements merely rearranged (Transpose, Concat, Slice); 0 where a view suffices.
    """

    macs: int = 0
    passes: int = 0
    transcendentals: int = 0
    moves: int = 0


def always(attrs: Mapping[str, Any]) -> bool:
    """True whatever the attributes."""
    return True


@dataclass(frozen=True, slots=True)
class Operator:
    """One ONNX operator.

    * ``shape(shapes, attrs) -> output shapes``
    * ``work(in_shapes, out_shapes, attrs) -> Work``
    * ``kernel(*arrays, **attrs) -> tuple of float32 arrays``; an absent optional input is None, and
      results are new arrays unless the role says that nothing is computed
    * ``role``: see :data:`Role`
    * ``shows``: its class in tables; by default what the role says
    * ``noise``: see :data:`Noise`
    * ``limits(attrs)``: between which numbers a function that does nothing else keeps its operand;
      None for an open side
    * ``selects(attrs)``: whether its results hold elements of its first operand, chosen by place or
      by size, so that its kernel on codes gives codes of the same parameters
    * ``static``: inputs of the ONNX operator after the first that are attributes here, because
      shapes are static
    * ``gate(attrs)``: coefficients of Q, lowest power first, of a function
      ``x / (1 + exp(-x Q(x^2)))``, which products apply to their sums while these are warm
    * ``onnx``: writes a node in ONNX's operator set 18; by default as it stands, None where that
      set has no translation

    Raises ValueError when the role is missing or none of :data:`Role`.
    """

    name: str
    shape: Callable[[Sequence[Shape], Mapping[str, Any]], list[Shape]]
    work: Callable[[Sequence[Shape], Sequence[Shape], Mapping[str, Any]], Work]
    kernel: Callable[..., tuple[Any, ...]]
    role: Role | None = None
    shows: ReportClass | None = None
    noise: Noise = "relative"
    limits: Callable[[Mapping[str, Any]], tuple[float | None, float | None]] | None = None
    selects: Callable[[Mapping[str, Any]], bool] = lambda attrs: False
    static: tuple[str, ...] = ()
    gate: Callable[[Mapping[str, Any]], tuple[float, ...]] | None = None
    onnx: Twin | None = same

    def __post_init__(self) -> None:
        allowed = get_args(Role)
        if self.role not in allowed:
            found = "no role" if self.role is None else f"role {self.role!r}"
            raise ValueError(f"operator {self.name} has {found}; allowed: {', '.join(allowed)}")

    @property
    def is_free(self) -> bool:
        """Whether it takes no time on an engine: its result is addressed where its input lies."""
        return self.role in ("view", "join", "cast")

    @property
    def only_moves(self) -> bool:
        """Whether its results hold elements of its operands, so that nothing is rounded."""
        return self.role in ("view", "join", "gather")

    def keeps_codes(self, attrs: Mapping[str, Any]) -> bool:
        """Whether codes of its first operand stay what they are in its results."""
        return self.role == "view" or self.selects(attrs)

    @property
    def by_row(self) -> bool:
        """Whether a row of its result comes from the same row of its operands alone."""
        return self.role in ("norm", "function", "elementwise")

    @property
    def report_class(self) -> ReportClass:
        """Its class in tables."""
        if self.shows is not None:
            return self.shows
        if self.role == "norm":
            return "norm"
        return "activation" if self.role == "function" else "elementwise"
