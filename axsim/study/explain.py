"""Why a workload takes as long as it does, and what would make it faster.

The why is the critical path of the simulated run; the what is found by simulating one change at a
time, of the build or of the chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.machine.npu import Npu
from axsim.runs.results import VariantResult
from axsim.spec.chip import Chip
from axsim.spec.descriptor import override
from axsim.spec.workload import Workload
from axsim.system.alone import alone
from axsim.system.critical_path import PathStage, first_token_path, token_path
from axsim.system.request_timeline import RequestTimeline

Goal = Literal["first_token", "token"]

BEST = 3
"""Changes that are told for each goal."""
WORTH = 0.005
"""A change that gains less than this fraction is not worth telling."""
CHUNKS = (64, 96, 128, 192, 256, 320, 384, 512)
"""Prefill chunk lengths that are tried; the vendor's builds have 96 to 320."""
CACHE_STEP = 128
"""Compiled KV cache lengths are one less than a multiple of this (255, 1023, 2559)."""


class Change(NamedTuple):
    """One thing to change: ``text`` says what, ``price`` what it costs, ``workload`` and ``chip``
    are the result."""

    text: str
    price: str
    workload: Workload
    chip: Chip


@dataclass(frozen=True)
class Gain:
    """What a change gives: milliseconds before and after."""

    text: str
    price: str
    before_ms: float
    after_ms: float

    @property
    def fraction(self) -> float:
        """The part of the time that is saved."""
        return 1 - self.after_ms / self.before_ms

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "change": self.text,
            "price": self.price,
            "before_ms": self.before_ms,
            "after_ms": self.after_ms,
            "gain": self.fraction,
        }


@dataclass(frozen=True)
class Explanation:
    """One variant's critical paths, to the first token (or through the vision tower or network
    alone) and of a decode step, and for both the changes that help most. Paths and gains of what
    the workload does not have are empty."""

    variant: VariantResult
    first_token: tuple[PathStage, ...]
    token: tuple[PathStage, ...]
    first_token_gains: tuple[Gain, ...]
    token_gains: tuple[Gain, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "workload": self.variant.workload.name,
            "variant": self.variant.name,
            "chip": self.variant.chip.name,
            "first_token": {
                "ms": total_ms(self.first_token),
                "stages": [stage.to_dict() for stage in self.first_token],
                "changes": [gain.to_dict() for gain in self.first_token_gains],
            },
            "token": {
                "ms": total_ms(self.token),
                "stages": [stage.to_dict() for stage in self.token],
                "changes": [gain.to_dict() for gain in self.token_gains],
            },
        }


def explain(variant: VariantResult) -> Explanation:
    """The explanation of one variant of a run; simulates a dozen changes of it."""
    deployment, request = variant.deployment, variant.planned
    npu = Npu()
    found: dict[Goal, list[Gain]] = {"first_token": [], "token": []}
    for change in changes(deployment):
        with suppress(InputError):  # the change contradicts another key of the workload
            changed = alone(Deployment(change.workload, change.chip), npu)
            for goal, gains in found.items():
                before = goal_ms(request, goal)
                if before:
                    after = goal_ms(changed, goal)
                    gains.append(Gain(change.text, change.price, before, after))
    return Explanation(
        variant,
        first_token_path(request),
        token_path(request),
        _best(found["first_token"]),
        _best(found["token"]),
    )


def goal_ms(request: RequestTimeline, goal: Goal) -> float:
    """Image to first token, or one decode step; 0 when there is none."""
    return request.image_to_first_token_ms if goal == "first_token" else request.token_ms


def total_ms(path: tuple[PathStage, ...]) -> float:
    """All stages of a path."""
    return sum(stage.ms for stage in path)


def changes(deployment: Deployment) -> Iterator[Change]:
    """Everything that is tried: keys of the build, then of the chip."""
    workload, chip = deployment.workload, deployment.chip
    for keys, text, price in (*_build_changes(deployment), *_chunk_changes(workload)):
        with suppress(InputError):
            changed = override(workload, {f"build.{key}": value for key, value in keys.items()})
            yield Change(text, price, changed, chip)
    for keys, text in _chip_changes(chip):
        yield Change(text, "other hardware", workload, override(chip, keys))


_Keys = dict[str, object]


def _build_changes(deployment: Deployment) -> Iterator[tuple[_Keys, str, str]]:
    build, chip = deployment.workload.build, deployment.chip
    mode, largest = build.npu_mode or chip.default_mode, chip.default_mode
    if chip.modes[mode] < chip.modes[largest]:
        yield {"npu_mode": largest}, f"NPU mode {largest}", "no other network beside it"
    network = deployment.workload.model.onnx is not None
    if deployment.model.vision is not None or network:
        what = "activations" if network else "vision tower"
        plain: _Keys = {"precision_overrides": {}} if build.precision_overrides else {}
        if build.vision_dtype != "u8" or plain:
            yield {"vision_dtype": "u8", **plain}, f"{what} in u8", "accuracy"
        if build.vision_dtype == "bf16":
            yield {"vision_dtype": "u16"}, f"{what} in u16", "some accuracy"
    if deployment.model.decoder is None:
        return
    if chip.npu.conv.float_matmul and not deployment.workload.float_matmul_on_conv:
        text = "attention's matmuls on CONV (float_matmul_on_conv)"
        yield {"float_matmul_on_conv": True}, text, "a newer toolchain"
    if build.weight_dtype != "s4":
        yield {"weight_dtype": "s4"}, "decoder weights in s4", "accuracy"
    needed = 1 + max(turn.kept_tokens for turn in deployment.workload.asked)
    shorter = -(-needed // CACHE_STEP) * CACHE_STEP - 1
    if needed - 1 <= shorter < build.kv_cache_len:
        text = f"KV cache compiled for {shorter} tokens"
        yield {"kv_cache_len": shorter}, text, "room for this request only"


def _chunk_changes(workload: Workload) -> Iterator[tuple[_Keys, str, str]]:
    if not workload.prompt_tokens:
        return
    for chunk in CHUNKS:
        calls = -(-workload.prompt_tokens // chunk)
        enough = chunk < workload.prompt_tokens + CHUNKS[0]  # no calls that are mostly padding
        if chunk != workload.build.prefill_chunk and enough and calls <= CHUNKS[0]:
            text = f"prefill in chunks of {chunk} tokens"
            keys: _Keys = {"prefill_chunk": chunk, "prefill_max_chunks": None}
            yield keys, text, "another build"


def _chip_changes(chip: Chip) -> Iterator[tuple[_Keys, str]]:
    yield {"dram.peak_gbps": 1.25 * chip.dram.bandwidth_gbps}, "DRAM 25 % faster"
    yield {"calibrated.clock_mhz": 1.1 * chip.calibrated.clock_mhz}, "NPU clock 10 % higher"
    if chip.npu.ocm_bytes is not None:
        yield {"npu.ocm_bytes": 2 * chip.npu.ocm_bytes}, "twice the on-chip memory"
    else:
        yield {"calibrated.ocm_bytes": 2 * chip.ocm_bytes}, "twice the on-chip memory"
    teng = {
        f"calibrated.{name}": 2 * getattr(chip.calibrated, name)
        for name in type(chip.calibrated).model_fields
        if name.startswith("teng_") and getattr(chip.calibrated, name)
    }
    yield dict(teng), "TENG twice as fast"
    macs = round(2 * chip.int8_macs_per_cycle)
    yield {"npu.conv.int8_macs_per_cycle": macs}, "CONV with twice the multipliers"
    yield {"cpu.clock_mhz": 2 * chip.cpu.clock_mhz}, "host CPU twice as fast"


def _best(gains: list[Gain]) -> tuple[Gain, ...]:
    """The largest gains; of the chunk lengths only the best."""
    ordered = sorted(gains, key=lambda gain: -gain.fraction)
    found: list[Gain] = []
    for gain in ordered:
        chunk = gain.text.startswith("prefill in")
        if gain.fraction < WORTH or (chunk and any(g.text.startswith("prefill in") for g in found)):
            continue
        found.append(gain)
    return tuple(found[:BEST])
