"""Which keys change nothing: found by leaving each out, or giving it another value, and comparing.

Compared is all that a run tells: times, rates and energy, memory, loading, and what the numbers of
the kernels depend on (whether or not they are computed).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.machine.npu import Npu
from axsim.runs.sharing import sees
from axsim.runs.timed import chosen, time_variant
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.located import show
from axsim.spec.workload import Workload

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

Values = Mapping[str, Sequence[object]]
"""The values that a key takes in a sweep."""

NO_VALUES: Values = {}

Case: TypeAlias = tuple[Workload | str | Path, Chip | str | Path]
"""A workload and a chip."""


def without_effect(
    cases: Sequence[Case],
    overrides: Overrides,
    *,
    keys: Sequence[str] | None = None,
    vary: Values = NO_VALUES,
    variants: Sequence[str] | None = None,
    seed: int | None = None,
    chat: Chat | None = None,
    timed: bool = True,
) -> list[str]:
    """The keys of ``overrides`` (of them, ``keys``) whose values change nothing in any of the
    cases, and those of ``vary`` all of whose values give the same; without ``timed``, only what the
    numbers of the kernels depend on counts. Other arguments are those of :func:`axsim.run`.

    A value that is there without the key, too, is no change and is not told.
    """
    npu = Npu()

    def points(case: Case, settings: Overrides) -> list[Deployment]:
        found = chosen(*case, variants, settings, seed, chat)
        return [deployment for _, _, deployment in found]

    @cache
    def given(number: int) -> list[Deployment]:
        return points(cases[number], first)

    def same(number: int, settings: Overrides) -> bool:
        try:
            here, there = given(number), points(cases[number], settings)
            return here != there and _all_alike(here, there, npu if timed else None)
        except InputError:  # it does not go without
            return False

    def idle(key: str) -> bool:
        others = {name: value for name, value in first.items() if name != key}
        values = list(vary.get(key, ()))[1:]
        settings = [{**others, key: value} for value in values] or [others]
        return all(same(number, each) for number in range(len(cases)) for each in settings)

    first = {**overrides, **{key: values[0] for key, values in vary.items()}}
    asked = [*(overrides if keys is None else keys), *vary]
    return [key for key in dict.fromkeys(asked) if idle(key)]


def words(
    keys: Sequence[str], values: Overrides = NO_OVERRIDES, *, timed: bool = True
) -> list[str]:
    """What is said of them, one line each; ``values`` are those of keys that were set."""
    what = "times, memory and numbers" if timed else "numbers"
    same = f"has no effect here: {what} are the same"
    found = []
    for key in keys:
        value = values.get(key)
        text = value if isinstance(value, str) else show(value)
        found.append(f"{key}={text} {same} without it" if key in values else f"{key} {same}")
    return found


def _all_alike(some: Sequence[Deployment], others: Sequence[Deployment], npu: Npu | None) -> bool:
    """Whether they are alike, one by one; without ``npu`` their numbers alone."""
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) and all(_alike(*pair, npu) for pair in pairs)


def _alike(one: Deployment, other: Deployment, npu: Npu | None) -> bool:
    """Whether runs of both tell the same; the quick comparisons first."""
    if one == other:
        return True
    if any(a != b for a, b in zip(_numbers(one), _numbers(other), strict=False)):
        return False
    if npu is None:
        return True
    if _memory(one) != _memory(other):
        return False
    first, second = (time_variant("", {}, each, npu) for each in (one, other))
    if first.planned.lengths_us != second.planned.lengths_us:
        return False
    values = [{n: p.value for n, p in each.predictions.items()} for each in (first, second)]
    return values[0] == values[1] and _all_alike(one.turns[1:], other.turns[1:], npu)


def _memory(deployment: Deployment) -> tuple[object, ...]:
    """Sizes, loading, and the span of what a link takes."""
    memory = deployment.memory
    parts = tuple(memory.weights.items()), tuple(memory.stored.items())
    sizes = memory.npu, memory.total, memory.capacity, memory.kv_cache
    span = deployment.chip.host.pcie_ms_span if deployment.link else None
    return *parts, *sizes, deployment.load_ms, span


def _numbers(deployment: Deployment) -> Iterator[object]:
    """What the kernels' numbers depend on."""
    workload = deployment.workload
    build, request = workload.build, workload.request
    yield workload.model
    yield request.seed
    if sees(deployment) or workload.model.onnx is not None:
        yield workload.image_size, workload.all_images, request.video
        yield build.vision_dtype, tuple(build.precision_overrides.items())
    if workload.model.onnx is not None:
        yield build.preprocess, build.observer if build.vision_dtype != "bf16" else None
    if workload.model.decoder is not None:
        yield build.weight_dtype, build.weight_format, build.post_weight_dtype, build.hidden_dtype
        yield build.prefill_chunk, build.compiled_histories, build.kv_cache_len
        yield workload.asked, request.stop_at_eos, request.eos_token_id, request.temperature
        if request.temperature:
            yield request.top_k, request.top_p
