"""``axsim build``: the deployed files, which the stand-in for the board runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import ChipName, CutNetworkOptions, DeploymentOptions, Quiet

if TYPE_CHECKING:
    from axsim.axmodel.build import Options
    from axsim.compiler.partition import Deployment
    from axsim.runs.run_pictures import Pixels
    from axsim.runs.sources import Sources


_PREFIX = re.compile(r"\w[\w.-]*")


class PictureForm(str, Enum):
    """How files take pictures."""

    float32 = "float32"
    uint8 = "uint8"


@dataclass(frozen=True)
class PictureOptions:
    """In which form files take pictures."""

    picture: Annotated[
        PictureForm,
        typer.Option(
            help="Files say that they take pictures normalised, float32 [1, 3, H, W], or as bytes "
            "[1, H, W, 3]. They take both."
        ),
    ] = field(default=PictureForm.float32)
    picture_name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How the picture's input is called: image, or input where it is bytes.",
        ),
    ] = ""
    mean: Annotated[
        Optional[str],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(
            metavar="R,G,B",
            help="With bytes into a network: their mean, 0 to 255; that of build.preprocess, else "
            "0, when not given.",
        ),
    ] = None
    std: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="R,G,B",
            help="With bytes into a network: their deviation; that of build.preprocess, else 255, "
            "when not given.",
        ),
    ] = None


def build(
    options: DeploymentOptions,
    network: CutNetworkOptions,
    pictures: PictureOptions,
    chip: ChipName,
    folder: Annotated[
        Path, typer.Option("--folder", "-o", metavar="DIR", help="Folder for the files.")
    ],
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="How file names begin; the family by default.")
    ] = "",
    samples: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.npz",
            help="Inputs that the ranges of a network are calibrated on: an array by the name of "
            "each input, one sample after the other along the first dimension.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare each file with float32.")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Build what the vendor's tools would make, for `axsim exec`.

    The vision part, a file for each decoder layer with shape groups for decoding and for every
    prefill chunk, the head, embedding table, tokenizer and configuration; or one file of an ONNX
    network. WORKLOAD may be a checkpoint's folder as well. Each file is compared with float32 on
    float32's own inputs. Files that are there from the same build are kept.
    """
    from axsim.axmodel.build import Build
    from axsim.cli.terminal.building import make
    from axsim.cli.terminal.outputs import filling
    from axsim.errors import InputError, Problem
    from axsim.runs.checkpoints import weights_of

    if prefix and not _PREFIX.fullmatch(prefix):
        what = f"--prefix {prefix}: it begins the names of files"
        raise InputError(Problem("", "", what, "letters, digits, '.', '_' and '-'"))
    _refuse_built(Path(options.workload))
    deployment = options.deployed(chip, network, of_folder=True, quiet=quiet)
    is_network = deployment.workload.model.onnx is not None
    checkpoint = options.checkpoint
    if checkpoint is None and Path(options.workload).is_dir():
        checkpoint = Path(options.workload)
    if is_network and checkpoint is not None:
        raise InputError("an ONNX file brings its weights: --checkpoint is for other workloads")
    if samples is not None and not is_network:
        raise InputError("--samples is for a network from an ONNX file; --images for a tower")
    if samples is not None and options.images is not None:
        raise InputError("--samples and --images contradict each other")
    weights = None if is_network else weights_of(deployment, checkpoint)
    made = _options(options, pictures, deployment, checkpoint, prefix, samples)
    planned = Build(deployment, weights, made)
    with filling(folder):
        make(planned, weights, checkpoint, folder, check, quiet)


def _options(
    options: DeploymentOptions,
    pictures: PictureOptions,
    deployment: Deployment,
    checkpoint: Path | None,
    prefix: str,
    samples: Path | None,
) -> Options:
    from axsim.axmodel.build import Options
    from axsim.axmodel.samples import identity_of, read_samples
    from axsim.runs.network_inputs import fed
    from axsim.spec.preprocess import EVERY, Preprocess

    model, sources = deployment.workload.model, options.sources()
    own = Path(model.onnx) if model.onnx is not None else checkpoint
    inputs = [] if samples is None else read_samples(samples)
    compared = None
    if model.onnx is not None and sources.images is not None:
        pictured = fed(deployment, sources)
        inputs, compared = list(pictured.calibration), pictured.compared[0]
    taken = deployment.workload.build.preprocess
    pixels = taken.get(EVERY) or next(iter(taken.values()), Preprocess())
    return Options(
        identity_of(own, options.images, samples),
        prefix,
        pictures.picture.value,
        pictures.picture_name,
        _channels("--mean", pictures.mean, pixels.mean or (0.0,)),
        _channels("--std", pictures.std, pixels.std, least=1e-6),
        _calibration(sources, deployment, checkpoint),
        inputs,
        compared,
        sources.observer,
        options.smooth_quant,
    )


def _calibration(
    sources: Sources, deployment: Deployment, checkpoint: Path | None
) -> Pixels | None:
    """The pictures of a vision part; InputError when a trained one would get seeded ones."""
    from dataclasses import replace

    from axsim.runs.run_pictures import RunPictures

    if deployment.model.vision is None:
        return None
    if checkpoint is not None:  # the folder may be the workload
        sources = replace(sources, checkpoint=str(checkpoint))
    return RunPictures([deployment], sources).of(deployment)


def _channels(
    option: str, text: str | None, usual: tuple[float, ...], least: float = 0.0
) -> tuple[float, ...]:
    """The numbers of ``--mean`` or ``--std``; ``usual`` ones, one or one a channel, without it."""
    if text is None:
        return usual if len(usual) == 3 else usual[:1] * 3
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != 3 or not all(least <= each <= 255 for each in found):
        raise typer.BadParameter(f"{option} {text}: not three numbers from 0 to 255")
    return found


def _refuse_built(path: Path) -> None:
    """A file that is built already; InputError says by whom."""
    from axsim.axmodel.archive import VENDORS, is_container
    from axsim.errors import InputError, Problem

    if path.suffix.lower() != ".axmodel":
        return
    if not path.is_file():
        raise InputError(Problem(str(path), "", "no such file", "an ONNX file or a workload"))
    own = "is built already; axsim exec runs it"
    raise InputError(Problem(str(path), "", own if is_container(path) else VENDORS))


BUILD = Command(
    "build",
    build,
    """
    axsim build internvl2_1b --chip ax630c --variant 448-u8 -o internvl2
    axsim build Qwen2.5-0.5B-Instruct --chip ax650n -o qwen --set build.prefill_chunk=128
    axsim build detector.onnx --chip ax650n --picture uint8 --samples inputs.npz -o detector
    """,
    place=10,
)
