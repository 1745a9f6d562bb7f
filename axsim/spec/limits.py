"""How large or small numbers may be: checked before anything is built from them.

Keys of chips are physical: beyond what could exist, an answer is nonsense, so whoever means such a
value says so in ``insist``. Sizes of workloads have a bound that no deployed model comes near;
beyond it a simulation would not end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axsim.errors import Fault

# Descriptors are checked by these functions and so import them: here they are Any.
FURTHER = 1000.0
"""How many times beyond its plausible range ``insist`` lets a key go."""

COUNTS = {
    "npu.resource_groups": (1, 64),
    "npu.conv_per_group": (1, 64),
    "npu.teng_per_group": (1, 64),
    "npu.sdma_per_group": (1, 64),
    "npu.networks.bands": (1, 256),
}
"""Of what is simulated one by one, so that insisting does not help; 64 groups are twenty AX650N."""

_RATE, _SHARE, _TIME, _WATTS = (1e-2, 1e6), (1e-3, 1.0), (0.0, 1e3), (0.0, 1e4)

PLAUSIBLE: dict[str, tuple[float, float]] = {
    **COUNTS,
    "npu.nominal_clock_mhz": (10, 10_000),
    "npu.int8_tops": (1e-2, 1e4),
    "npu.conv.int8_macs_per_cycle": (1, 1 << 20),
    "npu.conv.int16_divisor": (0.1, 1e3),
    "npu.conv.bf16_rows": (1, 1 << 20),
    "npu.conv.fill_bytes_per_cycle": _RATE,
    "npu.conv.pack16_bytes_per_cycle": _RATE,
    "npu.networks.pixels": (1, 1 << 16),
    "npu.networks.depthwise_columns": (1, 1 << 16),
    "npu.networks.halo": (0, 1e3),
    "npu.networks.banded_issue": (1e-3, 1e4),
    "npu.attention_key_tile": (1, 1 << 16),
    "npu.attention_row_tile": (1, 1 << 16),
    "npu.ocm_bytes": (256, 1 << 34),
    "npu.step_us": (0, 1e4),
    "npu.invocation_cycles": (0, 1e8),
    "dram.width_bits": (1, 1 << 14),
    "dram.data_rate_mtps": (10, 1e5),
    "dram.peak_gbps": (1e-2, 1e5),
    "dram.capacity_bytes": (1, 1 << 44),
    "dram.npu_bytes": (1, 1 << 44),
    "dram.compiler_bytes_per_cycle": _RATE,
    "dram.row_tile_efficiency": _SHARE,
    "cpu.cores": (1, 1024),
    "cpu.clock_mhz": (0.1, 1e5),
    "host.preprocess_cycles_per_pixel": (0, 1e6),
    "host.decode_layer_ms": _TIME,
    "host.prefill_layer_ms": _TIME,
    "host.pcie_ms": _TIME,
    "host.pcie_gbps": (1e-3, 1e4),
    "host.storage_mb_per_s": (1e-1, 1e6),
    "host.sample_cycles_per_logit": (0, 1e6),
    "calibrated.clock_mhz": (10, 10_000),
    "calibrated.dram_efficiency": _SHARE,
    "calibrated.ocm_bytes": (256, 1 << 34),
    "calibrated.bf16_divisor": (1, 1e4),
    "calibrated.bf16_overflow": (1, 1e4),
    "calibrated.teng_macs_per_cycle": _RATE,
    "calibrated.teng_bytes_per_cycle": _RATE,
    "calibrated.teng_16bit_bytes_per_cycle": _RATE,
    "calibrated.transcendental_passes": (1e-2, 1e5),
    "calibrated.s4_elements_per_cycle": _RATE,
    "calibrated.swap_efficiency": _SHARE,
    "calibrated.host_decode_ms": _TIME,
    "calibrated.host_prefill_ms": _TIME,
    "power.idle_w": _WATTS,
    "power.conv_w": _WATTS,
    "power.teng_w": _WATTS,
    "power.sdma_w": _WATTS,
    "power.cpu_w": _WATTS,
    "power.dram_pj_per_byte": (0, 1e6),
}
"""Dotted key of a chip to the least and the largest value that a chip of some decade could have."""

LAYERS, WIDTH, INNER, TOKENS, SIDE = 1 << 10, 1 << 17, 1 << 20, 1 << 20, 1 << 14

LARGEST: dict[str, int] = {
    "model.vision.num_hidden_layers": LAYERS,
    "model.vision.hidden_size": WIDTH,
    "model.vision.intermediate_size": INNER,
    "model.vision.num_attention_heads": 1 << 12,
    "model.vision.patch_size": 1 << 12,
    "model.vision.image_size": SIDE,
    "model.vision.num_channels": 1 << 10,
    "model.vision.register_tokens": 1 << 12,
    "model.vision.position_size": SIDE,
    "model.vision.window_size": SIDE,
    "model.vision.temporal_patch_size": 1 << 6,
    "model.vision.pool_width": INNER,
    "model.projector.hidden_size": WIDTH,
    "model.projector.joined_size": INNER,
    "model.projector.inner_size": INNER,
    "model.projector.layers": 1 << 6,
    "model.projector.queries": 1 << 16,
    "model.projector.cross_layers": LAYERS,
    "model.decoder.num_hidden_layers": LAYERS,
    "model.decoder.hidden_size": WIDTH,
    "model.decoder.intermediate_size": INNER,
    "model.decoder.num_attention_heads": 1 << 12,
    "model.decoder.num_key_value_heads": 1 << 12,
    "model.decoder.head_dim": 1 << 14,
    "model.decoder.cross_tokens": 1 << 16,
    "model.decoder.position_rows": TOKENS,
    "model.decoder.vocab_size": 1 << 22,
    "model.vocab_size": 1 << 22,
    "build.prefill_chunk": TOKENS,
    "build.prefill_max_chunks": TOKENS,
    "build.kv_cache_len": TOKENS,
    "build.kv_slots": 1 << 12,
    "request.images": 1 << 14,
    "request.image_size": SIDE,
    "request.min_pixels": SIDE**2,
    "request.max_pixels": SIDE**2,
    "request.cached_tokens": TOKENS,
    "request.text_tokens": TOKENS,
    "request.prompt_tokens": TOKENS,
    "request.new_tokens": TOKENS,
}
"""Dotted key of a workload to its largest value."""

MOST_ELEMENTS = 1 << 40
"""Of one tensor: a tebi of numbers, more than any board has bytes."""

MOST_CHUNKS = 2048
"""Prefill calls, each of which is compiled."""


MOST_EVENTS = 5e6
"""Of a tenant of a scenario: two days of a camera."""

MOST_CLIENTS = 1_000
"""That ask one model."""

LONGEST_S = 1e6
"""Seconds that are simulated."""


def implausible(chip: Any) -> Iterator[Fault]:
    """A fault for each key of a chip that no chip could have and nobody insists on."""
    for key in chip.insist:
        if key not in PLAUSIBLE:
            yield Fault("insist", f"found {key!r}", "a physical key, such as dram.peak_gbps")
    for key, (low, high) in PLAUSIBLE.items():
        value = _at(chip, key)
        if value is None or low <= value <= high:
            continue
        allowed = f"{_short(low)} to {_short(high)}"
        if key not in COUNTS:
            if key in chip.insist and low / FURTHER <= value <= high * FURTHER:
                continue
            further = f"{_short(low / FURTHER)} to {_short(high * FURTHER)}"
            allowed += f"; {further} where `insist: [{key}]` says that it is meant"
        yield Fault(key, f"found {_brief(value)}, which no chip has", allowed)


def beyond(section: Any, prefix: str) -> Iterator[Fault]:
    """A fault for each key of a workload's section, whose keys begin with ``prefix``, that is
    larger than any model's."""
    for key, most in LARGEST.items():
        value = _at(section, key.removeprefix(prefix)) if key.startswith(prefix) else None
        sides = value if isinstance(value, tuple) else (value or 0,)
        if max(sides) > most:
            what = f"found {_brief(max(sides))}"
            yield Fault(key.removeprefix(prefix), what, f"up to {most:,}")


def too_large(workload: Any) -> Iterator[Fault]:
    """A fault for each size of a workload that could not be simulated."""
    found = [*beyond(workload, "")]
    yield from found
    if found or workload.model.onnx is not None:
        return
    for key, what, elements in _tensors(workload):
        if elements > MOST_ELEMENTS:
            yield Fault(key, f"{what} of {elements:.1e} numbers", f"up to {MOST_ELEMENTS:.1e}")
            return


def too_many(workload: Any) -> Iterator[Fault]:
    """A fault for more invocations than could be simulated; of sizes that are none of
    :func:`too_large`'s."""
    if workload.model.onnx is not None:
        return
    most = LARGEST["request.images"]
    if workload.all_images > most:
        yield Fault("request", f"asks for {workload.all_images:,} images", f"up to {most:,}")
    size = workload.build.prefill_chunk
    chunks = sum(-(-turn.prompt_tokens // size) for turn in workload.asked)
    if chunks > MOST_CHUNKS:
        what = f"found {size}, with which prefill takes {chunks:,} calls"
        yield Fault("build.prefill_chunk", what, f"prompts of up to {MOST_CHUNKS} calls")


def too_long(scenario: Any) -> Iterator[Fault]:
    """A fault for more events than could be simulated."""
    duration = scenario.duration_s
    for name, tenant in scenario.tenants.items():
        most = max((rate for rate in _rates(tenant) if rate is not None), default=0.0)
        if most * duration > MOST_EVENTS:
            what = f"{most * duration:.1e} events in {duration:g} s"
            yield Fault(f"tenants.{name}", what, f"up to {MOST_EVENTS:.0e}")
        way = tenant.arrivals
        clients = (way and (way.closed or way.chat)) or None
        if clients is not None and clients.clients > MOST_CLIENTS:
            key = f"tenants.{name}.arrivals"
            yield Fault(key, f"found {clients.clients:,} clients", f"up to {MOST_CLIENTS:,}")
    if duration > LONGEST_S:
        yield Fault("duration_s", f"found {duration:g}", f"up to {LONGEST_S:.0e}")


def _rates(tenant: Any) -> Iterator[float | None]:
    """How often a second something of a tenant happens, at least."""
    arrivals, frames, cpu, npu = tenant.arrivals, tenant.frames, tenant.cpu, tenant.npu
    if arrivals is not None:
        yield arrivals.per_s
    yield None if frames is None else frames.fps
    yield None if cpu is None else 1e3 / cpu.every_ms
    yield None if npu is None else 1e3 / npu.every_ms * max(1.0, npu.ms / npu.turn_ms)


def _tensors(workload: Any) -> Iterator[tuple[str, str, int]]:
    """Key, name and number of elements of what becomes largest."""
    vision, decoder, build = workload.model.vision, workload.model.decoder, workload.build
    if vision is not None:
        try:
            pixels = workload.image_size
        except ValueError:  # no size at all, which the workload itself tells
            pixels = 0
        high, wide = pixels if isinstance(pixels, tuple) else (pixels, pixels)
        rows = 1 if vision.stem == "sound" else high // vision.patch_size
        tokens = rows * (wide // vision.patch_size)
        tokens += vision.register_tokens + 2
        key = "request.image_size" if workload.request.image_size else "model.vision.image_size"
        yield key, "attention scores", vision.num_attention_heads * tokens * tokens
        yield key, "activations", tokens * max(vision.hidden_size, vision.intermediate_size)
        yield "model.vision.hidden_size", "a matrix", vision.hidden_size * vision.intermediate_size
    if decoder is not None:
        rows, keys = build.prefill_chunk, build.kv_cache_len + build.prefill_chunk
        heads = decoder.num_attention_heads
        yield "build.prefill_chunk", "attention scores", heads * rows * keys
        yield "build.prefill_chunk", "activations", rows * decoder.intermediate_size
        yield "model.decoder.vocab_size", "a table", decoder.vocab_size * decoder.hidden_size


def _at(model: Any, key: str) -> Any:
    """The value of a dotted key; None where a section or the key is not given."""
    for name in key.split("."):
        model = getattr(model, name, None)
        if model is None:
            return None
    return model


def _short(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _brief(value: float) -> str:
    """A number, in a few characters however large."""
    text = str(value)
    return text if len(text) < 20 else f"{text[:12]}… ({len(text)} digits)"
