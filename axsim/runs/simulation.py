"""``axsim.simulate``: a scenario from Python, where keys without effect are warned of."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.runs.no_effect import words
from axsim.runs.shared_no_effect import idle_keys
from axsim.runs.shared_results import ScenarioResult
from axsim.runs.shared_run import WINDOW_S, OnProgress, prepared, simulated
from axsim.spec.board import Place
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, split_overrides
from axsim.spec.located import show
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
    window_s = _checked(window_s, on_progress, alone=alone, costs=costs, overload=overload)
    split_overrides(overrides, "chip")
    keys = {**overrides, **({} if seed is None else {"seed": seed})}
    asked = list(keys)
    keys |= {} if duration_s is None else {"duration_s": duration_s}
    result = simulated(
        *prepared(scenario, chip, keys),
        window_s=window_s,
        alone=alone,
        costs=costs,
        overload=overload,
        on_progress=on_progress,
    )
    if asked:
        for line in words(idle_keys(scenario, [chip], keys, keys=asked, found=result), keys):
            warnings.warn(line, stacklevel=2)
    return result


def _checked(
    window_s: tuple[float, float], on_progress: OnProgress | None, **flags: bool
) -> tuple[float, float]:
    """The window as it is used.

    Raises:
        InputError: an argument is of another kind than is asked for.
    """
    problems = [
        Problem("", name, f"found {show(value)}", "True or False")
        for name, value in flags.items()
        if not isinstance(value, bool)
    ]
    if on_progress is not None and not callable(on_progress):
        problems.append(Problem("", "on_progress", f"found {show(on_progress)}", "a function"))
    begin, end = nan, nan
    pair = tuple(window_s) if isinstance(window_s, Sequence) else ()
    if len(pair) == 2 and all(type(each) in (int, float) for each in pair):
        begin, end = map(float, pair)
    if not 0 <= begin < end < inf:
        allowed = "seconds of its beginning, from 0 on, and of its end"
        problems.append(Problem("", "window_s", f"found {show(window_s)}", allowed))
    if problems:
        raise InputError(problems)
    return begin, end
