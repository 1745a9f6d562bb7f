"""Building the files of a deployment: named, laid out and sized as the vendor's tools do it.

Each file appears whole or not at all. A file of the same build that is there already is kept, so
that an interrupted build goes on where it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from axsim.axmodel.archive import Archive, written
from axsim.axmodel.graph_text import described
from axsim.axmodel.manifest import Manifest, Parameters, PartName
from axsim.axmodel.network_build import NetworkBuild
from axsim.axmodel.pictures import PictureInput, PictureType
from axsim.axmodel.shape_groups import compiled_histories
from axsim.axmodel.stored_values import Stored, quantised, store
from axsim.compiler.partition import Deployment, Subgraph
from axsim.errors import InputError
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.models.config import size_text
from axsim.models.weights import Weights, layer_weights, post_tensor, post_weights
from axsim.numerics.stored import StoredWeights
from axsim.runs.run_pictures import Pixels
from axsim.study.precision import Analysis


@dataclass(frozen=True)
class Options:
    """What a build has beside the workload.

    ``identity`` tells weights and calibration inputs apart; ``prefix`` begins the file names.
    ``picture`` is the form in which pictures are said to be taken, ``picture_name`` what the input
    is called; ``mean`` and ``std``, of pixels from 0 to
    255, are a network's (a tower has its own). ``samples`` are inputs to calibrate a network on,
    ``compared`` one to compare it on.
    """

    identity: str
    prefix: str = ""
    picture: PictureType = "float32"
    picture_name: str = ""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    pixels: Pixels | None = None
    samples: Sequence[Mapping[str, Array]] = ()
    compared: Mapping[str, Array] | None = None
    observer: str = "MinMax"
    smooth_quant: bool = False


@dataclass(frozen=True)
class Part:
    """A file to be: its name, what it is, and its size as the chip stores it, in bytes."""

    file: str
    part: PartName
    size: int
    layer: int = 0


class Build:
    """The files of a deployment. ``weights`` is None for a network, whose file has its own.

    Raises InputError when a picture's form does not fit the network.
    """

    def __init__(self, deployment: Deployment, weights: Weights | None, options: Options) -> None:
        self.deployment, self._weights, self._options = deployment, weights, options
        self._build = deployment.workload.build

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every file, in the order of building."""
        deployment, workload = self.deployment, self.deployment.workload
        if deployment.graph is not None:
            return (Part(f"{self._prefix}.axmodel", "network", deployment.graph.stored_bytes),)
        found = []
        if deployment.vision is not None:
            name = f"{self._prefix}_vision_part_{size_text(workload.image_size)}.axmodel"
            found.append(Part(name, "vision", deployment.vision.stored_bytes))
        decoder = deployment.model.decoder
        if decoder is not None:
            stem, size = f"{self._prefix}_p{self._build.prefill_chunk}", deployment.decode
            found += [
                Part(f"{stem}_l{i}_together.axmodel", "layer", size.stored_bytes, i)
                for i in range(decoder.num_hidden_layers)
            ]
            found.append(Part(f"{self._prefix}_post.axmodel", "post", deployment.post.stored_bytes))
        return tuple(found)

    def write(self, part: Part, folder: Path) -> bool:
        """Build one file; whether it was not there already."""
        path, print_ = folder / part.file, self._fingerprint(part)
        if path.exists() and _printed(path) == print_:
            return False
        workload = self.deployment.workload
        graph, values, qparams = self._content(part)
        with written(path) as writer:
            tensors = {name: store(make(), writer) for name, make in values.items()}
            is_network = part.part == "network"
            manifest = Manifest(
                made_by=f"axsim {version('axsim')}",
                part=part.part,
                chip=self.deployment.chip.name,
                npu_mode=self._mode,
                toolchain=self._build.toolchain,
                fingerprint=print_,
                size=part.size,
                workload=self._document,
                layer=part.layer,
                prefill_groups=len(compiled_histories(workload)) if _is_layer(part) else 0,
                picture=self._picture(part),
                qparams={
                    name: Parameters(scale=q.scale, zero_point=q.zero_point, dtype=q.dtype)  # type: ignore[arg-type]
                    for name, q in qparams.items()
                },
                tensors=tensors,
                graph=described(graph, writer) if is_network else None,
            )
            writer.finish(json.loads(manifest.model_dump_json()), part.size)
        return True

    @property
    def network(self) -> NetworkBuild:
        """What a network's file is built from."""
        return self._network

    @property
    def analysis(self) -> Analysis:
        """What a vision part is built from."""
        return self._analysis

    @property
    def stored(self) -> Callable[[str], Any]:
        """The decoder's weights as the NPU stores them, not kept."""
        assert self._weights is not None
        decoder = self.deployment.model.decoder
        assert decoder is not None
        head = {post_tensor(decoder, "lm_head.weight"): self._build.post_weight_dtype}
        weights, dtype = self._weights, self._build.weight_dtype
        return lambda name: StoredWeights(weights, dtype, head)(name)

    def _content(
        self, part: Part
    ) -> tuple[Graph, dict[str, Callable[[], Stored]], dict[str, QParams]]:
        """Graph, weights and parameters of a file."""
        deployment = self.deployment
        if part.part == "network":
            network = self._network
            graph, qparams = network.graph, network.qparams
            return graph, quantised(graph, network.weight, bool(qparams)), qparams
        if part.part == "vision":
            graph, get, found = self._analysis.encoder_build(True)
            return graph, quantised(graph, get, found is not None), found or {}
        decoder = deployment.model.decoder
        assert decoder is not None
        subgraph: Subgraph = deployment.post if part.part == "post" else deployment.decode
        stored: Any = self.stored
        of = (
            post_weights(stored, decoder)
            if part.part == "post"
            else layer_weights(stored, part.layer)
        )
        names = [tensor.name for tensor in subgraph.graph.weights()]
        return subgraph.graph, {name: partial(of, name) for name in names}, {}

    def _picture(self, part: Part) -> PictureInput | None:
        options, vision = self._options, self.deployment.model.vision
        name = "input" if options.picture == "uint8" else "image"
        if part.part == "vision":
            assert vision is not None
            return PictureInput(
                tensor="input",
                inside="uint8",
                name=self._options.picture_name or name,
                dtype=options.picture,
                mean=tuple(255 * m for m in vision.image_mean),
                std=tuple(255 * s for s in vision.image_std),
            )
        if part.part != "network":
            return None
        tensor = self._network.picture_input(options.picture == "uint8" or options.picture_name)
        if tensor is None:
            return None
        return PictureInput(
            tensor=tensor,
            inside="float32",
            name=options.picture_name or tensor,
            dtype=options.picture,
            mean=options.mean,
            std=options.std,
        )

    @cached_property
    def _network(self) -> NetworkBuild:
        options = self._options
        return NetworkBuild(self.deployment, options.samples, options.observer, options.compared)

    @cached_property
    def _analysis(self) -> Analysis:
        assert self._weights is not None
        options = self._options
        return Analysis(
            self.deployment, self._weights, options.pixels, options.observer, options.smooth_quant
        )

    @property
    def _mode(self) -> Any:
        return self._build.npu_mode or self.deployment.chip.default_mode

    @cached_property
    def _document(self) -> dict[str, Any]:
        """The workload as files hold it: no variants, no path of this machine."""
        workload = self.deployment.workload
        text = workload.model_dump_json(exclude_unset=True, exclude={"variants"})
        document: dict[str, Any] = json.loads(text)
        if workload.model.onnx is not None:
            document["model"]["onnx"] = Path(workload.model.onnx).name
        return document

    @property
    def _prefix(self) -> str:
        workload = self.deployment.workload
        decoder = self.deployment.model.decoder
        own = workload.name if decoder is None else decoder.family
        return self._options.prefix or re.sub(r"[^A-Za-z0-9._-]+", "_", own)

    def _fingerprint(self, part: Part) -> str:
        """Equal for builds of which every byte is equal."""
        options = replace(self._options, pixels=None, samples=(), compared=None)
        told = [version("axsim"), self._document, self.deployment.chip.name, self._mode]
        text = json.dumps([*told, part.file, part.size, repr(options)], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:32]


def _is_layer(part: Part) -> bool:
    return part.part == "layer"


def _printed(path: Path) -> str | None:
    """The fingerprint of a file that is there and whole; None otherwise."""
    try:
        return Manifest.of(Archive(path)).fingerprint
    except InputError:
        return None
