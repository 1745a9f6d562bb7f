"""The weights that deployments run with: a checkpoint's, checked against the workload, or synthetic
ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.models.checkpoint import Checkpoint
from axsim.models.config import ModelConfig
from axsim.models.weights import Weights


def open_checkpoint(folder: str | Path, deployments: Sequence[Deployment]) -> Checkpoint:
    """The weights of a folder; InputError when it is broken or of another architecture."""
    checkpoint = Checkpoint(folder)
    for deployment in deployments:
        check_architecture(folder, checkpoint.config, deployment)
    return checkpoint


def weights_of(deployment: Deployment, checkpoint: str | Path | None) -> Weights:
    """The weights of a folder, or synthetic ones of the request's seed."""
    if checkpoint is not None:
        return open_checkpoint(checkpoint, [deployment])
    from axsim.models.synthetic import SyntheticWeights

    return SyntheticWeights(deployment.model, deployment.workload.request.seed)


def check_architecture(folder: str | Path, found: ModelConfig, deployment: Deployment) -> None:
    """InputError naming every field in which a checkpoint is not the deployed model."""
    wanted = flat(deployment.model)
    held = flat(found)
    differing = [
        Problem("", key, f"{folder} has {held.get(key)}, the workload {wanted.get(key)}")
        for key in dict.fromkeys([*wanted, *held])
        if held.get(key) != wanted.get(key)
    ]
    if differing:
        name = deployment.workload.name
        hint = Problem(
            "", "", f"{folder} holds another architecture than {name}", f"axsim import {folder}"
        )
        raise InputError([*differing, hint])


def flat(model: ModelConfig) -> dict[str, object]:
    """The fields of an architecture by dotted key; a part that is missing is one None."""
    found: dict[str, object] = {}
    for part, fields in asdict(model).items():
        if fields is None:
            found[part] = None
        else:
            found |= {f"{part}.{key}": value for key, value in fields.items()}
    return found
