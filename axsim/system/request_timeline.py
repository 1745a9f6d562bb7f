"""What happened to a request, and when.

Times inside are microseconds; what people read is milliseconds. TTFT follows the vendor's
convention: all prefill chunks and the first post, without image preparation and vision encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from typing import NamedTuple

from axsim.compiler.partition import Subgraph
from axsim.machine.timeline import Timeline
from axsim.spec.power import PowerSection
from axsim.system.request import Call, Pass, Stage


class Part(NamedTuple):
    """What readers show as one row: preparation, the images, a prompt chunk, a decode step's
    layers, post. ``chunk`` counts from 0 and is None where a prompt has one chunk only."""

    stage: Stage
    chunk: int | None = None

    @property
    def name(self) -> str:
        """For people: ``vision``, ``prefill 2``."""
        return self.stage if self.chunk is None else f"{self.stage} {self.chunk + 1}"

    @property
    def layered(self) -> bool:
        """Whether it runs once for every layer of the decoder."""
        return self.stage in ("prefill", "decode")


@dataclass(frozen=True)
class Invocation:
    """A subgraph that ran on the NPU from ``start_us`` to ``end_us`` after the request's arrival.

    ``index`` counts images, chunks or tokens from 0; token 0 comes from prefill. ``timeline`` has
    the invocation's tasks.
    """

    stage: Stage
    index: int
    layer: int
    subgraph: Subgraph
    start_us: float
    end_us: float
    timeline: Timeline


@dataclass(frozen=True)
class HostSlice:
    """Work of the host from ``start_us`` to ``end_us`` after the request's arrival."""

    stage: Stage
    index: int
    layer: int
    cores: int
    start_us: float
    end_us: float


@dataclass(frozen=True)
class Span:
    """The first image, a chunk, the first decode step's layers or the first post.

    ``ms`` in all, of which ``host_ms`` is the host's work; ``invocations`` are the subgraph's runs,
    one for each layer; ``waited_ms`` went by while others held the CPU or the NPU. ``count`` such
    spans are in the request.
    """

    part: Part
    count: int
    ms: float
    host_ms: float
    waited_ms: float
    invocations: tuple[Timeline, ...]

    def distinct(self) -> list[tuple[Timeline, int]]:
        """Invocations that are different objects, each with how often it occurs: layers that
        nothing disturbed share one."""
        counts = Counter(map(id, self.invocations))
        return [(each, counts.pop(id(each))) for each in self.invocations if id(each) in counts]


@dataclass(frozen=True)
class RequestTimeline:
    """A request from its arrival on.

    ``passes`` in order and, for each step of each layer of each pass, how long it waited for the
    CPU or the NPU, how long it took, and what the NPU did in it (None where the host worked).
    ``waits_us`` is empty when it had the chip to itself. ``arrived_us`` is the simulation's time;
    all others count from there. ``power`` is what the chip draws, where that is known.

    Durations are kept rather than times of day, so that what takes the same time has the same
    number to the last bit, whatever came before it.
    """

    passes: tuple[Pass, ...]
    lengths_us: Sequence[float]
    details: Sequence[Timeline | None]
    waits_us: Sequence[float] = ()
    arrived_us: float = 0.0
    power: PowerSection | None = None

    def __iter__(self) -> Iterator[Invocation | HostSlice]:
        """Everything in order."""
        return chain.from_iterable(slices for _, slices in self.by_pass())

    def by_pass(self) -> Iterator[tuple[Pass, list[Invocation | HostSlice]]]:
        """Everything in order, pass by pass."""
        starts, ends = self._times
        position = 0
        for work in self.passes:
            slices: list[Invocation | HostSlice] = []
            for layer in range(work.layers):
                for step in work.steps:
                    what = work.stage, step.chunk or work.index, layer
                    times = starts[position], ends[position]
                    detail = self.details[position]
                    if isinstance(step, Call):
                        assert detail is not None
                        slices.append(Invocation(*what, step.subgraph, *times, detail))
                    else:
                        slices.append(HostSlice(*what, step.cores, *times))
                    position += 1
            yield work, slices

    def of(self, stage: Stage) -> tuple[Invocation, ...]:
        """The invocations of one stage in order."""
        return tuple(each for each in self if each.stage == stage and isinstance(each, Invocation))

    def first(self, tokens: int) -> RequestTimeline:
        """The same request, ended after so many tokens if it has more."""
        last = (n for n, work in enumerate(self.passes, 1) if self._chooses(work, tokens - 1))
        passes = next(last, len(self.passes))
        steps = self._bounds[passes]
        return replace(
            self,
            passes=self.passes[:passes],
            lengths_us=self.lengths_us[:steps],
            details=self.details[:steps],
            waits_us=self.waits_us[:steps],
        )

    def delayed(self, us: float) -> RequestTimeline:
        """The same request with ``us`` more (or less) around every invocation."""
        pairs = zip(self.lengths_us, self.details, strict=True)
        lengths = [length if detail is None else length + us for length, detail in pairs]
        return replace(self, lengths_us=lengths)

    @cached_property
    def spans(self) -> Mapping[Part, Span]:
        """By part, in the order of the request (post before decode)."""
        counts = Counter(work.stage for work in self.passes)
        found: dict[Part, Span] = {}
        stages: set[Stage] = set()
        for number, work in enumerate(self.passes):
            if work.stage in stages:
                continue
            stages.add(work.stage)
            chunks = dict.fromkeys(step.chunk for step in work.steps)
            for chunk in chunks:
                part = Part(work.stage, chunk if len(chunks) > 1 else None)
                found[part] = self._span(part, counts[work.stage], number, chunk)
        return found

    @cached_property
    def preprocess_ms(self) -> float:
        """Preparation of all images on the CPU."""
        return sum(self._pass_us(n) for n in self._numbers("preprocess")) / 1e3

    @cached_property
    def vision_encode_ms(self) -> float:
        """The first image through the vision part; 0 without one."""
        return next((self._pass_us(n) for n in self._numbers("vision")), 0.0) / 1e3

    @cached_property
    def graph_ms(self) -> float:
        """One run of the network of an ONNX file; 0 for other workloads."""
        return next((self._pass_us(n) for n in self._numbers("graph")), 0.0) / 1e3

    @property
    def frames_per_s(self) -> float:
        """Images that go through that network, of which one run may take several."""
        batch = sum(each.subgraph.batch for each in self.of("graph"))
        return 1e3 * batch / self.graph_ms if batch else 0.0

    @cached_property
    def ttft_ms(self) -> float:
        """Time to first token as the vendor counts it: prefill chunks and the first post; 0 without
        a decoder."""
        prefill, posts = self._numbers("prefill"), self._numbers("post")
        if not prefill or not posts:
            return 0.0
        return self._us(self._bounds[prefill[0]], self._bounds[posts[0] + 1]) / 1e3

    @property
    def image_to_first_token_ms(self) -> float:
        """What a person waits: from the request's arrival to its first token, or to its end when
        there is no decoder."""
        return self.arrivals_ms[0] if self.arrivals_ms else self.ms

    @property
    def ms(self) -> float:
        """From its arrival to its end."""
        ends = self._times[1]
        return ends[-1] / 1e3 if ends else 0.0

    @cached_property
    def arrivals_ms(self) -> tuple[float, ...]:
        """When each token was there."""
        ends, bounds = self._times[1], self._bounds
        return tuple(ends[bounds[n + 1] - 1] / 1e3 for n in self._numbers("post"))

    @cached_property
    def post_ms(self) -> float:
        """Final norm, head and the choice of the first token; 0 without a decoder."""
        return next((self._pass_us(n) for n in self._numbers("post")), 0.0) / 1e3

    @cached_property
    def token_ms(self) -> float:
        """One decode step, all layers and post, on average; 0 when there is none."""
        steps = self._steps_us
        if not steps:
            return 0.0
        # the mean of equal numbers is that number, to the last bit
        first = steps[0]
        return (first + sum(step - first for step in steps) / len(steps)) / 1e3

    @property
    def steps_ms(self) -> tuple[float, ...]:
        """Every decode step, all layers and post."""
        return tuple(step / 1e3 for step in self._steps_us)

    @property
    def decode_tokens_per_s(self) -> float:
        """Decode speed."""
        return 1e3 / self.token_ms if self.token_ms else 0.0

    @cached_property
    def _steps_us(self) -> list[float]:
        bounds = self._bounds
        return [self._us(bounds[n], bounds[n + 2]) for n in self._numbers("decode")]

    @cached_property
    def _bounds(self) -> tuple[int, ...]:
        """The first step of each pass, and the end."""
        return tuple(accumulate((len(w.steps) * w.layers for w in self.passes), initial=0))

    @cached_property
    def _times(self) -> tuple[Sequence[float], Sequence[float]]:
        """Start and end of each step."""
        times = _clock(self.waits_us, self.lengths_us)
        return (times[1::2], times[2::2]) if self.waits_us else (times[:-1], times[1:])

    def _numbers(self, stage: Stage) -> list[int]:
        """The passes of a stage."""
        return [n for n, work in enumerate(self.passes) if work.stage == stage]

    def _pass_us(self, number: int) -> float:
        return self._us(self._bounds[number], self._bounds[number + 1])

    def _us(self, start: int, end: int) -> float:
        """Waits and lengths of some steps: the same for the same steps, wherever they stand."""
        return _clock(self.waits_us[start:end], self.lengths_us[start:end])[-1]

    def _span(self, part: Part, count: int, number: int, chunk: int) -> Span:
        """What the steps of one chunk in a pass took."""
        work = self.passes[number]
        own = [n for n, step in enumerate(work.steps) if step.chunk == chunk]
        positions = [
            self._bounds[number] + layer * len(work.steps) + n
            for layer in range(work.layers)
            for n in own
        ]
        lengths = [self.lengths_us[position] for position in positions]
        details = [self.details[position] for position in positions]
        waits = [self.waits_us[position] for position in positions] if self.waits_us else []
        pairs = zip(lengths, details, strict=True)
        host = _clock((), [length for length, detail in pairs if detail is None])[-1]
        invocations = tuple(detail for detail in details if detail is not None)
        whole, waited = _clock(waits, lengths)[-1], _clock((), waits)[-1]
        return Span(part, count, whole / 1e3, host / 1e3, waited / 1e3, invocations)

    @staticmethod
    def _chooses(work: Pass, token: int) -> bool:
        return work.stage == "post" and work.index == token


def _clock(waits: Sequence[float], lengths: Sequence[float]) -> list[float]:
    """0 and, step by step, the time after its wait (if there are waits) and after its length:
    summed as SimPy's clock sums them, so that the bits are the same."""
    pairs = chain.from_iterable(zip(waits, lengths, strict=True)) if waits else lengths
    return list(accumulate(pairs, initial=0.0))
