"""What can be found out before a long run: that its sources of numbers do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.runs.checkpoints import open_checkpoint
from axsim.runs.network_inputs import check_inputs
from axsim.runs.run_pictures import RunPictures
from axsim.runs.sources import Sources, refuse_for_networks
from axsim.runs.text_source import open_passage

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat


def check_deployments(
    deployments: Sequence[Deployment], sources: Sources, chat: Chat | None = None
) -> None:
    """InputError when the kernels of ``deployments`` can't have their weights, pictures or text."""
    check_networks(deployments, sources, chat)
    if sources.checkpoint is not None:
        open_checkpoint(sources.checkpoint, deployments)
    RunPictures(deployments, sources, chat)
    open_passage(deployments, sources, chat)


def check_networks(
    deployments: Sequence[Deployment], sources: Sources, chat: Chat | None = None
) -> None:
    """InputError for sources that a network from an ONNX file does not have."""
    networks = [each for each in deployments if each.workload.model.onnx]
    refuse_for_networks(networks, sources.checkpoint)
    if sources.pictures and not networks:
        raise InputError("pictures without a question are for networks from ONNX files")
    if networks and (sources.calibrate_on or chat is not None):
        what = f"{networks[0].workload.name} is a network from an ONNX file"
        raise InputError(f"{what}: --calibrate-on and questions are for other workloads")
    for each in networks:
        check_inputs(each, sources)
