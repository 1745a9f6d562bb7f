"""The application object: the commands of this folder and the one place where input errors end."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from axsim.cli.command import Command, Once, flattened

_UsageError: Any = typer.BadParameter.__bases__[0]
"""Click's, which newer releases of typer bring along and older ones import."""


class Group(TyperGroup):
    """Ends every :class:`axsim.errors.InputError` as text on stderr and exit status 2, Ctrl-C as
    shells have it, and a lack of memory or of workers as one line."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before a command."""
        with _readable():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        from axsim.cli.terminal.console import INTERRUPTED
        from axsim.errors import InputError, printable

        try:
            with _readable():
                return super().invoke(ctx)
        except InputError as error:
            for line in error.lines:
                typer.echo(line, err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError) or error.errno is None:
                raise  # whoever reads has enough, which is no error; or it is none of the system's
            place = f"{error.filename}: " if error.filename is not None else ""
            typer.echo(f"error: {printable(f'{place}{error.strerror}')}", err=True)
            raise typer.Exit(2) from None
        except MemoryError as error:
            reason = f": {error}" if str(error) else ""
            typer.echo(f"error: this machine's memory does not hold it{reason}", err=True)
            raise typer.Exit(1) from None
        except RuntimeError as error:
            if not _workers_lost(error):
                raise
            typer.echo(f"error: {printable(str(error))}", err=True)
            raise typer.Exit(1) from None


def _workers_lost(error: RuntimeError) -> bool:
    """Whether processes that computed for this one are gone."""
    futures = sys.modules.get("concurrent.futures")  # takes 10 ms to import
    return futures is not None and isinstance(error, futures.BrokenExecutor)


@contextmanager
def _readable() -> Iterator[None]:
    """What is wrong with options, without what would steer the terminal."""
    try:
        yield
    except _UsageError as error:
        from axsim.errors import printable, shortened

        error.message = printable(shortened(_with_nearest(error.message)))
        raise


def _with_nearest(message: str) -> str:
    """What newer releases of typer say of a value that is none of an option's, in the words of
    older ones, and which one was meant."""
    message = message.removeprefix("Value error, ")
    found = re.fullmatch(r"'(.+)' is not one of ('.+')\.", message)
    if found is None:
        return message
    from axsim.spec.diagnosis import nearest

    near = nearest(found[1], re.findall(r"'([^']+)'", found[2]))
    return f"{message} Did you mean {near!r}?" if near else message


app = typer.Typer(
    cls=Group,
    help="Simulate language and vision models on Axera NPUs: how fast, why, and how accurate.",
    epilog="\b\nExample:\n  axsim show ax630c",
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"axsim {version('axsim')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def commands() -> list[Command]:
    """Every command that a file of this folder names, as the list of ``axsim --help`` has them."""
    folder = iter_modules([str(Path(__file__).parent)])
    names = sorted(module.name for module in folder if not module.ispkg)
    modules = [import_module(f"axsim.cli.{name}") for name in names]
    found = {c for module in modules for c in vars(module).values() if isinstance(c, Command)}
    return sorted(found, key=lambda command: (command.place, command.name))


for _command in commands():
    app.command(
        _command.name,
        cls=Once,
        epilog=_command.epilog,
        context_settings=_command.context_settings,
    )(flattened(_command.function))
