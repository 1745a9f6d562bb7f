"""``axsim serve``: an OpenAI-compatible server that answers at the pace of the chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import (
    ChipName,
    DeploymentOptions,
    Seed,
    Settings,
    TimingOnly,
    VariantName,
    WorkloadName,
)
from axsim.cli.source_options import (
    CalibrateOnSeeded,
    CalibrationFolder,
    CheckpointFolder,
    Observer,
    ObserverName,
    check_kernel_options,
)
from axsim.cli.terminal.console import say

if TYPE_CHECKING:
    import socket

    from axsim.compiler.partition import Deployment
    from axsim.runs.sources import Sources
    from axsim.server.service import Service

MEBI = 2**20


def serve(
    workload: WorkloadName,
    chip: ChipName,
    variant: VariantName = None,
    settings: Settings = [],  # noqa: B006
    checkpoint: CheckpointFolder = None,
    images: CalibrationFolder = None,
    calibrate_on: CalibrateOnSeeded = None,
    observer: Observer = ObserverName.minmax,
    seed: Seed = None,
    timing_only: TimingOnly = False,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; others see more than loopback."),
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Another name under which clients reach the server; on loopback no others are "
            "answered.",
        ),
    ] = [],  # noqa: B006
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 takes any free one.")
    ] = 8000,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="What clients call the model; by default its own name."),
    ] = None,
    system: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="TEXT",
            help="System prompt of conversations that have none, computed once at the start.",
        ),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Requests that may wait for the one that is answered; more get status 503.",
        ),
    ] = 16,
    fast: Annotated[
        bool, typer.Option("--fast", help="Answer as fast as this machine computes.")
    ] = False,
    max_body: Annotated[
        int,
        typer.Option("--max-body", min=1, metavar="MIB", help="Largest request, with pictures."),
    ] = 16,
) -> None:
    """Serve a model over HTTP, with OpenAI's chat completions.

    As the vendor's runtime does. One request at a time is simulated on the chip, and its tokens
    come when the chip would have them. Turns of a conversation go on with the KV cache. usage tells
    the simulated TTFT and tokens/s, /metrics the same for Prometheus, and / is a page to chat with.
    Without --checkpoint the weights are synthetic, and every answer says so.
    """
    from axsim.cli.terminal.console import INTERRUPTED

    check_kernel_options(timing_only, images, calibrate_on, observer, None)
    if seed is not None:
        settings = [*settings, f"request.seed={seed}"]
    options = DeploymentOptions(
        workload, variant, settings, checkpoint, images, calibrate_on, observer
    )
    deployment, sources = options.deployed(chip), options.sources()
    with _listening(host, port) as listening:
        try:
            service = _loaded(deployment, sources, variant, timing_only, name, system)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        _serve(service, listening, queue, fast, max_body * MEBI, _names(host, allow_host))


def _listening(host: str, port: int) -> socket.socket:
    """The socket, before anything takes long."""
    from axsim.errors import InputError

    try:
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401

        from axsim.server.listen import bind, public
    except ModuleNotFoundError as error:
        what = f"serving needs {error.name}"
        raise InputError(f"{what}: pip install 'axsim[serve]'") from None
    listening = bind(host, port)
    if public(host):
        say(f"warning: whoever reaches {host} can use this server", err=True)
    return listening


def _loaded(
    deployment: Deployment,
    sources: Sources,
    variant: str | None,
    timing_only: bool,
    name: str | None,
    system: str | None,
) -> Service:
    """The service with everything at hand, while a line says what is being done."""
    from axsim.cli.terminal.console import console
    from axsim.server.load import load, warm_up

    memory = deployment.memory
    if not memory.fits:
        say(f"warning: {deployment.workload.name} {memory.verdict}", err=True)
    screen = console(stderr=True)
    label = variant or deployment.workload.label
    with screen.status("loading") as status:
        service = load(
            deployment, label, sources,
            timing_only=timing_only, name=name, system=system, on_step=status.update,
        )  # fmt: skip
        status.update("warming up")
        kept = warm_up(service)
    if kept is not None:
        tokens = service.engine.slots.head
        text = f"system prompt: {tokens} tokens in the KV cache, {kept.ms:.1f} ms on the chip"
        say(text, err=True)
    return service


def _names(host: str, allowed: list[str]) -> list[str] | None:
    """The names that the server answers to; None, all of them, where others can reach it anyway and
    no name was given."""
    from axsim.server.hosts import LOOPBACK
    from axsim.server.listen import public

    return None if public(host) and not allowed else [*LOOPBACK, host, *allowed]


def _serve(
    service: Service,
    listening: socket.socket,
    queue: int,
    fast: bool,
    max_body: int,
    names: list[str] | None,
) -> None:
    import logging

    from axsim.server.listen import address, run
    from axsim.server.messages import NOTICES
    from axsim.server.routes import Api
    from axsim.server.waiting import Desk

    log = logging.getLogger("axsim.server")
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log.setLevel(logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients that go away are told once
    desk = Desk(service.engine, queue, fast)
    about = service.about
    notice = NOTICES.get(about["answers"])
    if notice:
        typer.echo(f"answers begin with {notice}", err=True)
    if fast:
        typer.echo("--fast: the pace is this machine's; usage has the chip's times", err=True)
    what = f"{service.name} ({about['variant']}) on {about['chip']}, {about['npu_mode']}"
    typer.echo(f"{what}: {address(listening)} (Ctrl-C ends)")
    run(Api(service, desk, max_body, names).app(), listening, desk.close)
    typer.echo("ended", err=True)


SERVE = Command(
    "serve",
    serve,
    """
    axsim serve mine.yaml --chip ax630c --checkpoint DIR --system "Answer in one sentence."
    axsim serve internvl2_1b --chip ax630c --timing-only --port 8080
    """,
    place=12,
)
