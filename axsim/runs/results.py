"""What a run found: frozen objects, one per variant, with views for JSON, CSV and pandas.

Times are milliseconds, sizes bytes. A figure that measurements can contradict is a
:class:`~axsim.fidelity.prediction.Prediction`, with its interval and, where the ledger has the same
configuration, the measured value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from axsim.compiler.partition import Deployment, Memory, mebibytes
from axsim.fidelity.prediction import Prediction, number
from axsim.models.config import size_text
from axsim.runs.computed import Numerics, numeric_columns
from axsim.spec.chip import Chip
from axsim.spec.diagnosis import nearest
from axsim.spec.workload import Workload
from axsim.system.alone import prolonged
from axsim.system.breakdown import StageBreakdown, breakdown
from axsim.system.metrics import METRICS, PREDICTED
from axsim.system.request_timeline import RequestTimeline

if TYPE_CHECKING:
    import pandas as pd


class Token(NamedTuple):
    """A generated token and when it was there, in ms after the request's arrival."""

    id: int
    arrival_ms: float


@dataclass(frozen=True, repr=False)
class VariantResult:
    """One variant. ``settings`` are the keys that tell it from the workload's file.

    ``planned`` is the request alone on the chip up to its second token: what is predicted is read
    from it. ``served`` is the one on which the kernels ran. In a conversation all this is about the
    first turn, and ``later`` are the others.

    Every metric of :data:`~axsim.system.metrics.PREDICTED` is an attribute, ``ttft_ms`` for
    example. Those that the workload does not have (vision encode without a tower, TTFT without a
    decoder) are absent from ``predictions`` and None as attributes.
    """

    name: str
    settings: Mapping[str, object]
    deployment: Deployment = field(repr=False)
    planned: RequestTimeline = field(repr=False)
    predictions: Mapping[str, Prediction]
    numerics: Numerics | None = None
    served: RequestTimeline | None = field(default=None, repr=False)
    later: tuple[VariantResult, ...] = field(default=(), repr=False)

    def __getattr__(self, name: str) -> Prediction | None:
        if name in METRICS and METRICS[name].of is not None:
            return self.predictions.get(name)
        near = "" if name[0] == "_" else nearest(name, (n for n in dir(self) if n[0] != "_"))
        hint = f"; did you mean {near!r}?" if near else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(metric.name for metric in PREDICTED)]

    def __repr__(self) -> str:
        figures = (f"{name}: {found}" for name, found in self.predictions.items())
        return (
            "\n  ".join([f"<{self.workload.name} {self.name} on {self.chip.name}", *figures]) + ">"
        )

    @property
    def workload(self) -> Workload:
        """The whole configuration."""
        return self.deployment.workload

    @property
    def chip(self) -> Chip:
        """The chip it was compiled for."""
        return self.deployment.chip

    @property
    def npu_mode(self) -> str:
        """NPU1, NPU2 or NPU3."""
        return self.workload.build.npu_mode or self.chip.default_mode

    @property
    def memory(self) -> Memory:
        """DRAM that the deployed model takes, against the chip's."""
        return self.deployment.memory

    @property
    def preprocess_ms(self) -> float:
        """Preparation of all images on the CPU."""
        return self.planned.preprocess_ms

    @property
    def prefill_chunks(self) -> int:
        """Prefill calls of the prompt."""
        return self.workload.prefill_chunks

    @property
    def new_tokens(self) -> int:
        """Tokens generated; those asked for when the kernels did not run."""
        return self.workload.new_tokens if self.numerics is None else len(self.numerics.tokens)

    @property
    def turns(self) -> tuple[VariantResult, ...]:
        """Itself and the later turns."""
        return (self, *self.later)

    @cached_property
    def timeline(self) -> RequestTimeline:
        """What happened to the request, to its last token: an end-of-sequence token that the
        kernels chose, or the last of those asked for."""
        return self.served or prolonged(self.planned, self.new_tokens)

    @property
    def arrivals_ms(self) -> tuple[float, ...]:
        """When each new token is there, counted from the image's arrival."""
        return self.timeline.arrivals_ms

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The generated tokens; none without kernels."""
        ids = () if self.numerics is None else self.numerics.tokens
        return tuple(map(Token, ids, self.arrivals_ms))

    @cached_property
    def breakdown(self) -> tuple[StageBreakdown, ...]:
        """Where the time goes, stage by stage."""
        return breakdown(self.planned, self.chip)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types."""
        memory = self.memory
        return {
            "name": self.name,
            "settings": dict(self.settings),
            **self._conditions(),
            "preprocess_ms": self.preprocess_ms,
            "predictions": {name: found.to_dict() for name, found in self.predictions.items()},
            "arrivals_ms": list(self.arrivals_ms),
            "turns": [turn._of_turn() for turn in self.turns],
            "memory": {
                "weights_bytes": dict(memory.weights),
                "stored_bytes": dict(memory.stored),
                "kv_cache_bytes": memory.kv_cache,
                "kv_slots": memory.kv_slots,
                "kv_slot_bytes": memory.kv_slot,
                "activations_bytes": memory.activations,
                "embedding_bytes": memory.embedding,
                "total_bytes": memory.total,
                "capacity_bytes": memory.capacity,
                "fits": memory.fits,
                "load_ms": self.deployment.load_ms,
            },
            "breakdown": [stage.to_dict() for stage in self.breakdown],
            "numerics": None if self.numerics is None else self.numerics.to_dict(),
        }

    def _of_turn(self) -> dict[str, Any]:
        """What tells a turn from the others."""
        names = ("vision_encode_ms", "ttft_ms", "image_to_first_token_ms")
        times = {name: self.predictions[name].value for name in names if name in self.predictions}
        keys = ("cached_tokens", "images", "prompt_tokens", "prefill_chunks", "new_tokens")
        conditions = self._conditions()
        return {
            **{key: conditions[key] for key in keys},
            "prefill_history": list(self.workload.histories),
            **times,
            "arrivals_ms": list(self.arrivals_ms),
            "tokens": None if self.numerics is None else list(self.numerics.tokens),
        }

    def to_row(self) -> dict[str, Any]:
        """One flat row for tables: conditions, predictions with ``_low``, ``_high``, ``_measured``,
        ``_error`` and ``_extrapolated`` (why, or None) beside them, memory, numerics (``cosine`` is
        what a build is judged by, see :attr:`Numerics.cosine`; perplexity and its companions are
        there for checkpoints alone). None where there is nothing; no energy at all on a chip that
        does not say what it draws."""
        row: dict[str, Any] = {"variant": self.name, **self._conditions()}
        row |= {"preprocess_ms": self.preprocess_ms, "post_ms": self.planned.post_ms or None}
        for metric in PREDICTED:
            name, found = metric.name, self.predictions.get(metric.name)
            if metric.needs and getattr(self.chip, metric.needs) is None:
                continue
            values = found.to_dict() if found else {}
            measured = values.get("measured") or {}
            row[name] = values.get("value")
            row[f"{name}_low"], row[f"{name}_high"] = values.get("low"), values.get("high")
            row[f"{name}_measured"] = measured.get("value")
            row[f"{name}_error"] = values.get("error")
            row[f"{name}_extrapolated"] = values.get("extrapolated")
        memory = self.memory
        row |= {
            "weights_bytes": sum(memory.weights.values()),
            "kv_cache_bytes": memory.kv_cache,
            "activations_bytes": memory.activations,
            "embedding_bytes": memory.embedding,
            "capacity_bytes": memory.capacity,
            "fits": memory.fits,
            "load_ms": self.deployment.load_ms,
            **numeric_columns(self.numerics),
        }
        return row

    def _conditions(self) -> dict[str, Any]:
        workload, build = self.workload, self.workload.build
        vision, decoder = workload.model.vision, workload.model.decoder
        return {
            "model": workload.name,
            "chip": self.chip.name,
            "npu_mode": self.npu_mode,
            "images": workload.images,
            "image_size": size_text(workload.image_size) if vision else None,
            "vision_dtype": build.vision_dtype if vision or workload.model.onnx else None,
            "weight_dtype": build.weight_dtype if decoder else None,
            "kv_cache_len": build.kv_cache_len if decoder else None,
            "prefill_chunk": build.prefill_chunk if decoder else None,
            "prefill_chunks": self.prefill_chunks,
            "toolchain": build.toolchain if decoder else None,
            "float_matmul_on_conv": workload.float_matmul_on_conv if decoder else None,
            "cached_tokens": workload.cached_tokens if decoder else None,
            "prompt_tokens": workload.prompt_tokens,
            "new_tokens": workload.new_tokens,
            "seed": workload.request.seed,
        }


@dataclass(frozen=True, repr=False)
class RunResult:
    """All variants of one run, in the order of the workload. ``complete`` is False when it was
    interrupted before every variant's kernels had run."""

    workload: str
    chip: str
    variants: tuple[VariantResult, ...]
    timing_only: bool = False
    complete: bool = True

    def __iter__(self) -> Iterator[VariantResult]:
        return iter(self.variants)

    def __len__(self) -> int:
        return len(self.variants)

    def __repr__(self) -> str:
        return f"{self._title}\n{self.summary().to_string()}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<p>{escape(self._title)}</p>{self.summary().to_html()}"

    @property
    def _title(self) -> str:
        return f"{self.workload} on {self.chip}"

    def summary(self) -> pd.DataFrame:
        """For people: predictions with their intervals and memory, a column a variant."""
        import pandas as pd

        columns = {}
        for each in self:
            cells = {METRICS[name].title: _short(found) for name, found in each.predictions.items()}
            memory = each.memory
            needed = mebibytes(memory.npu)
            cells["NPU memory, MiB"] = needed if memory.fits else f"{needed} (does not fit)"
            if each.numerics is not None and each.numerics.cosine is not None:
                synthetic = " on synthetic weights" if each.numerics.synthetic else ""
                cells[f"cosine to float32{synthetic}"] = f"{each.numerics.cosine:.4f}"
            if each.numerics is not None and each.numerics.text is not None:
                text = each.numerics.text
                reached = f"{text.perplexity:.4g} ({text.float32_perplexity:.4g})"
                cells["perplexity (of float32)"] = reached
                cells["same likeliest token"] = f"{text.top1_agreement:.1%}"
            columns[each.name] = cells
        return pd.DataFrame(columns).fillna("")

    def __getitem__(self, name: str | int) -> VariantResult:
        """A variant by name or position; KeyError or IndexError when there is none."""
        if isinstance(name, int):
            return self.variants[name]
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(f"no variant {name!r}; there are {', '.join(each.name for each in self)}")

    def with_numerics(
        self, name: str, turns: Sequence[tuple[Numerics, RequestTimeline | None]]
    ) -> RunResult:
        """The same with one variant's numeric results filled in, turn by turn, and the requests on
        which its kernels ran."""

        def filled(variant: VariantResult) -> VariantResult:
            first, *later = [
                replace(turn, numerics=numerics, served=served)
                for turn, (numerics, served) in zip(variant.turns, turns, strict=False)
            ]
            return replace(first, later=(*later, *variant.later[len(later) :]))

        variants = tuple(
            filled(variant) if variant.name == name else variant for variant in self.variants
        )
        return replace(self, variants=variants)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types."""
        return {
            "workload": self.workload,
            "chip": self.chip,
            "timing_only": self.timing_only,
            "complete": self.complete,
            "variants": [variant.to_dict() for variant in self.variants],
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat row per variant, all with the same keys."""
        return [variant.to_row() for variant in self.variants]

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame of :meth:`to_rows`, indexed by variant."""
        import pandas as pd

        return pd.DataFrame(self.to_rows()).set_index("variant")


def _short(found: Prediction) -> str:
    """A cell: value and interval, ``*`` where it is extrapolated."""
    width = "" if found.interval is None else f" ±{found.interval.high:.0%}"
    return number(found.value) + width + "*" * bool(found.extrapolated)
