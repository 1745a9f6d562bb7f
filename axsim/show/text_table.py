"""How well builds predict a text, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from axsim.numerics.likelihood import TextScore
    from axsim.runs.results import RunResult

MEANING = (
    "perplexity: of each token, given those before it, through the prefill path as",
    "  deployed; divergence: of the build's distribution from float32's (KL, nats a",
    "  token); agreement: tokens for which both have the same likeliest one",
)


def text_heading(tokens: int, name: str) -> str:
    """What the table below is about."""
    return f"Trained weights judged on {tokens:,} tokens of {name}"


def text_table(rows: Iterable[tuple[str, TextScore]]) -> Table:
    """A row for each build."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("\nbuild", no_wrap=True)
    for heading in (
        "perplexity\nas deployed",
        "perplexity\nin float32",
        "\nchange",
        "diver-\ngence",
        "top-1\nagreement",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, score in rows:
        table.add_row(name, *text_figures(score))
    return table


def text_figures(score: TextScore) -> tuple[str, str, str, str, str]:
    """Perplexities as deployed and in float32, their ratio, divergence, agreement."""
    change = score.perplexity / score.float32_perplexity - 1
    return (
        f"{score.perplexity:.5g}",
        f"{score.float32_perplexity:.5g}",
        f"{change:+.2%}",
        f"{score.kl_divergence:.3g}",
        f"{score.top1_agreement:.1%}",
    )


def judged(result: RunResult) -> list[tuple[str, TextScore]]:
    """The variants of a run that were judged on a text."""
    return [
        (each.name, each.numerics.text)
        for each in result
        if each.numerics is not None and each.numerics.text is not None
    ]


def text_title(result: RunResult) -> str:
    """:func:`text_heading` of a run's text; variants with another context may have read a token
    more or less."""
    scores = judged(result)
    names = [str(each.numerics.judged_on) for each in result if each.numerics]
    return text_heading(max(score.tokens for _, score in scores), names[0])
