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
    from axsim.compiler.partition import Deployment, Memory
    from axsim.errors import InputError
    from axsim.fidelity.prediction import Interval, Measured, Prediction
    from axsim.runs.computed import Numerics
    from axsim.runs.results import RunResult, VariantResult
    from axsim.runs.run import run
    from axsim.runs.shared_results import ScenarioResult, TenantResult
    from axsim.runs.simulation import simulate
    from axsim.show.report.write import report
    from axsim.spec.board import Board, load_board
    from axsim.spec.chip import Chip, load_chip
    from axsim.spec.scenario import Scenario, load_scenario
    from axsim.spec.workload import Workload, load_workload
    from axsim.study.answer import answer
    from axsim.study.objective import best
    from axsim.study.pareto import pareto
    from axsim.study.replications import Replications, replicate
    from axsim.study.search import search
    from axsim.study.sweep import sweep
    from axsim.system.breakdown import StageBreakdown

__all__ = [
    "Board",
    "Chip",
    "Deployment",
    "InputError",
    "Interval",
    "Measured",
    "Memory",
    "Numerics",
    "Prediction",
    "Replications",
    "RunResult",
    "Scenario",
    "ScenarioResult",
    "StageBreakdown",
    "TenantResult",
    "VariantResult",
    "Workload",
    "answer",
    "best",
    "load_board",
    "load_chip",
    "load_scenario",
    "load_workload",
    "pareto",
    "replicate",
    "report",
    "run",
    "search",
    "simulate",
    "sweep",
]

_HOMES = {
    "answer": "axsim.study.answer",
    "Board": "axsim.spec.board",
    "load_board": "axsim.spec.board",
    "Chip": "axsim.spec.chip",
    "load_chip": "axsim.spec.chip",
    "Deployment": "axsim.compiler.partition",
    "Memory": "axsim.compiler.partition",
    "InputError": "axsim.errors",
    "StageBreakdown": "axsim.system.breakdown",
    "Interval": "axsim.fidelity.prediction",
    "Measured": "axsim.fidelity.prediction",
    "Numerics": "axsim.runs.computed",
    "Prediction": "axsim.fidelity.prediction",
    "RunResult": "axsim.runs.results",
    "VariantResult": "axsim.runs.results",
    "report": "axsim.show.report.write",
    "run": "axsim.runs.run",
    "ScenarioResult": "axsim.runs.shared_results",
    "TenantResult": "axsim.runs.shared_results",
    "simulate": "axsim.runs.simulation",
    "Scenario": "axsim.spec.scenario",
    "load_scenario": "axsim.spec.scenario",
    "best": "axsim.study.objective",
    "pareto": "axsim.study.pareto",
    "Replications": "axsim.study.replications",
    "replicate": "axsim.study.replications",
    "search": "axsim.study.search",
    "sweep": "axsim.study.sweep",
    "Workload": "axsim.spec.workload",
    "load_workload": "axsim.spec.workload",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'axsim' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
