"""The shape groups of a file: graphs and programs, made when they are first used.

Group 0 of a layer is decode, group k + 1 prefill with the k-th compiled length of history.
Everything else has one group.
"""

from __future__ import annotations

from functools import cached_property

from axsim.axmodel.archive import Archive
from axsim.axmodel.graph_text import BROKEN
from axsim.axmodel.graph_text import read as read_graph
from axsim.axmodel.manifest import Manifest
from axsim.compiler.compile import compile_graph
from axsim.compiler.partition import Deployment, Subgraph
from axsim.graph.ir import Graph
from axsim.models.decoder import of_layer
from axsim.spec.chip import Chip
from axsim.spec.descriptor import load_mapping
from axsim.spec.workload import Workload


def compiled_histories(workload: Workload) -> tuple[int, ...]:
    """Lengths of history of the prefill groups: every chunk that the KV cache holds, unless the
    build says."""
    build = workload.build
    whole = range(0, build.kv_cache_len, build.prefill_chunk)
    return build.compiled_histories or tuple(whole)


class Groups:
    """The groups of one file on one chip. ``deployment`` is shared by files of one build.

    Raises InputError when the manifest's parts contradict each other.
    """

    def __init__(self, archive: Archive, manifest: Manifest, deployment: Deployment) -> None:
        self._manifest, self._deployment = manifest, deployment
        self._archive = archive
        model = deployment.workload.model
        decoder, vision = model.decoder, model.vision
        needed = {"vision": vision, "network": manifest.graph, "layer": decoder, "post": decoder}
        if needed[manifest.part] is None:
            raise archive.fault(f"is a {manifest.part} of a model that has none; build it again")
        if decoder is not None and manifest.layer >= decoder.num_hidden_layers:
            what = f"is layer {manifest.layer} of {decoder.num_hidden_layers}"
            raise archive.fault(f"{what}; build it again")
        whole = len(compiled_histories(deployment.workload)) if manifest.part == "layer" else 0
        if manifest.prefill_groups != whole:
            what = f"has {manifest.prefill_groups} prefill groups, its workload {whole}"
            raise archive.fault(f"{what}; build it again")

    def __len__(self) -> int:
        return 1 + self._manifest.prefill_groups

    def subgraph(self, group: int) -> Subgraph:
        """Graph, program and stored bytes of a group."""
        part, deployment = self._manifest.part, self._deployment
        if part == "network":
            return self._network
        if part == "vision":
            assert deployment.vision is not None
            return deployment.vision
        if part == "post":
            return deployment.post
        if not group:
            return deployment.decode
        history = compiled_histories(deployment.workload)[group - 1]
        return deployment.layer(deployment.workload.build.prefill_chunk, history)

    def graph(self, group: int) -> Graph:
        """The graph of a group, with the rotary tables of the file's layer."""
        graph = self.subgraph(group).graph
        decoder = self._deployment.model.decoder
        if self._manifest.part != "layer" or decoder is None:
            return graph
        return of_layer(graph, decoder, self._manifest.layer)

    @cached_property
    def _network(self) -> Subgraph:
        assert self._manifest.graph is not None
        graph = read_graph(self._manifest.graph, self._archive)
        deployment = self._deployment
        workload, chip = deployment.workload, deployment.chip
        on_conv = workload.float_matmul_on_conv and chip.npu.conv.float_matmul
        try:
            program = compile_graph(
                graph, chip, deployment.mode, part="network", float_matmul_on_conv=on_conv
            )
        except BROKEN as error:
            raise self._archive.fault(f"has a graph that cannot be built: {error}") from None
        return Subgraph(graph, program, self._manifest.size)


def deployment_of(archive: Archive, manifest: Manifest, chip: Chip) -> Deployment:
    """What a file was built from, on ``chip``; InputError for another chip or a broken document."""
    if chip.name != manifest.chip:
        what = f"is built for {manifest.chip}, this is {chip.name}"
        raise archive.fault(f"{what}; build it with --chip {chip.name}")
    return Deployment(load_mapping(Workload, manifest.workload, f"{archive.name}: workload"), chip)
