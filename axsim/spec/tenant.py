"""Who is on a chip: models that answer requests, frames that cross the memory, work of the host.

A tenant is one of a model (``workload``), background traffic (``camera``, ``encoder``, ``display``,
``bytes_per_s``), work of the host (``cpu``) or of the NPU that no model of ours describes (``npu``,
the vendor's AI-ISP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from axsim.errors import Fault, checked
from axsim.spec.descriptor import Section

PixelFormat = Literal[
    "nv12", "nv21", "yuyv", "rgb888", "argb8888", "raw8", "raw10", "raw12", "raw16"
]
PIXEL_BYTES: dict[str, float] = {
    "nv12": 1.5,  # 4:2:0, 12 bits a pixel
    "nv21": 1.5,
    "yuyv": 2.0,  # 4:2:2
    "rgb888": 3.0,
    "argb8888": 4.0,
    "raw8": 1.0,
    "raw10": 1.25,  # packed
    "raw12": 1.5,
    "raw16": 2.0,
}
"""Bytes of a pixel as it lies in memory."""

_FRAMES = re.compile(r"(?P<size>\d+x\d+)@(?P<fps>\d+(?:\.\d+)?)\s+(?P<format>\w+)")


class Frames(Section):
    """Pictures that cross the memory again and again; ``1920x1080@30 nv12`` in short."""

    size: str = Field(pattern=r"^[1-9]\d*x[1-9]\d*$", description="pixels, such as 1920x1080")
    fps: PositiveFloat = Field(description="frames per second")
    format: PixelFormat = Field("nv12", description="how a pixel lies in memory")
    passes: PositiveFloat = Field(
        1, description="times that a frame crosses the memory: each read and each write is one"
    )
    pattern: Literal["steady", "bursts"] = Field(
        "steady",
        description="steady: spread over the frame's time and never kept waiting, as sensors and "
        "displays need it; bursts: all at once, with a share of the bandwidth",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _FRAMES.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"found {value!r}; allowed: such as 1920x1080@30 nv12, or a mapping")
        return {"size": match["size"], "fps": float(match["fps"]), "format": match["format"]}

    @property
    def frame_bytes(self) -> float:
        """What one frame moves, all passes together."""
        width, height = map(int, self.size.split("x"))
        return width * height * PIXEL_BYTES[self.format] * self.passes

    @property
    def bytes_per_s(self) -> float:
        """What all frames move."""
        return self.frame_bytes * self.fps


class HostLoad(Section):
    """Work of the host that comes back again and again."""

    cores: PositiveInt = Field(1, description="cores that it takes at a time")
    ms: PositiveFloat = Field(description="how long it takes them")
    every_ms: PositiveFloat = Field(description="how often")


class NpuLoad(Section):
    """Work of the NPU that comes back again and again, of a network that is not published."""

    ms: PositiveFloat = Field(description="how long it takes the NPU")
    every_ms: PositiveFloat = Field(description="how often")
    turn_ms: PositiveFloat = Field(
        1, description="how long it keeps the NPU while another partition waits for its turn"
    )


class Closed(Section):
    """Clients that ask again when they have been answered."""

    clients: PositiveInt = Field(1, description="how many, each with one request at a time")
    think_ms: NonNegativeFloat = Field(0, description="pause after an answer")


class Chat(Section):
    """Conversations, one after the other, whose turns are the workload's (``request.turns``): each
    finds the tokens of those before it in the KV cache."""

    clients: PositiveInt = Field(1, description="people who talk, each with a KV cache")
    think_ms: NonNegativeFloat = Field(0, description="pause after an answer")


class Arrivals(Section):
    """When requests come: one of the ways, and what becomes of those that find it busy."""

    every_ms: PositiveFloat | None = Field(None, description="one every so many milliseconds")
    fps: PositiveFloat | None = Field(None, description="one for every frame of a camera")
    poisson_per_s: PositiveFloat | None = Field(
        None, description="at random, so many a second on average"
    )
    closed: Closed | None = Field(None, description="clients that wait for their answers")
    csv: str | None = Field(
        None, description="a file of columns ms and, if need be, prompt_tokens and new_tokens"
    )
    chat: Chat | None = Field(None, description="conversations of several turns")
    after: str | None = Field(None, description="one whenever this other tenant has finished one")
    start_ms: NonNegativeFloat = Field(0, description="when the first may come")
    queue: NonNegativeInt | None = Field(
        None, description="requests that may wait, the others are dropped; all when not given"
    )

    @property
    def way(self) -> str:
        """The key that says when requests come."""
        return next(name for name in WAYS if getattr(self, name) is not None)

    @property
    def per_s(self) -> float | None:
        """Requests per second, where that does not depend on the answers."""
        if self.every_ms is not None:
            return 1e3 / self.every_ms
        return self.fps or self.poisson_per_s

    @model_validator(mode="after")
    def _one_way(self) -> Arrivals:
        return checked(self, self._faults())

    def _faults(self) -> Iterator[Fault]:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"found {' and '.join(given) or 'nothing'}"
            yield Fault(given[1] if given else "", what, f"one of {', '.join(WAYS)}")
        elif self.queue is not None and given[0] in ("closed", "chat"):
            yield Fault("queue", f"has no effect: {given[0]} clients wait for their answers")


WAYS = ("every_ms", "fps", "poisson_per_s", "closed", "csv", "chat", "after")
"""The ways in which requests come."""

KINDS = ("workload", "camera", "encoder", "display", "bytes_per_s", "cpu", "npu")
"""What a tenant can be."""
FRAMES = ("camera", "encoder", "display")
"""Tenants that move frames."""
OF_MODELS = ("variant", "set", "parallel", "arrivals", "deadline_ms")
"""Keys that only models have."""


class Tenant(Section):
    """One of those who share the chip; see the module's text."""

    workload: str | None = Field(
        None, description="a model: a workload by name or file, or an ONNX file, seen from here"
    )
    camera: Frames | None = Field(None, description="frames that a sensor writes and others read")
    encoder: Frames | None = Field(None, description="frames that are read to be encoded")
    display: Frames | None = Field(None, description="frames that are read to be shown")
    bytes_per_s: PositiveFloat | None = Field(None, description="memory traffic of any other kind")
    cpu: HostLoad | None = Field(None, description="work of the host")
    npu: NpuLoad | None = Field(None, description="work of the NPU: the vendor's AI-ISP")

    variant: str | None = Field(None, description="the workload's variant; its own keys if not")
    set: dict[str, Any] = Field({}, description="keys of the workload and their values")
    partition: str | None = Field(
        None, description="where it runs, a name of partitions; may be left out when there is one"
    )
    priority: int = Field(
        0, description="whose turn it is when several wait for a partition: the smaller's"
    )
    parallel: PositiveInt = Field(
        1, description="requests that it works on at a time; clients have one each"
    )
    arrivals: Arrivals | None = Field(None, description="when requests come")
    deadline_ms: PositiveFloat | None = Field(
        None, description="a request that takes longer has missed its deadline"
    )
    memory_bytes: NonNegativeInt = Field(
        0, description="memory that it takes beside the model: pictures, buffers"
    )

    @field_validator("set", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        return dict(_flat(value)) if isinstance(value, Mapping) else value

    @property
    def kind(self) -> str:
        """The key that says what it is."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def frames(self) -> Frames | None:
        """What it moves, if those are frames."""
        return self.camera or self.encoder or self.display

    @property
    def steady_bytes_per_s(self) -> float:
        """The memory traffic that it never pauses."""
        frames = self.frames
        if frames is not None:
            return frames.bytes_per_s if frames.pattern == "steady" else 0.0
        return self.bytes_per_s or 0.0

    @model_validator(mode="after")
    def _one_kind(self) -> Tenant:
        return checked(self, self._faults())

    def _faults(self) -> Iterator[Fault]:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"found {' and '.join(given) or 'nothing'}"
            yield Fault(given[1] if given else "", what, f"one of {', '.join(KINDS)}")
            return
        kind = given[0]
        on_npu = ("partition", "priority")
        useless: tuple[str, ...] = () if kind == "workload" else OF_MODELS
        useless += () if kind in ("workload", "npu") else on_npu
        for name in useless:
            if name in self.model_fields_set:
                yield Fault(name, f"has no effect on {kind}", also=[kind])
        if kind == "workload":
            if self.arrivals is None:
                yield Fault("arrivals", "missing", "when requests come")
            elif self.arrivals.way in ("closed", "chat") and "parallel" in self.model_fields_set:
                what = "has no effect: each client has one request at a time"
                yield Fault("parallel", what, also=["arrivals"])
        load = self.cpu or self.npu
        if load is not None and load.ms > load.every_ms and kind == "cpu":
            what = f"found {load.ms:g}: it would never end before it comes again"
            yield Fault(f"{kind}.ms", what, f"up to {load.every_ms:g}, every_ms")


def _flat(keys: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, where overrides of single ones have made mappings of mappings."""
    for key, value in keys.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value and key in SECTIONS:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


SECTIONS = ("model", "build", "request")
"""Sections of a workload, whose keys a tenant sets by their dotted names."""

assert set(PIXEL_BYTES) == set(get_args(PixelFormat))
