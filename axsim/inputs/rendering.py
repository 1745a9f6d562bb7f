"""Jinja templates that somebody else wrote, rendered in a process of their own.

A chat template is a program that comes with a checkpoint. The sandbox keeps it from files and from
Python's inside, but not from loops without end and texts without measure; nor could a thread be
stopped. So a process renders it, with a bound on its time and memory, and is asked through JSON:
``python -m axsim.inputs.rendering`` reads one object and writes one list.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

SECONDS = 10
"""For all renderings of one call: templates take milliseconds."""
MEMORY = 1 << 30
"""Bytes of address space; the process without a template takes a tenth."""
LONGEST = 8 << 20
"""Characters of a rendered text."""

_GENERATION = re.compile(r"{%-?\s*(end)?generation\s*-?%}")


class Rendered(NamedTuple):
    """The text, or why there is none."""

    text: str
    error: str


def rendered(
    source: str, special: Mapping[str, str], conversations: Sequence[Sequence[tuple[str, object]]]
) -> tuple[Rendered, ...]:
    """What the template ``source`` makes of each conversation, a list of roles and contents;
    ``special`` are the tokenizer's special tokens by their names in templates."""
    asked = {"source": source, "special": dict(special), "conversations": list(conversations)}
    return _asked(json.dumps(asked), len(conversations))


@lru_cache(maxsize=32)
def _asked(text: str, count: int) -> tuple[Rendered, ...]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "axsim.inputs.rendering"],
            input=text.encode(),
            capture_output=True,
            timeout=SECONDS,
            env={**os.environ, "PYTHONPATH": path},
        )
        return tuple(Rendered(*each) for each in json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        reason = f"it takes longer than {SECONDS} s"
    except ValueError:  # it died
        reason = f"it takes more than {MEMORY >> 20} MiB"
    return (Rendered("", reason),) * count


def main() -> None:
    """Answer one question."""
    asked = json.loads(sys.stdin.buffer.read())
    _limit()
    source, special = asked["source"], asked["special"]
    answers = [_render(source, special, each) for each in asked["conversations"]]
    sys.stdout.write(json.dumps(answers))


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on Windows: time alone is bounded
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))


def _render(
    source: str, special: Mapping[str, str], conversation: Sequence[tuple[str, object]]
) -> Rendered:
    """As transformers does: in a sandbox, blocks without their line breaks, with the tokenizer's
    special tokens as variables."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": refuse, "strftime_now": _now}
    try:
        template = environment.from_string(_GENERATION.sub("", source))  # marks for training
        text = template.render(
            messages=[{"role": role, "content": content} for role, content in conversation],
            add_generation_prompt=True,
            tools=None,
            documents=None,
            **special,
        )
    except MemoryError:
        return Rendered("", f"it takes more than {MEMORY >> 20} MiB")
    except Exception as error:  # whatever a program can raise
        return Rendered("", str(error) or type(error).__name__)
    if len(text) > LONGEST:
        return Rendered("", f"it makes {len(text):,} characters")
    return Rendered(text, "")


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(layout: str) -> str:
    from datetime import datetime

    return datetime.now().strftime(layout)


if __name__ == "__main__":
    main()
