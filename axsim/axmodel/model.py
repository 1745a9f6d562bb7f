"""A file in use: its inputs and outputs, its weights at hand, its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ml_dtypes import bfloat16

from axsim.axmodel.archive import Archive
from axsim.axmodel.graph_text import BROKEN
from axsim.axmodel.manifest import Manifest
from axsim.axmodel.shape_groups import Groups, deployment_of
from axsim.axmodel.stored_values import restored
from axsim.compiler.partition import Deployment, Subgraph
from axsim.graph.ir import Tensor
from axsim.kernels.arithmetic import from_bf16_bits
from axsim.kernels.array import Array
from axsim.kernels.choose import choose
from axsim.kernels.qparams import QParams
from axsim.models.window import windowed
from axsim.numerics.executor import Executor
from axsim.numerics.fixed_point import PackedMatrix
from axsim.numerics.integer_graph import Integer
from axsim.numerics.matrix import Matrix
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.spec.chip import Chip

_OUTSIDE: dict[str, Any] = {
    "bf16": bfloat16, "u8": np.uint8, "u32": np.uint32, "s32": np.int32, "s64": np.int32,
    "bool": np.uint8, "f16": np.float16,
}  # fmt: skip
"""How arrays outside hold a storage dtype, where it is not float32; the chip's indices have 32
bits."""


@dataclass(frozen=True)
class Argument:
    """An input or output of a group as scripts see it. A picture may come in any of its ``forms``,
    shapes by dtype."""

    name: str
    dtype: Any
    shape: tuple[int, ...]
    forms: Mapping[Any, tuple[int, ...]] = field(default_factory=dict)

    def holds(self, array: Array) -> bool:
        """Whether an array is of its shape and dtype."""
        forms = self.forms or {self.dtype: self.shape}
        return forms.get(array.dtype) == array.shape


class Model:
    """A file on a chip. ``known`` shares what files of one build have in common.

    Raises InputError for a file that is damaged, of another chip, or misses something.
    """

    def __init__(
        self,
        source: Path | Archive,
        chip: Chip | Callable[[str], Chip],
        known: dict[str, Deployment] | None = None,
    ) -> None:
        archive = source if isinstance(source, Archive) else Archive(source)
        self.name = Path(archive.name).name
        self.manifest = manifest = Manifest.of(archive)
        on = chip if isinstance(chip, Chip) else chip(manifest.chip)
        own = deployment_of(archive, manifest, on)
        known = {} if known is None else known
        self.deployment = known.setdefault(f"{on.name} {own.workload.model_dump_json()}", own)
        self.groups = Groups(archive, manifest, self.deployment)
        seen = manifest.part in ("vision", "network")
        self._integer = seen and own.workload.build.vision_dtype != "bf16"
        self._values = self._read(archive)
        self._arithmetic = self._made_arithmetic()
        self._executors: dict[int, Executor] = {}
        try:
            self._executor(0)
        except BROKEN as error:
            raise archive.fault(f"cannot be executed: {error}; build it again") from None

    def subgraph(self, group: int) -> Subgraph:
        """What of the chip's time a group takes."""
        return self.groups.subgraph(group)

    def inputs(self, group: int) -> list[Argument]:
        """The inputs of a group, in order."""
        graph, picture = self.groups.subgraph(group).graph, self.manifest.picture
        found = []
        for name in graph.inputs:
            tensor = graph.tensors[name]
            if picture is not None and picture.tensor == name:
                forms = {np.dtype(form): shape for form, shape in picture.forms(tensor).items()}
                dtype = np.dtype(picture.dtype)
                found.append(Argument(picture.name, dtype, forms[dtype], forms))
            else:
                found.append(Argument(name, self._dtype(tensor), tensor.shape))
        return found

    def outputs(self, group: int) -> list[Argument]:
        """The outputs of a group, in order."""
        graph = self.groups.subgraph(group).graph
        tensors = [graph.tensors[name] for name in graph.outputs]
        return [Argument(each.name, self._dtype(each), each.shape) for each in tensors]

    def run(self, group: int, feed: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a group, computed as the chip does; ``feed`` has the arrays of
        :meth:`inputs` by name."""
        graph = self.groups.subgraph(group).graph
        picture = self.manifest.picture
        taken: dict[str, Array] = {}
        for argument, name in zip(self.inputs(group), graph.inputs, strict=True):
            array, tensor = np.asarray(feed[argument.name]), graph.tensors[name]
            if picture is not None and picture.tensor == name:
                taken[name] = picture.taken(array)
            else:
                taken[name] = _widened(array, tensor)
        if self.manifest.part == "layer":
            taken["mask"] = self._windowed(taken)
        found = self._executor(group).run_all(taken)
        return {
            argument.name: np.asarray(found[argument.name]).astype(argument.dtype, copy=False)
            for argument in self.outputs(group)
        }

    def _dtype(self, tensor: Tensor) -> Any:
        is_float = tensor.dtype == "bf16" and self.manifest.part == "network"
        if is_float or tensor.name in self.manifest.qparams:
            return np.dtype(np.float32)
        return np.dtype(_OUTSIDE.get(tensor.dtype, np.float32))

    def _windowed(self, taken: Mapping[str, Array]) -> Array:
        """The mask, and what is further back than the layer's sliding window masked, too."""
        decoder = self.deployment.model.decoder
        assert decoder is not None
        start = int(taken["indices"].reshape(-1)[0])
        return windowed(taken["mask"], decoder, self.manifest.layer, start)

    def _executor(self, group: int) -> Executor:
        if group not in self._executors:
            graph = self.groups.graph(group)
            self._executors[group] = Executor(graph, self._value, self._arithmetic)
        return self._executors[group]

    def _value(self, name: str) -> Any:
        """A weight; of a decoder's S8 matrices what products need of it, made once."""
        value = self._values[name]
        is_decoder = self.manifest.part in ("layer", "post")
        if is_decoder and isinstance(value, Matrix) and value.dtype == "s8":
            value = self._values[name] = PackedMatrix(value, choose())
        return value

    def _made_arithmetic(self) -> Arithmetic:
        if not self._integer:
            return WeightOnly()
        of = self.manifest.qparams.items()
        return Integer({name: QParams(q.scale, q.zero_point, q.dtype) for name, q in of})

    def _read(self, archive: Archive) -> dict[str, Any]:
        """Every weight of the graphs; InputError naming those that are not there or misshapen."""
        graph, tensors = self.groups.subgraph(0).graph, self.manifest.tensors
        wanted = {tensor.name: tensor for tensor in graph.weights()}
        missing = sorted(wanted.keys() - tensors.keys())
        if missing:
            what = f"misses {len(missing)} weights: {', '.join(missing[:5])}"
            raise archive.fault(f"{what}; build it again")
        found: dict[str, Any] = {}
        for name, tensor in wanted.items():
            value = restored(tensors[name], name, archive)
            elements = value.codes.size if isinstance(value, Matrix) else value.size
            if elements != tensor.elements:
                what = f"has {elements} elements of {name}, which has {tensor.elements}"
                raise archive.fault(f"{what}; build it again")
            found[name] = value
        return found


def _widened(array: Array, tensor: Tensor) -> Array:
    """As the executors hold the tensor."""
    if tensor.dtype == "s64":
        return array.astype(np.int64)
    if tensor.dtype == "bool":
        return array.astype(np.bool_)
    if array.dtype.kind in "iub":
        return array
    if array.dtype != bfloat16:
        return array.astype(np.float32, copy=False)
    return from_bf16_bits(array.view(np.uint16))  # four times as fast as the dtype's own
