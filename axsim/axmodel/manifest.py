"""What a file says of itself: the part, the chip, the workload that it was built from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from axsim.axmodel.archive import Archive
from axsim.axmodel.pictures import PictureInput
from axsim.kernels.qparams import CODE_RANGE
from axsim.spec.descriptor import Section, load_mapping

PartName = Literal["vision", "layer", "post", "network"]


class Parameters(Section):
    """Scale and zero point of an activation."""

    scale: PositiveFloat
    zero_point: int
    dtype: Literal["u8", "u16"]

    @model_validator(mode="after")
    def _check_code(self) -> Parameters:
        low, high = CODE_RANGE[self.dtype]
        if not low <= self.zero_point <= high:
            raise ValueError(f"found {self.zero_point}; allowed: {low} to {high} in {self.dtype}")
        return self


class Manifest(Section):
    """``model.json`` of a file.

    ``workload`` is the document of the workload (its model and build), from which the graphs of
    towers and decoders follow; a network has its ``graph``. ``prefill_groups`` counts the shape
    groups behind decode. ``tensors`` are the weights by name in the graph, ``qparams`` those of
    quantised activations. ``fingerprint`` tells builds apart, ``size`` is the file's as the chip
    stores it, in bytes.
    """

    format: Literal[1] = 1
    made_by: str
    part: PartName
    chip: str
    npu_mode: Literal["NPU1", "NPU2", "NPU3"]
    toolchain: str
    fingerprint: str
    size: NonNegativeInt
    workload: dict[str, Any]
    layer: NonNegativeInt = 0
    prefill_groups: NonNegativeInt = 0
    picture: PictureInput | None = None
    qparams: dict[str, Parameters] = Field(default_factory=dict)
    tensors: dict[str, dict[str, Any]]
    graph: dict[str, Any] | None = None

    @classmethod
    def of(cls, archive: Archive) -> Manifest:
        """The manifest of a file; InputError when it is none."""
        return load_mapping(cls, archive.manifest, archive.name)
