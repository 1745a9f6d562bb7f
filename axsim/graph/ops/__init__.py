"""One file for each operator, named as in the ONNX specification; :data:`OPERATORS` collects them.

To add an operator, write its file: a module of this folder that names an
:class:`~axsim.graph.operator.Operator`. Nothing else needs to know of it.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from axsim.graph.operator import Operator


def _discovered() -> dict[str, Operator]:
    """The operators of every module of this folder, by name, in the order of the files' names."""
    operators: dict[str, Operator] = {}
    for module in sorted(info.name for info in iter_modules(__path__)):
        try:
            named = vars(import_module(f"{__name__}.{module}")).values()
        except ValueError as error:
            raise ImportError(f"axsim/graph/ops/{module}.py: {error}") from None
        for operator in (value for value in named if isinstance(value, Operator)):
            if operators.setdefault(operator.name, operator) is not operator:
                raise ImportError(f"axsim/graph/ops/{module}.py: {operator.name} is there twice")
    return operators


OPERATORS = _discovered()
"""Every operator by its ONNX name."""
