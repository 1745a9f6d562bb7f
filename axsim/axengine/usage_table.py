"""What a script took of the chip's time, as a table of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axsim.axengine.calls import Usage
from axsim.errors import abridged

if TYPE_CHECKING:
    from rich.table import Table

NAME_WIDTH = 27


def usage_table(usage: Usage) -> Table:
    """A row for each session and shape group that was called."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("session", no_wrap=True, width=NAME_WIDTH)
    for heading in ("group", "calls", "total ms", "mean ms", "min ms", "max ms", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    whole = usage.total_ms
    for session in usage.sessions:
        for number, group in sorted(session.groups.items()):
            times = group.total_ms, group.mean_ms, group.min_ms, group.max_ms
            share = f"{group.total_ms / whole:.1%}" if whole else "-"
            shown = abridged(session.name, NAME_WIDTH)
            table.add_row(shown, str(number), str(group.calls), *map(_ms, times), share)
    return table


def usage_lines(usage: Usage, realtime: bool) -> list[str]:
    """Below the table: the sum, waiting, and how this machine compares."""
    waited = sum(group.waited_ms for group in usage.rows())
    lines = [f"{_ms(usage.total_ms)} ms of {usage.chip} in {usage.calls} calls"]
    if waited:
        lines[0] += f", which waited {_ms(waited)} ms for each other"
    if abs(usage.clock_ms - usage.total_ms) > 1e-3 * usage.total_ms:
        lines.append(f"the last of them ended at {_ms(usage.clock_ms)} ms of the chip's clock")
    layers = [s.groups[0] for s in usage.sessions if s.part == "layer" and 0 in s.groups]
    heads = [group for s in usage.sessions if s.part == "post" for group in s.groups.values()]
    if layers and len(heads) == 1:
        step = sum(each.mean_ms for each in layers) + heads[0].mean_ms
        what = f"a token through {len(layers)} layers and the head takes {_ms(step)} ms"
        lines.append(f"{what}: {1e3 / step:.2f} tokens/s")
    lines.append(f"computed here in {_ms(usage.host_ms)} ms")
    if realtime and usage.late:
        lines.append(f"{usage.late} calls took this machine longer than the chip")
    return lines


def _ms(value: float) -> str:
    digits = 3 if value < 1000 else 1
    return f"{value:.{digits}f}"
