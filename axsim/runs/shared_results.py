"""What a simulated scenario found, with views for JSON, CSV and pandas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from axsim.runs.shared_energy import CHIP_COLUMNS, TENANT_COLUMNS, ChipEnergy, TenantEnergy
from axsim.spec.chip import Chip
from axsim.spec.scenario import Scenario
from axsim.system.admission import Admitted
from axsim.system.company import Outcome
from axsim.system.deployed import partitions_of
from axsim.system.quantiles import SHOWN, Quantiles
from axsim.system.record import MEASURES, Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TenantResult:
    """What became of one tenant.

    ``what`` is its model, or its kind; ``partition`` is empty for those that do not use the NPU.
    ``record`` counts its requests, None for background users. ``npu_ms``, ``cpu_core_ms`` and
    ``dram_bytes`` are what it used in all. ``slowdown`` is its mean latency over the one that it
    has alone on the chip, with the tenants that its requests come from. ``energy`` is None where
    it is not known.
    """

    name: str
    kind: str
    what: str
    partition: str
    record: Record | None
    npu_ms: float
    cpu_core_ms: float
    dram_bytes: float
    duration_s: float
    deadline_ms: float | None
    present: float
    slowdown: float | None = None
    energy: TenantEnergy | None = None

    @property
    def measures(self) -> dict[str, Quantiles]:
        """Those of :data:`axsim.system.record.MEASURES` that it has."""
        if self.record is None:
            return {}
        return {name: each for name, each in self.record.measures.items() if each.count}

    @property
    def per_s(self) -> float:
        """Requests that it has answered per second, while they came."""
        return self.record.in_time / self.duration_s if self.record else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {"tenant": self.name, "kind": self.kind, "what": self.what}
        if self.partition:
            found["partition"] = self.partition
        if self.record is not None:
            record = self.record
            found |= {
                "requests": record.requests,
                "finished": record.finished,
                "queued": record.queued,
                "dropped": record.dropped,
                "per_s": self.per_s,
                "most_waiting": record.most_waiting,
                "present": self.present,
                "deadline_ms": self.deadline_ms,
                "deadline_misses": record.late,
                "slowdown": self.slowdown,
            }
            found |= {name: each.to_dict() for name, each in self.measures.items()}
        return {
            **found,
            "npu_ms": self.npu_ms,
            "cpu_core_ms": self.cpu_core_ms,
            "dram_bytes": self.dram_bytes,
            **(self.energy.to_dict() if self.energy else {}),
        }

    def to_row(self) -> dict[str, Any]:
        """A model's tenant in flat columns, for CSV and sweeps."""
        values = self.to_dict()
        found = {name: values[name] for name in COUNTS}
        for measure in MEASURES:
            for statistic in STATISTICS:
                found[column(measure, statistic)] = values.get(measure, {}).get(statistic)
        return found | (self.energy.to_dict() if self.energy else {})


COUNTS = (
    "requests", "finished", "queued", "dropped", "per_s", "most_waiting", "present",
    "deadline_misses", "slowdown", "npu_ms", "cpu_core_ms", "dram_bytes",
)  # fmt: skip
"""Columns of a row beside those of measures."""

STATISTICS = ("mean", *(f"p{percent}" for percent in SHOWN), "max")
"""Of each measure."""


def column(measure: str, statistic: str) -> str:
    """``latency_p95_ms``."""
    return f"{measure.removesuffix('_ms')}_{statistic}_ms"


_MEASURED = tuple(column(each, statistic) for each in MEASURES for statistic in STATISTICS)


def row_columns(power: bool) -> list[str]:
    """The columns of :meth:`ScenarioResult.to_rows`, also where no tenant answers requests; those
    of energy where the chip has a block ``power``."""
    energy = TENANT_COLUMNS if power else ()
    return ["scenario", "chip", "seed", "tenant", *COUNTS, *_MEASURED, *energy]


def scenario_columns(scenario: Scenario, power: bool) -> list[str]:
    """The columns that :meth:`ScenarioResult.to_row` has, on whatever chip; those of energy where
    it has a block ``power``."""
    own = (*COUNTS, *_MEASURED, *(TENANT_COLUMNS if power else ()))
    found = [f"{name}.{each}" for name in scenario.models for each in own]
    busy = [f"busy.npu {name}" for name in scenario.partitions or ("npu",)]
    chip = [f"energy.{each}" for each in CHIP_COLUMNS] if power else []
    return ["scenario", "duration_s", *found, *busy, "busy.cpu", "busy.dram", "memory_bytes", *chip]


@dataclass(frozen=True)
class ScenarioResult:
    """A simulated scenario. Iterates over its tenants; ``result["detector"]`` is one of them.

    ``window_s`` is the part of the time that ``outcome`` keeps whole. ``costs`` has, where that was
    asked for, by how much the mean latency of the second of two tenants is longer because of the
    first: 0.1 is a tenth. ``notes`` say why tenants were asked nothing, or less than their files
    say.
    """

    scenario: Scenario
    chip: Chip
    seed: int
    tenants: tuple[TenantResult, ...]
    outcome: Outcome
    admitted: Admitted
    window_s: tuple[float, float]
    costs: Mapping[tuple[str, str], float] | None = None
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[TenantResult]:
        return iter(self.tenants)

    def __getitem__(self, name: str) -> TenantResult:
        for tenant in self.tenants:
            if tenant.name == name:
                return tenant
        raise KeyError(name)

    @property
    def duration_s(self) -> float:
        """Simulated seconds in which requests came."""
        return self.scenario.duration_s

    @property
    def models(self) -> tuple[TenantResult, ...]:
        """The tenants that answer requests."""
        return tuple(each for each in self.tenants if each.record is not None)

    @cached_property
    def modes(self) -> dict[str, str]:
        """The NPU mode of each partition."""
        return partitions_of(self.scenario, self.chip)

    @cached_property
    def busy(self) -> dict[str, list[float]]:
        """Busy fraction over time: of each NPU partition, ``npu NAME``, of the ``cpu`` and the
        ``dram``, in windows of :attr:`axsim.system.usage.Usage.window_us`."""
        usage = self.outcome.usage
        found = {f"npu {name}": usage.of_partition(name) for name in self.modes}
        found["cpu"] = usage.of_cpu(self.chip.cpu.cores)
        found["dram"] = usage.of_dram(self.chip.sustained_gbps)
        return found

    @cached_property
    def energy(self) -> ChipEnergy | None:
        """What the chip has drawn until the last request was answered; None where its file does not
        say what it draws."""
        power, parts = self.chip.power, {True: 0.0, False: 0.0}
        if power is None:
            return None
        for each in self.tenants:
            parts[each.record is not None] += each.energy.joules if each.energy else 0.0
        unknown = tuple(each.name for each in self.tenants if each.energy is None)
        seconds = self.outcome.ended_us / 1e6
        idle = power.idle_w * seconds
        return ChipEnergy(seconds, idle, parts[True], parts[False], unknown, power.source)

    @property
    def mean_busy(self) -> dict[str, float]:
        """The same on average."""
        return {name: sum(values) / len(values) for name, values in self.busy.items()}

    def busy_by_tenant(self, name: str) -> dict[str, float]:
        """How much of ``mean_busy[name]`` each tenant takes; together they are all of it."""
        usage, most = self.outcome.usage, 1.0
        if name == "cpu":
            meters, most = dict(usage.cpu), float(self.chip.cpu.cores)
        elif name == "dram":
            meters, most = dict(usage.bandwidth), self.chip.sustained_gbps * 1e3
        else:
            place = name.removeprefix("npu ")
            meters = {who: each for (who, where), each in usage.npu.items() if where == place}
        whole = usage.window_us * usage.windows * most
        return {who: sum(each.amounts) / whole for who, each in meters.items()}

    @property
    def dram_gbps(self) -> dict[str, list[float]]:
        """What each tenant moves over time, gigabytes per second."""
        usage = self.outcome.usage
        return {
            name: [amount / usage.window_us / 1e3 for amount in meter.amounts]
            for name, meter in usage.dram.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        usage = self.outcome.usage
        document: dict[str, Any] = {
            "scenario": self.scenario.name,
            "chip": self.chip.name,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "partitions": self.modes,
            "memory_bytes": dict(self.admitted.memory),
            "loads": {load.name: dict(load.by_tenant) for load in self.admitted.loads},
            "busy": self.mean_busy,
            "notes": list(self.notes),
            "tenants": [tenant.to_dict() for tenant in self.tenants],
            "over_time": {
                "window_s": usage.window_us / 1e6,
                "busy": self.busy,
                "dram_gbps": self.dram_gbps,
            },
        }
        if self.energy is not None:
            document["energy"] = self.energy.to_dict()
        if self.costs is not None:
            document["costs"] = [
                {"of": of, "to": to, "latency": cost} for (of, to), cost in self.costs.items()
            ]
        return document

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each tenant that answers requests, for CSV."""
        common = {"scenario": self.scenario.name, "chip": self.chip.name, "seed": self.seed}
        return [{**common, "tenant": each.name, **each.to_row()} for each in self.models]

    def to_row(self) -> dict[str, Any]:
        """All tenants in one flat row, ``detector.latency_p95_ms``, for sweeps."""
        found: dict[str, Any] = {"scenario": self.scenario.name, "duration_s": self.duration_s}
        for tenant in self.models:
            found |= {f"{tenant.name}.{key}": value for key, value in tenant.to_row().items()}
        found |= {f"busy.{name}": value for name, value in self.mean_busy.items()}
        found["memory_bytes"] = sum(self.admitted.memory.values())
        if self.energy is not None:
            energy = self.energy.to_dict()
            found |= {f"energy.{name}": energy[name] for name in CHIP_COLUMNS}
        return found

    def to_pandas(self) -> pd.DataFrame:
        """:meth:`to_rows` as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.to_rows(), columns=row_columns(self.chip.power is not None))
