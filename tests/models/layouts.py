"""Layouts of checkpoints that the tests write."""

from axsim.models.joins import JOINS
from axsim.models.layout import Layout
from axsim.models.towers import TOWERS


def joined(kind: str, index: int) -> Layout:
    """One of the layouts of a joined model, in the order of its row."""
    join = JOINS[kind]
    return Layout(TOWERS[join.tower_type], join, *join.prefixes[index])


PLAIN = Layout()
OPENGVLAB = joined("internvl_chat", 0)
HF_INTERNVL = joined("internvl", 1)
HF_INTERNVL_4_52 = joined("internvl", 3)
