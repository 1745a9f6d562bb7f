"""What is attacked: a file for each sort of input, collected as :data:`KINDS`.

A kind makes, from a seeded source of chances, files in a folder and the arguments of one command.
"""

from __future__ import annotations

from tests.fuzz.kinds import (
    checkpoints,
    deployed,
    descriptors,
    networks,
    questions,
    settings,
    tables,
)
from tests.fuzz.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in (descriptors, settings, tables, checkpoints, networks, questions, deployed)
    for kind in module.KINDS
}
