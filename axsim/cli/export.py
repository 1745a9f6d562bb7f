"""``axsim export``: subgraphs as ONNX models."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axsim.cli.command import Command
from axsim.cli.options import DeploymentOptions, NetworkOptions
from axsim.cli.terminal.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from axsim.compiler.partition import Deployment
    from axsim.graph.ir import Graph
    from axsim.kernels.array import Array
    from axsim.kernels.qparams import QParams
    from axsim.models.weights import Weights
    from axsim.study.precision import Analysis

    Job = tuple[str, Graph, Callable[[str], Array], dict[str, QParams] | None]


class Part(str, Enum):
    """A deployed subgraph."""

    vision = "vision"
    decode = "decode"
    prefill = "prefill"
    post = "post"
    graph = "graph"


def export(
    options: DeploymentOptions,
    network: NetworkOptions,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the models.")
    ],
    subgraph: Annotated[
        list[Part],
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Only this subgraph: vision, decode, prefill or post, of a network graph; may be "
            "repeated.",
        ),
    ] = [],  # noqa: B006
    layer: Annotated[
        str, typer.Option(metavar="N", help="The decoder layer whose weights to take, or all.")
    ] = "0",
    quantized: Annotated[
        bool,
        typer.Option("--quantized", help="As deployed: QuantizeLinear, DequantizeLinear, bf16."),
    ] = False,
) -> None:
    """Write the deployed subgraphs as ONNX models.

    In float32, or quantised as they are deployed. Every model passes ONNX's checker. Layer files
    hold one decoder layer each: decode, and prefill for every prompt chunk.
    """
    from axsim.errors import InputError

    try:
        from axsim.export.subgraphs import export as export_graph
    except ImportError:
        raise InputError("exporting needs onnx: pip install 'axsim[onnx]'") from None
    from axsim.cli.terminal.outputs import filling, outlive_readers
    from axsim.runs.network_inputs import fed
    from axsim.runs.network_numbers import observer_of
    from axsim.runs.run_pictures import RunPictures
    from axsim.study.precision import Analysis

    deployment, sources = options.deployed("ax650n", network, timed=False), options.sources()
    parts = _parts(deployment, subgraph)
    layers = _layers(deployment, layer)
    weights, _ = options.weights(deployment)
    pixels: Any = None
    if Part.vision in parts and (quantized or options.smooth_quant):
        pixels = RunPictures([deployment], sources).of(deployment)
    elif Part.graph in parts and (quantized or options.smooth_quant):
        pixels = fed(deployment, sources)
    elif sources.images or sources.calibrate_on:
        raise InputError("--images and --calibrate-on are for a vision part that is --quantized")
    observer = observer_of(deployment, sources)
    analysis = Analysis(deployment, weights, pixels, observer, options.smooth_quant)
    jobs = _jobs(deployment, analysis, weights, parts, layers, quantized)
    with filling(output):
        outlive_readers()
        for name, graph, get, qparams in jobs:
            for path in export_graph(graph, get, output / f"{name}.onnx", qparams, quantized):
                say(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def _parts(deployment: Deployment, wanted: list[Part]) -> list[Part]:
    """The subgraphs to write; InputError for one that the workload does not have."""
    from axsim.errors import InputError

    present = [Part.graph] if deployment.network else []
    present += [Part.vision] if deployment.model.vision else []
    if deployment.model.decoder:
        present += [Part.decode, Part.prefill, Part.post]
    absent = [part.value for part in wanted if part not in present]
    if absent:
        raise InputError(f"{deployment.workload.name} has no subgraph {', '.join(absent)}")
    return wanted or present


def _layers(deployment: Deployment, text: str) -> list[int]:
    from axsim.errors import InputError

    decoder = deployment.model.decoder
    count = decoder.num_hidden_layers if decoder else 1
    if text == "all":
        return list(range(count))
    if text.isdecimal() and int(text) < count:
        return [int(text)]
    raise InputError(f"--layer {text} is no decoder layer; allowed: 0 to {count - 1}, all")


def _jobs(
    deployment: Deployment,
    analysis: Analysis,
    weights: Weights | None,
    parts: list[Part],
    layers: list[int],
    quantized: bool,
) -> Iterator[Job]:
    """File name, graph, weights and quantisation parameters of each model."""
    from axsim.models.config import size_text
    from axsim.models.decoder import of_layer
    from axsim.models.weights import layer_weights, post_weights
    from axsim.numerics.stored import StoredWeights

    suffix = "_quantized" if quantized else ""
    if Part.vision in parts:
        graph, get, qparams = analysis.encoder_build(quantized)
        yield f"vision_{size_text(deployment.workload.image_size)}{suffix}", graph, get, qparams
    if Part.graph in parts:
        graph, get, qparams = analysis.encoder_build(quantized)
        yield f"{graph.name}{suffix}", graph, get, qparams
    if weights is None:
        return
    groups = [deployment.decode] if Part.decode in parts else []
    if Part.prefill in parts:
        groups += [group for turn in deployment.turns for group in turn.prefill]
    decoder = deployment.model.decoder
    for group in {group.graph.name: group for group in groups}.values():
        assert decoder is not None
        for index in layers:
            name = f"{group.graph.name}_layer{index}{suffix}"
            build = deployment.workload.build
            stored = StoredWeights(weights, build.weight_dtype) if quantized else weights
            graph = of_layer(group.graph, decoder, index)
            yield name, graph, layer_weights(stored, index), None  # type: ignore[arg-type]
    if Part.post in parts:
        assert deployment.model.decoder is not None
        get = post_weights(weights, deployment.model.decoder)
        yield f"post{suffix}", deployment.post.graph, get, None


EXPORT = Command(
    "export",
    export,
    """
    axsim export internvl2_1b -o models --subgraph vision
    axsim export mine.yaml --checkpoint DIR --quantized --images photos -o models
    """,
    place=9,
)
