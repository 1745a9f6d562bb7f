"""``axsim simulate``: tenants that share a chip."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import BoardName, JsonPath, Quiet, Settings, tell_idle_keys
from axsim.cli.terminal.console import INTERRUPTED
from axsim.cli.terminal.outputs import will_write, written_as

if TYPE_CHECKING:
    from axsim.runs.shared_results import ScenarioResult
    from axsim.spec.board import Board
    from axsim.spec.descriptor import Overrides

# Optional, not "| None": typer evaluates these annotations on Python 3.10 as well.


class ScenarioPlot(str, Enum):
    """Pictures of a scenario."""

    latency = "latency"
    timeline = "timeline"
    utilisation = "utilisation"


def simulate(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="A scenario, by name (`axsim scenarios`) or by file."
        ),
    ],
    chip: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--chip", metavar="CHIP", help="A chip by name or by file; the scenario's own if not."
        ),
    ] = None,
    board: BoardName = None,
    duration: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="TIME", help="How long requests come: 60s, 5min, 1h; the scenario says else."
        ),
    ] = None,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, metavar="N", help="Seed of arrivals at random."),
    ] = None,
    seeds: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=2, metavar="N", help="Simulate with so many seeds: means and confidence intervals."
        ),
    ] = None,
    settings: Settings = [],  # noqa: B006
    costs: Annotated[
        bool,
        typer.Option("--costs", help="Simulate without each tenant, too: what it costs the others"),
    ] = False,
    overload: Annotated[
        bool,
        typer.Option(
            "--overload", help="Simulate what can never be stable: queues grow to the end."
        ),
    ] = False,
    json_path: JsonPath = None,
    csv_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--csv",
            metavar="FILE",
            callback=written_as(".csv"),
            help="Write one row per tenant (or seed); - is stdout.",
        ),
    ] = None,
    trace: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE",
            callback=written_as(".json"),
            help="Write a Chrome trace of the window, a process per tenant.",
        ),
    ] = None,
    window: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FROM..TO", help="The part of the time in traces and timelines; 0s..2s if not."
        ),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw a picture (.png, .svg, .pdf)."),
    ] = None,
    plot_kind: Annotated[
        ScenarioPlot,
        typer.Option(
            "--plot-kind",
            help="How latencies are distributed; who does what when in the window; how busy the "
            "chip is over time.",
        ),
    ] = ScenarioPlot.latency,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.html",
            callback=written_as(".html", ".htm"),
            help="Write all of it on one page that loads nothing.",
        ),
    ] = None,
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes for --seeds."),
    ] = None,
    scheduler: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="ADDRESS", help="A dask cluster for --seeds: tcp://host:8786."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Simulate models, cameras and host work that share a chip.

    Shows what became of each model's requests, their latencies, how busy the chip was and with
    whom, and how much slower each model is than alone. Requests come for the given time, and all of
    them are answered.
    """
    from axsim.cli.terminal.run_plot import check_picture
    from axsim.runs.shared_run import WINDOW_S
    from axsim.spec.board import load_board
    from axsim.spec.descriptor import parse_overrides
    from axsim.spec.duration import seconds, span

    files = (json_path, csv_path, trace, report)
    will_write(*files, plot)
    check_picture(plot)
    if plot is None and plot_kind is not ScenarioPlot.latency:
        raise typer.BadParameter("--plot-kind is for a picture: --plot FILE")
    kept = WINDOW_S if window is None else span(window, "--window")
    timeline = plot_kind is ScenarioPlot.timeline
    if window is not None and trace is None and report is None and not timeline:
        raise typer.BadParameter("--window is for --trace, --report and --plot-kind timeline")
    to_stdout = sum(str(path) == "-" for path in files)
    if to_stdout > 1:
        raise typer.BadParameter("only one of --json, --csv, --trace and --report can be -")
    keys = parse_overrides(settings)
    if chip is not None and board is not None:
        raise typer.BadParameter("--chip and --board: give one, a board has its chip")
    place = chip if board is None else load_board(board)
    if duration is not None:
        keys["duration_s"] = seconds(duration, "--duration")
    if seed is not None:
        keys["seed"] = seed
    shows = not (quiet or to_stdout)
    try:
        if seeds is not None:
            useless = {"--plot": plot, "--trace": trace, "--report": report, "--seed": seed}
            given = [name for name, value in useless.items() if value is not None]
            given += [n for n, on in (("--costs", costs), ("--overload", overload)) if on]
            if given:
                raise typer.BadParameter(f"{given[0]} is of one simulation, --seeds of many")
            _many(scenario, place, seeds, keys, json_path, csv_path, jobs, scheduler, shows)
            if not quiet:
                tell_idle_keys(settings, scenario, [place], keys)
            return
        if jobs is not None or scheduler is not None:
            raise typer.BadParameter("--jobs and --scheduler are for --seeds")
        result = _one(scenario, place, keys, kept, costs, overload, shows)
        if not quiet:
            tell_idle_keys(settings, scenario, [place], keys, found=result)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if plot is not None:
        _draw(result, plot, plot_kind)
    _write(result, json_path, csv_path, trace)
    if report is not None:
        from axsim.show.report.scenario_page import write_scenario

        write_scenario(result, report)


def _one(
    scenario: str,
    chip: str | Board | None,
    keys: Overrides,
    window_s: tuple[float, float],
    costs: bool,
    overload: bool,
    shows: bool,
) -> ScenarioResult:
    """One simulation, and its tables."""
    from axsim.cli.terminal.console import console
    from axsim.cli.terminal.share import percent_bar
    from axsim.runs.shared_run import prepared, simulated
    from axsim.show import tenant_tables as tables

    with percent_bar(shows) as on_progress:
        result = simulated(
            *prepared(scenario, chip, keys),
            window_s=window_s,
            costs=costs,
            overload=overload,
            on_progress=on_progress,
        )
    if not shows:
        return result
    out = console()
    out.print(tables.scenario_heading(result))
    for note in result.notes:
        out.print(f"note: {note}")
    if result.models:
        out.print()
        out.print(tables.requests_table(result))
    times = tables.times_table(result)
    if times is not None:
        out.print()
        out.print(times)
    out.print()
    out.print(tables.busy_table(result))
    energy = tables.energy_table(result)
    if energy is not None:
        out.print()
        out.print(energy)
    if result.costs is not None:
        out.print("\nlatency, on average, because of whom")
        out.print(tables.costs_table(result))
    out.print()
    out.print(tables.memory_text(result))
    if energy is not None:
        out.print(tables.energy_text(result))
    for note in tables.scenario_notes(result):
        out.print(note, style="dim")
    return result


def _many(
    scenario: str,
    chip: str | Board | None,
    seeds: int,
    keys: Overrides,
    json_path: Path | None,
    csv_path: Path | None,
    jobs: int | None,
    scheduler: str | None,
    shows: bool,
) -> None:
    """Many seeds."""
    from axsim.cli.terminal.console import console
    from axsim.cli.terminal.share import points_bar
    from axsim.files import write_csv, write_json
    from axsim.show import tenant_tables as tables
    from axsim.study.replications import replicate

    with points_bar(shows) as on_progress:
        found = replicate(
            scenario,
            chip,
            seeds,
            overrides=keys,
            jobs=jobs,
            scheduler=scheduler,
            on_progress=on_progress,
        )
    if shows:
        out = console()
        out.print(f"{found.scenario} on {found.chip}: {seeds} seeds\n")
        out.print(tables.replications_table(found))
        out.print("± 90 % confidence interval of the mean over seeds", style="dim")
    if json_path is not None:
        write_json(found.to_dict(), json_path)
    if csv_path is not None:
        write_csv(found.rows, csv_path)


def _draw(result: ScenarioResult, path: Path, kind: ScenarioPlot) -> None:
    from axsim.show import plots

    draw = {
        ScenarioPlot.latency: plots.latency_distribution,
        ScenarioPlot.timeline: plots.tenants_timeline,
        ScenarioPlot.utilisation: plots.utilisation,
    }
    plots.save(draw[kind](result), path)


def _write(
    result: ScenarioResult, json_path: Path | None, csv_path: Path | None, trace: Path | None
) -> None:
    from axsim.files import write_csv, write_json
    from axsim.runs.shared_results import row_columns

    if json_path is not None:
        write_json(result.to_dict(), json_path)
    if csv_path is not None:
        write_csv(result.to_rows(), csv_path, row_columns(result.chip.power is not None))
    if trace is not None:
        from axsim.show.scenario_trace import write_scenario_trace

        write_scenario_trace(result, trace)


SIMULATE = Command(
    "simulate",
    simulate,
    """
    axsim simulate camera_answers --chip ax630c --duration 60s --seed 1
    axsim simulate three_models --costs --trace shared.json.gz --window 1s..2s
    axsim simulate camera_answers --set tenants.detector.arrivals.fps=15 --plot latency.png
    axsim simulate voice_assistant --seeds 64 --json seeds.json
    """,
    place=2,
)
