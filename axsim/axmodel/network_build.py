"""What a network from an ONNX file is built from: its weights, and the ranges of its activations.

As in a run: inputs to calibrate on are seeded unless given, weights the file's own or, where it has
none, seeded ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.graph.ir import FLOATS, Graph
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.numerics.executor import Executor
from axsim.numerics.observers import OBSERVERS
from axsim.numerics.ranges import Calibration
from axsim.runs.network_inputs import seeded_values
from axsim.runs.network_numbers import weighted
from axsim.spec.diagnosis import nearest


class NetworkBuild:
    """``samples`` are inputs by name, each a whole request; seeded ones if there are none.
    ``observer`` finds the ranges; ``compared`` is what float32 is compared on, by default the first
    sample or another seeded input.

    Raises InputError for samples that do not fit the network, and as
    :func:`~axsim.runs.network_numbers.weighted`.
    """

    def __init__(
        self,
        deployment: Deployment,
        samples: Sequence[Mapping[str, Array]] = (),
        observer: str = "MinMax",
        compared: Mapping[str, Array] | None = None,
    ) -> None:
        network, subgraph = deployment.network, deployment.graph
        assert network is not None
        assert subgraph is not None
        filled, self.synthetic = weighted(deployment)
        self._seed = deployment.workload.request.seed
        self._dtype = deployment.workload.build.vision_dtype
        self._samples = samples
        self._observer = OBSERVERS[observer]
        self.weight = filled.weight
        self.graph: Graph = subgraph.graph
        self._bare = network.graph
        self._compared = compared or next(iter(samples), None)
        for sample in samples:
            self._check(sample)

    @cached_property
    def qparams(self) -> dict[str, QParams]:
        """Of every quantised activation; none in a bf16 build."""
        if self._dtype == "bf16":
            return {}
        calibration = Calibration(self._observer)
        executor = Executor(self.graph, self.weight, calibration)
        samples = self._samples or [seeded_values(self._bare, self._seed, "calibration")]
        for sample in samples:
            executor.run_all(sample)
        return calibration.qparams(self.graph)

    def reference(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """The compared input, and its outputs in float32."""
        inputs = dict(self._compared or seeded_values(self._bare, self._seed, "input"))
        return inputs, Executor(self.graph, self.weight, None).run_all(inputs)

    def picture_input(self, needed: object) -> str | None:
        """The one input that is a picture, real numbers [1, 3, H, W], or None; InputError when it
        is ``needed``."""
        shapes = {name: self.graph.tensors[name].shape for name in self.graph.inputs}
        found = [
            name
            for name, s in shapes.items()
            if len(s) == 4 and s[1] == 3 and self._bare.tensors[name].dtype in FLOATS
        ]
        if len(found) != 1 and needed:
            told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise InputError(f"{self.graph.name} has no one input [1, 3, H, W]: {told}")
        return found[0] if len(found) == 1 else None

    def _check(self, sample: Mapping[str, Array]) -> None:
        for name in self.graph.inputs:
            shape = self.graph.tensors[name].shape
            if name not in sample or sample[name].shape != shape:
                given = list(sample[name].shape) if name in sample else "nothing"
                what = f"the network takes {name} {list(shape)}, the samples have {given}"
                raise InputError(what)
        strange = next((name for name in sample if name not in self.graph.inputs), None)
        if strange is not None:
            hint = nearest(strange, self.graph.inputs)
            allowed = ", ".join(self.graph.inputs)
            what = f"found {strange!r}, which is no input of the network"
            raise InputError(Problem("samples", "", what, allowed, hint))
