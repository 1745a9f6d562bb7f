"""Scenarios of small models, with services of known length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axsim.runs.shared_results import ScenarioResult
from axsim.runs.shared_run import prepared, simulated
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import load_mapping
from axsim.spec.scenario import Scenario
from axsim.system.alone import alone
from axsim.system.deployed import Deployed
from axsim.system.request_timeline import RequestTimeline
from tests.runs.tiny import write

CHIP = load_chip("ax650n")
ONE = {"npu": "NPU1"}
TWO = {"one": "NPU1", "other": "NPU1"}
TURNS = {"one": "NPU1", "other": "NPU1"}


def scenario(folder: Path, partitions: Any = ONE, seed: int = 0, s: float = 1.0, **tenants: Any):  # type: ignore[no-untyped-def]
    """A scenario; a tenant whose ``workload`` is "tiny" has a model of a few hundred
    microseconds."""
    path = folder / "tiny.yaml"
    if not path.exists():
        write(folder)
    described = {
        name: {**tenant, "workload": str(path)} if tenant.get("workload") == "tiny" else tenant
        for name, tenant in tenants.items()
    }
    document = {"name": "s", "duration_s": s, "seed": seed, "partitions": partitions}
    return load_mapping(Scenario, {**document, "tenants": described}, "scenario")


def tiny(arrivals: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A tenant with the small model."""
    return {"workload": "tiny", "variant": "u8", "arrivals": arrivals, **keys}


def run(found: Scenario, chip: Chip = CHIP, **options: Any) -> ScenarioResult:
    """Simulated, without the tenants alone unless asked for; a ``seed`` is the scenario's key."""
    keys = {key: options.pop(key) for key in ("seed",) if key in options}
    return simulated(*prepared(found, chip, keys), **{"alone": False, **options})


def undisturbed(found: Scenario, name: str, chip: Chip = CHIP) -> RequestTimeline:
    """A tenant's request on a chip of its own."""
    deployment = Deployed(found, name, chip).deployment
    return alone(deployment, tokens=deployment.workload.new_tokens)
