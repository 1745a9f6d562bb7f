"""A chip: its structure, the figures its vendor rates it with, and its calibrated block.

One YAML file (``chips/``) describes one chip. ``npu``, ``dram``, ``cpu`` are structure: counts,
widths and rates that are published or inferred, each with its source beside it. ``calibrated``
holds the few numbers that ``axsim calibrate`` fits to measurements; those that ``fixed`` or
``borrowed`` name are documented, or taken from another chip. ``rated`` is what the vendor
advertises; it is shown beside what the structure gives and used for nothing else.

Rates of execution units are per unit and cycle; the number of units follows from the NPU mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from axsim.errors import Fault, InputError, Problem, checked
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, Section, find, load
from axsim.spec.like import completed
from axsim.spec.limits import implausible
from axsim.spec.located import Located
from axsim.spec.power import PowerSection

NpuMode = Literal["NPU1", "NPU2", "NPU3"]

Link = Literal["pcie"]

MemoryShare = Annotated[float, Field(gt=0, le=1)]

AROUND = ("link", "pcie_ms", "pcie_ms_span", "pcie_gbps", "storage_mb_per_s")
CAPACITY = ("capacity_bytes", "npu_bytes")
"""Keys of the host and of the DRAM that say how a chip is built in."""

TOLERANCE = 0.01
"""Two ways of saying the same number may differ by this fraction (rounded data sheets)."""


class ConvSection(Section):
    """The matrix unit: multiply-accumulates on INT8, slower on wider operands."""

    int8_macs_per_cycle: PositiveInt | None = Field(
        None, description="INT8 multiply-accumulates per CONV unit and cycle"
    )
    int16_divisor: PositiveFloat = Field(
        description="how many times slower two 16-bit integer operands are than INT8; one is half"
    )
    bf16_rows: PositiveInt | None = Field(
        None, description="rows of a bf16 product with weights beyond which it is slower"
    )
    float_matmul: bool = Field(
        description="whether the build flag float_matmul_on_conv has an effect on this chip"
    )
    fill_bytes_per_cycle: PositiveFloat = Field(
        description="loading of the stationary operand into the array, per resource group"
    )
    pack16_bytes_per_cycle: PositiveFloat = Field(
        description="splitting a 16-bit stationary operand into byte planes, per resource group"
    )


class NetworksSection(Section):
    """How networks from files use the units, beside what all graphs have.

    The defaults are the choice among :data:`axsim.fidelity.networks.CHOICES` that the times of
    measurements/cnn.csv make, on both chips together.
    """

    pixels: PositiveInt = Field(
        8,
        description="pixels along the width of a map that an array of 1024 multipliers takes at a "
        "time; larger arrays take more in proportion",
    )
    depthwise_columns: PositiveInt = Field(
        16, description="columns of the array that a channel convolved by itself takes up"
    )
    bands: PositiveInt = Field(
        6, description="bands that a map is cut into along its rows to go from layer to layer"
    )
    halo: NonNegativeFloat = Field(
        0.75,
        description="rows of neighbouring bands that stay on chip for the next layer's windows, in "
        "bands",
    )
    banded_issue: PositiveFloat = Field(
        2, description="times step_us that a step takes which goes in bands, to begin and to end"
    )


class NpuSection(Section):
    """Execution units, their grouping and their on-chip memory."""

    generation: str = Field(description="name of the NPU generation")
    resource_groups: PositiveInt = Field(description="groups that the largest NPU mode joins")
    modes: dict[NpuMode, PositiveInt] = Field(
        {}, description="resource groups of each NPU mode; 1, 2, all when not given"
    )
    mode_ocm: dict[NpuMode, MemoryShare] = Field(
        {}, description="share of its groups' on-chip memory that an NPU mode has; 1 when not given"
    )
    conv_per_group: PositiveInt = Field(description="CONV units of a resource group")
    teng_per_group: PositiveInt = Field(description="TENG units of a resource group")
    sdma_per_group: PositiveInt = Field(description="SDMA channels of a resource group")
    nominal_clock_mhz: PositiveFloat = Field(
        description="clock of the vendor compiler's cycle counts and of the rated TOPS"
    )
    int8_tops: PositiveFloat | None = Field(
        None, description="INT8 tera-operations per second at the nominal clock, all groups"
    )
    conv: ConvSection = Field(description="the matrix unit")
    attention_key_tile: PositiveInt = Field(
        description="keys of one attention tile on TENG: rows are padded to a multiple of it"
    )
    attention_row_tile: PositiveInt = Field(
        description="query rows and width of one attention tile on TENG, padded likewise"
    )
    ocm_bytes: PositiveInt | None = Field(
        None, description="on-chip memory of all groups; calibrated where it is not published"
    )
    step_us: NonNegativeFloat = Field(description="issue of one operator on a unit, microseconds")
    invocation_cycles: NonNegativeFloat = Field(
        description="start and end of one subgraph, in nominal cycles"
    )
    networks: NetworksSection = Field(
        NetworksSection(), description="how networks from files use the units"
    )


class DramSection(Section):
    """External memory."""

    type: str = Field(description="kind of DRAM")
    width_bits: PositiveInt = Field(description="width of the data bus")
    data_rate_mtps: PositiveFloat | None = Field(
        None, description="data rate, million transfers per second"
    )
    peak_gbps: PositiveFloat | None = Field(
        None, description="peak bandwidth, gigabytes per second"
    )
    capacity_bytes: PositiveInt = Field(description="memory that the NPU can be given")
    npu_bytes: PositiveInt | None = Field(
        None, description="the part that the board gives to the NPU, where it is kept apart"
    )
    compiler_bytes_per_cycle: PositiveFloat = Field(
        description="bandwidth in the vendor compiler's own model, bytes per nominal cycle"
    )
    row_tile_efficiency: PositiveFloat = Field(
        le=1, description="bandwidth of activation row tiles relative to that of weight streams"
    )
    weights: dict[Literal["camera", "encoder", "display"], PositiveFloat] = Field(
        {},
        description="share of the bandwidth that a burst of frames gets, beside 1 of each transfer "
        "of the NPU; 1 when not given",
    )

    @model_validator(mode="after")
    def _one_bandwidth(self) -> DramSection:
        faults: list[Fault] = []
        if self.data_rate_mtps is None and self.peak_gbps is None:
            faults.append(Fault("data_rate_mtps", "is missing", "data_rate_mtps or peak_gbps"))
        elif self.data_rate_mtps is not None and self.peak_gbps is not None:
            derived = self.width_bits * self.data_rate_mtps / 8e3
            if abs(derived / self.peak_gbps - 1) > TOLERANCE:
                what = (
                    f"says {self.peak_gbps:g} GB/s, but {self.width_bits} bits at "
                    f"{self.data_rate_mtps:g} MT/s give {derived:.1f} GB/s"
                )
                faults.append(Fault("peak_gbps", what, also=["width_bits", "data_rate_mtps"]))
        if self.npu_bytes is not None and self.npu_bytes > self.capacity_bytes:
            allowed = f"up to {self.capacity_bytes}, capacity_bytes"
            faults.append(Fault("npu_bytes", f"found {self.npu_bytes}", allowed))
        return checked(self, faults)

    @property
    def bandwidth_gbps(self) -> float:
        """Peak bandwidth in gigabytes per second."""
        if self.peak_gbps is not None:
            return self.peak_gbps
        assert self.data_rate_mtps is not None  # the validator saw to it
        return self.width_bits * self.data_rate_mtps / 8e3


class CpuSection(Section):
    """The host CPU, which prepares inputs, copies K and V rows and picks the next token."""

    model: str = Field(description="core type")
    cores: PositiveInt = Field(description="number of cores")
    clock_mhz: PositiveFloat = Field(description="clock")


class CalibratedSection(Section):
    """What ``axsim calibrate`` fits; the same numbers for every model."""

    clock_mhz: PositiveFloat = Field(description="sustained NPU clock")
    dram_efficiency: PositiveFloat = Field(
        le=1, description="sustained over peak DRAM bandwidth when weights are streamed"
    )
    ocm_bytes: PositiveFloat | None = Field(
        None, description="on-chip memory of all groups, of a chip that does not publish it"
    )
    bf16_divisor: PositiveFloat = Field(
        ge=1,
        description="how many times slower bf16 activations are than INT8, whatever the weights",
    )
    bf16_overflow: PositiveFloat | None = Field(
        None, ge=1, description="how many times slower those of more than bf16_rows rows are"
    )
    teng_macs_per_cycle: PositiveFloat = Field(
        description="float multiply-accumulates per TENG unit and cycle"
    )
    teng_bytes_per_cycle: PositiveFloat = Field(
        description="vector element operations, in bytes of the operand, per TENG unit and cycle"
    )
    teng_16bit_bytes_per_cycle: PositiveFloat | None = Field(
        None, description="the same on 16-bit integers, where they are slower"
    )
    transcendental_passes: PositiveFloat = Field(
        description="element operations that one exp, erf, reciprocal or root costs"
    )
    s4_elements_per_cycle: PositiveFloat | None = Field(
        None,
        description="S4 weights expanded and loaded into the array per CONV unit and cycle, where "
        "that is slower than the array's fill",
    )
    swap_efficiency: PositiveFloat = Field(
        le=1, description="bandwidth of spilled activations relative to that of weight streams"
    )
    host_decode_ms: NonNegativeFloat = Field(
        description="runtime around one decode invocation of a layer, builds of Pulsar2 up to 3.3"
    )
    host_prefill_ms: NonNegativeFloat = Field(
        description="runtime around one prefill invocation of a layer, likewise"
    )


class HostSection(Section):
    """Host costs that follow from sizes."""

    storage_mb_per_s: PositiveFloat | None = Field(
        None, description="sequential reading of the storage that models lie on, 10^6 bytes"
    )
    preprocess_cycles_per_pixel: NonNegativeFloat = Field(
        description="resize and colour swap of one output pixel, CPU cycles, shared by all cores"
    )
    decode_layer_ms: NonNegativeFloat = Field(
        description="runtime around one decode invocation of a layer, builds of Pulsar2 since 3.4"
    )
    prefill_layer_ms: NonNegativeFloat = Field(
        description="runtime around one prefill invocation of a layer, likewise"
    )
    link: Link | None = Field(
        None, description="how another host reaches the chip, as on a card; none is its own host"
    )
    pcie_ms: NonNegativeFloat = Field(
        description="round trip around one invocation over the link, beside what is transferred"
    )
    pcie_ms_span: tuple[NonNegativeFloat, NonNegativeFloat] | None = Field(
        None, description="least and greatest pcie_ms of other hosts, where one's own is not known"
    )
    pcie_gbps: PositiveFloat | None = Field(
        None, description="rate of the link, gigabytes per second; no transfers when not given"
    )
    sample_cycles_per_logit: NonNegativeFloat = Field(
        description="arg-max or sampling over the vocabulary, CPU cycles for each logit"
    )

    @model_validator(mode="after")
    def _consistent(self) -> HostSection:
        span = self.pcie_ms_span
        faults: list[Fault] = []
        if span is not None and not span[0] <= self.pcie_ms <= span[1]:
            what = f"says {span[0]:g} to {span[1]:g} ms, but pcie_ms is {self.pcie_ms:g}"
            faults.append(Fault("pcie_ms_span", what, also=["pcie_ms"]))
        return checked(self, faults)


class Rating(Section):
    """A figure that a vendor advertises, kept for comparison."""

    value: PositiveFloat = Field(description="the advertised figure")
    unit: str = Field(description="its unit")
    source: str = Field(description="who says so")


@dataclass(frozen=True)
class Mode:
    """An NPU mode: how many resource groups work together and their on-chip memory, bytes."""

    name: str
    groups: int
    ocm_bytes: float


class Chip(Section):
    """A chip descriptor; see the module's text."""

    REPLACES: ClassVar[dict[str, tuple[str, ...]]] = {
        "npu.resource_groups": ("npu.modes", "npu.mode_ocm"),
        "npu.ocm_bytes": ("calibrated.ocm_bytes",),
        "calibrated.ocm_bytes": ("npu.ocm_bytes",),
        "npu.int8_tops": ("npu.conv.int8_macs_per_cycle",),
        "npu.conv.int8_macs_per_cycle": ("npu.int8_tops",),
        "dram.peak_gbps": ("dram.data_rate_mtps",),
        "dram.data_rate_mtps": ("dram.peak_gbps",),
        "dram.width_bits": ("dram.peak_gbps",),
        "host.pcie_ms": ("host.pcie_ms_span",),
    }

    name: str = Field(min_length=1, description="name of the chip, as measurements call it")
    description: str = Field("", description="what the chip is")
    like: str | None = Field(
        None, description="another chip, whose silicon it is; what is not said here is as there"
    )
    npu: NpuSection = Field(description="the neural processing unit")
    dram: DramSection = Field(description="external memory")
    cpu: CpuSection = Field(description="host processor")
    host: HostSection = Field(description="host costs that follow from sizes")
    calibrated: CalibratedSection = Field(description="fitted to measurements")
    borrowed: dict[str, str] = Field(
        {}, description="calibrated values that are not fitted, and the chip they were fitted on"
    )
    fixed: dict[str, str] = Field(
        {}, description="calibrated values that are not fitted, and what says so"
    )
    power: PowerSection | None = Field(
        None, description="what it draws from its supply; without it no energy is predicted"
    )
    rated: dict[str, Rating] = Field({}, description="advertised figures, for comparison only")
    insist: tuple[str, ...] = Field(
        (), description="keys whose values are meant although no chip that exists comes near them"
    )

    @property
    def modes(self) -> dict[NpuMode, int]:
        """Resource groups of each NPU mode."""
        if self.npu.modes:
            return dict(self.npu.modes)
        groups = self.npu.resource_groups
        counts: dict[NpuMode, int] = {"NPU1": 1}
        if groups > 1:
            counts["NPU2"] = 2
        if groups > 2:
            counts["NPU3"] = groups
        return counts

    @property
    def default_mode(self) -> NpuMode:
        """The NPU mode that joins most resource groups."""
        return max(self.modes, key=lambda mode: (self.modes[mode], mode))

    def mode(self, name: str) -> Mode:
        """The resources of an NPU mode.

        Raises:
            InputError: the chip has no such mode.
        """
        modes = {str(mode): groups for mode, groups in self.modes.items()}
        if name not in modes:
            what = f"{self.name} has no NPU mode {name!r}"
            raise InputError(Problem("", "build.npu_mode", what, ", ".join(modes)))
        shares = {str(mode): share for mode, share in self.npu.mode_ocm.items()}
        ocm = self.ocm_bytes * modes[name] / self.npu.resource_groups * shares.get(name, 1.0)
        return Mode(name, modes[name], ocm)

    def by_turns(self, partitions: Mapping[str, str]) -> bool:
        """Whether partitions (NPU modes by name) work one at a time on the same resource groups,
        each with its part of the on-chip memory, rather than beside each other.

        Raises:
            InputError: the chip has no such mode, or holds neither their groups nor their memory.
        """
        groups = {name: self.mode(mode).groups for name, mode in partitions.items()}
        if sum(groups.values()) <= self.npu.resource_groups:
            return False
        if sum(self.mode(mode).ocm_bytes for mode in partitions.values()) <= self.ocm_bytes:
            return True
        wanted = ", ".join(f"{name}: {count}" for name, count in groups.items())
        what = f"{wanted} resource groups overlap ({self.name} has {self.npu.resource_groups})"
        raise InputError(Problem("", "partitions", what))

    def nominal(self) -> Chip:
        """The chip as the vendor's compiler counts: nominal clock and its own DRAM rate."""
        clock = self.npu.nominal_clock_mhz
        efficiency = self.dram.compiler_bytes_per_cycle * clock / 1e3 / self.dram.bandwidth_gbps
        changed = {"clock_mhz": clock, "dram_efficiency": efficiency}
        return self.model_copy(update={"calibrated": self.calibrated.model_copy(update=changed)})

    @property
    def int8_macs_per_cycle(self) -> float:
        """INT8 multiply-accumulates per CONV unit and cycle."""
        npu = self.npu
        if npu.conv.int8_macs_per_cycle is not None:
            return npu.conv.int8_macs_per_cycle
        assert npu.int8_tops is not None  # the validator saw to it
        units = npu.resource_groups * npu.conv_per_group
        return npu.int8_tops * 1e12 / (2 * units * npu.nominal_clock_mhz * 1e6)

    @property
    def ocm_bytes(self) -> float:
        """On-chip memory of all resource groups."""
        found = self.npu.ocm_bytes or self.calibrated.ocm_bytes
        assert found is not None  # the validator saw to it
        return found

    @property
    def structural_int8_tops(self) -> float:
        """INT8 tera-operations per second that units, width and nominal clock give."""
        units = self.npu.resource_groups * self.npu.conv_per_group
        return 2 * units * self.int8_macs_per_cycle * self.npu.nominal_clock_mhz * 1e6 / 1e12

    @property
    def sustained_gbps(self) -> float:
        """Bandwidth of streamed weights, gigabytes per second."""
        return self.dram.bandwidth_gbps * self.calibrated.dram_efficiency

    @property
    def silicon(self) -> str:
        """The chip whose times measurements know: its own name, or that of the one it is like."""
        return self.like or self.name

    def times_as(self, other: Chip) -> bool:
        """Whether every number that times depend on is the other's, those of the link apart."""
        return (
            (self.npu, self.cpu, self.calibrated) == (other.npu, other.cpu, other.calibrated)
            and _but(self.dram, *CAPACITY) == _but(other.dram, *CAPACITY)
            and _but(self.host, *AROUND) == _but(other.host, *AROUND)
        )

    @classmethod
    def written(cls, source: Path) -> Located:
        """The document of a file, with what it takes from the chip that it is like."""
        return completed(cls, "chip", super().written(source))

    @model_validator(mode="after")
    def _consistent(self) -> Chip:
        checked(self, implausible(self))
        return checked(self, self._faults())

    def _faults(self) -> Iterator[Fault]:
        npu = self.npu
        macs, tops = npu.conv.int8_macs_per_cycle, npu.int8_tops
        if macs is None and tops is None:
            yield Fault("npu.conv.int8_macs_per_cycle", "is missing", "this or npu.int8_tops")
        elif macs is not None and tops is not None:
            structural = self.structural_int8_tops
            if abs(structural / tops - 1) > TOLERANCE:
                units = npu.resource_groups * npu.conv_per_group
                what = (
                    f"says {tops:g} TOPS, but {units} CONV × {macs} MACs × 2 at "
                    f"{npu.nominal_clock_mhz:g} MHz give {structural:.2f} TOPS"
                )
                yield Fault("npu.int8_tops", what, also=["npu.conv.int8_macs_per_cycle"])
        if npu.ocm_bytes is None and self.calibrated.ocm_bytes is None:
            yield Fault("npu.ocm_bytes", "is missing", "this or calibrated.ocm_bytes")
        elif npu.ocm_bytes is not None and self.calibrated.ocm_bytes is not None:
            what = f"says {npu.ocm_bytes} bytes; a published size is not calibrated"
            yield Fault("npu.ocm_bytes", what, also=["calibrated.ocm_bytes"])
        for mode in npu.mode_ocm:
            if mode not in self.modes:
                allowed = ", ".join(self.modes)
                yield Fault(f"npu.mode_ocm.{mode}", "belongs to no mode", allowed)
        for section, names in (("borrowed", self.borrowed), ("fixed", self.fixed)):
            for name in names:
                if name not in CalibratedSection.model_fields:
                    allowed = ", ".join(CalibratedSection.model_fields)
                    yield Fault(f"{section}.{name}", "is no calibrated parameter", allowed)
        for mode, groups in npu.modes.items():
            if groups > npu.resource_groups:
                what = f"joins {groups} groups, more than npu.resource_groups"
                yield Fault(f"npu.modes.{mode}", what, f"up to {npu.resource_groups}")


def _but(section: Section, *names: str) -> dict[str, object]:
    """The values of a section without those of ``names``."""
    return {key: value for key, value in section if key not in names}


def load_chip(name_or_path: str | Path, overrides: Overrides = NO_OVERRIDES) -> Chip:
    """Find and load a chip; ``overrides`` have keys without the ``chip.`` prefix.

    Raises:
        InputError: listing everything that is wrong.
    """
    return load(Chip, find("chip", name_or_path), overrides, under="chip.")
