"""What can be found out before a long run: that its sources of numbers do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.runs.checkpoints import open_checkpoint
from axsim.runs.run_pictures import RunPictures
from axsim.runs.sources import Sources
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
    networks = [each.workload.name for each in deployments if each.workload.model.onnx]
    given = sources.checkpoint is not None or sources.images is not None or sources.calibrate_on
    if networks and (given or chat is not None):
        what = f"{networks[0]} is a network from an ONNX file: its weights are there, its input"
        what += " is seeded; --checkpoint, --images and --calibrate-on are for other workloads"
        raise InputError(what)
