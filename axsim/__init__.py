"""axsim: how fast a vision-language model runs on an Axera NPU, why, and how accurately.

>>> import axsim
>>> result = axsim.run("internvl2_1b", chip="ax630c", timing_only=True)
>>> result["224-u8"].ttft_ms.value
>>> result.to_pandas()

Names are imported when they are first used, so that ``import axsim`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axsim.analysis.report.write import report
    from axsim.chip import Chip, load_chip
    from axsim.compiler.partition import Deployment, Memory
    from axsim.errors import InputError
    from axsim.runtime.breakdown import StageBreakdown
    from axsim.runtime.results import (
        Interval,
        Measured,
        Numerics,
        Prediction,
        RunResult,
        VariantResult,
    )
    from axsim.runtime.run import run
    from axsim.sweeps.objective import best
    from axsim.sweeps.pareto import pareto
    from axsim.sweeps.search import search
    from axsim.sweeps.sweep import sweep
    from axsim.workload import Workload, load_workload

__all__ = [
    "Chip",
    "Deployment",
    "InputError",
    "Interval",
    "Measured",
    "Memory",
    "Numerics",
    "Prediction",
    "RunResult",
    "StageBreakdown",
    "VariantResult",
    "Workload",
    "best",
    "load_chip",
    "load_workload",
    "pareto",
    "report",
    "run",
    "search",
    "sweep",
]

_HOMES = {
    "Chip": "axsim.chip",
    "load_chip": "axsim.chip",
    "Deployment": "axsim.compiler.partition",
    "Memory": "axsim.compiler.partition",
    "InputError": "axsim.errors",
    "StageBreakdown": "axsim.runtime.breakdown",
    "Interval": "axsim.runtime.results",
    "Measured": "axsim.runtime.results",
    "Numerics": "axsim.runtime.results",
    "Prediction": "axsim.runtime.results",
    "RunResult": "axsim.runtime.results",
    "VariantResult": "axsim.runtime.results",
    "report": "axsim.analysis.report.write",
    "run": "axsim.runtime.run",
    "best": "axsim.sweeps.objective",
    "pareto": "axsim.sweeps.pareto",
    "search": "axsim.sweeps.search",
    "sweep": "axsim.sweeps.sweep",
    "Workload": "axsim.workload",
    "load_workload": "axsim.workload",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'axsim' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
