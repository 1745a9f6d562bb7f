"""``axsim.simulate``: a scenario from Python, where keys without effect are warned of."""

from __future__ import annotations

import warnings
from pathlib import Path

from axsim.runs.no_effect import words
from axsim.runs.shared_no_effect import idle_keys
from axsim.runs.shared_results import ScenarioResult
from axsim.runs.shared_run import WINDOW_S, OnProgress, simulated
from axsim.spec.board import Place
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.scenario import Scenario


def simulate(
    scenario: Scenario | str | Path,
    chip: Place | None = None,
    *,
    duration_s: float | None = None,
    seed: int | None = None,
    overrides: Overrides = NO_OVERRIDES,
    window_s: tuple[float, float] = WINDOW_S,
    alone: bool = True,
    costs: bool = False,
    overload: bool = False,
    on_progress: OnProgress | None = None,
) -> ScenarioResult:
    """Simulate tenants that share a chip: what ``axsim simulate`` shows, as objects.

    ``scenario`` and ``chip`` are shipped names, paths of YAML files, or loaded descriptors; without
    ``chip`` the scenario's own; a board stands for its chip as it has it. Requests come for
    ``duration_s`` seconds, and all of them are answered. ``overrides`` (``--set`` on the
    command line) replace dotted keys, those of the chip with the prefix ``chip.``; one that has no
    effect is warned of, and so is ``seed``. ``window_s`` is the part of the time of which every
    request is kept, for traces and timelines. With ``alone`` each tenant is simulated alone, too,
    for its slowdown; with ``costs`` once more without each of the others. ``overload`` admits
    requests that come faster than they can be answered.

    >>> result = axsim.simulate("camera_answers", "ax630c")
    >>> result["answer"].measures["first_token_ms"].percentile(95)

    Raises:
        InputError: an argument, a descriptor or a key is wrong, or the chip can't have these
            tenants.
    """
    result = simulated(
        scenario,
        chip,
        duration_s=duration_s,
        seed=seed,
        overrides=overrides,
        window_s=window_s,
        alone=alone,
        costs=costs,
        overload=overload,
        on_progress=on_progress,
    )
    keys = {**overrides, **({} if seed is None else {"seed": seed})}
    if keys:
        asked = list(keys)
        keys["duration_s"] = result.duration_s
        for line in words(idle_keys(scenario, [chip], keys, keys=asked, found=result), keys):
            warnings.warn(line, stacklevel=2)
    return result
