"""Which keys of a scenario or its chip change nothing: each is left out, or given another value,
and simulated again; a sixteenth of the time first, which shows most differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axsim.errors import InputError
from axsim.runs.no_effect import NO_VALUES, Values
from axsim.runs.shared_results import ScenarioResult
from axsim.runs.shared_run import prepared, simulated
from axsim.spec.board import Place
from axsim.spec.chip import Chip
from axsim.spec.descriptor import Overrides, override
from axsim.spec.scenario import Scenario

PARTS = (1 / 16, 1.0)
"""Of the scenario's time."""
TELLING = ("name", "description", "duration_s")
"""Keys that are not asked about: names, and what changes everything."""


def idle_keys(
    scenario: Scenario | str | Path,
    chips: Sequence[Place | None],
    overrides: Overrides,
    *,
    keys: Sequence[str] | None = None,
    vary: Values = NO_VALUES,
    found: ScenarioResult | None = None,
) -> list[str]:
    """The keys of ``overrides`` (of them, ``keys``) without which a scenario does the same on all
    of the ``chips``, and those of ``vary`` all of whose values give the same. ``found`` is what
    came out on the only chip, with every override.

    A value that is there without the key, too, is no change and is not told.
    """
    first = {**overrides, **{key: values[0] for key, values in vary.items()}}
    asked = [*(overrides if keys is None else keys), *vary]
    known: dict[tuple[int, float], dict[str, Any]] = {}
    if found is not None:
        known[0, 1.0] = _told(found)

    def same(place: int, settings: Mapping[str, object]) -> bool:
        chip = chips[place]
        try:
            here, there = (prepared(scenario, chip, each) for each in (first, settings))
            if all(a.model_dump() == b.model_dump() for a, b in zip(here, there, strict=True)):
                return False  # no change
            for part in PARTS:
                if (place, part) not in known:
                    known[place, part] = _of(*here, part)
                if known[place, part] != _of(*there, part):
                    return False
        except InputError:  # it does not go without
            return False
        return True

    def idle(key: str) -> bool:
        others = {name: value for name, value in first.items() if name != key}
        values = list(vary.get(key, ()))[1:]
        settings = [{**others, key: value} for value in values] or [others]
        return all(same(place, each) for place in range(len(chips)) for each in settings)

    return [key for key in dict.fromkeys(asked) if key not in TELLING and idle(key)]


def _of(scenario: Scenario, chip: Chip, part: float) -> dict[str, Any]:
    short = override(scenario, {"duration_s": scenario.duration_s * part})
    return _told(simulated(short, chip, alone=False, overload=True))


def _told(result: ScenarioResult) -> dict[str, Any]:
    """What a simulation tells, but for names, and for what other simulations have to do with it."""
    left = ("scenario", "chip", "seed", "loads", "costs")
    told = {name: value for name, value in result.to_dict().items() if name not in left}
    tenants = [{**each, "slowdown": None} for each in told["tenants"]]
    return {**told, "tenants": tenants}
